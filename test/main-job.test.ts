import { expect, test } from 'vitest'
import WebSocket from 'ws'
import { WebsocketProvider } from 'y-websocket'
import * as Y from 'yjs'
import { createClient } from '../src/client/client.ts'
import { PASSWORD, startEdge } from './harness.ts'
import { RELAY_ID, startTestRelay } from './relay/harness.ts'
import { startSshd } from './relay/sshd.ts'
import { describeWith } from './requires.ts'

/** Resolves when a text reads as expected. */
const reads = (text: Y.Text, expected: string): Promise<void> =>
  new Promise((resolve) => {
    const look = () => {
      if (text.toString() !== expected) return
      text.unobserve(look)
      resolve()
    }
    text.observe(look)
    look()
  })

/** What of a private JWK the Worker may know. */
function publicHalf(jwk = '{}'): string {
  const { d: _private, ...rest } = JSON.parse(jwk) as Record<string, string>
  return JSON.stringify(rest)
}

describeWith('sshd', 'the main job, end to end on real input', () => {
  test('a newcomer registers, proves their address, signs in, edits with a friend from two Yjs editors, and runs a command over SSH', async () => {
    const sshd = await startSshd()
    const relay = await startTestRelay([sshd.port])
    const edge = await startEdge({
      vars: {
        RELAY_ID,
        RELAY_HOST: '127.0.0.1',
        RELAY_PORT: String(relay.relay.port),
        RELAY_VERIFY_KEY: publicHalf(relay.env['RELAY_SIGNING_KEY']),
        RELAY_SEAL_KEY: publicHalf(relay.env['RELAY_SEALING_KEY']),
        RELAY_DIALER_KEY: JSON.stringify(relay.dialer.privateJwk),
      },
    })
    const ada = createClient({ origin: edge.origin })
    try {
      const email = 'ada@example.org'
      const { registrationId } = await ada.register({ body: { email, password: PASSWORD } })
      await ada.verifyEmail({ body: { registrationId, code: await edge.mailbox.codeTo(email) } })
      await ada.login({ body: { email, password: PASSWORD } })
      expect(await ada.getMe()).toMatchObject({ email })

      const room = await ada.createRoom({ body: { name: 'The forecourt' } })
      const bob = await edge.signUp('bob')
      await ada.putRoomMember({ params: { roomId: room.id, userId: bob.id }, body: { role: 'editor' } })
      const docs = [new Y.Doc(), new Y.Doc()] as const
      const providers = await Promise.all(
        [ada, bob.client].map(async (client, i) => {
          const url = `${edge.origin.replace('http', 'ws')}/v1/rooms/${room.id}`
          const protocols = ['parvis', `bearer.${await client.accessToken()}`]
          return new WebsocketProvider(url, 'y', docs[i]!, { WebSocketPolyfill: WebSocket as never, protocols, disableBc: true })
        }),
      )
      const [mine, theirs] = [docs[0].getText('note'), docs[1].getText('note')]
      mine.insert(0, 'from ada, ')
      await reads(theirs, 'from ada, ')
      theirs.insert(theirs.length, 'from bob')
      await reads(mine, 'from ada, from bob')
      for (const provider of providers) provider.destroy()

      const org = await ada.createOrg({ body: { name: 'Lighthouse' } })
      const { keys } = await ada.scanHost({ params: { orgId: org.id }, body: { address: '127.0.0.1', port: sshd.port } })
      const host = await ada.createHost({
        params: { orgId: org.id },
        body: {
          name: 'web-1',
          address: '127.0.0.1',
          port: sshd.port,
          user: sshd.user,
          keys: keys.map(({ type, key }) => ({ type, key })),
          credential: { kind: 'private-key', privateKey: sshd.privateKey },
        },
      })
      const result = await ada.execCommand({ params: { hostId: host.id }, body: { command: 'echo "on $((40 + 2))"; exit 3' } })
      expect(result).toMatchObject({ stdout: 'on 42\n', stderr: '', exitCode: 3, timedOut: false, truncated: false })

      const seen: Uint8Array[] = []
      const shell = await ada.shells.open({ body: { hostId: host.id } }, { output: (bytes) => void seen.push(bytes) })
      shell.write('echo typed-$((6 * 7)); exit\n')
      await shell.finished()
      expect(Buffer.concat(seen).toString()).toContain('typed-42')
    } finally {
      ada.close()
      await edge.stop()
      await relay.relay.close()
      await sshd.stop()
    }
  })
})
