import { createRequire } from 'node:module'
import type { AddressInfo, Socket } from 'node:net'
import { connect, createServer } from 'node:net'
import ssh2, { type AuthContext, type Connection } from 'ssh2'
import { expect, onTestFinished, test } from 'vitest'
import type { HostKeyPin } from '../../src/contract/krp.ts'
import type { RelayCredential } from '../../src/contract/krp-secret.ts'
import { generateDemoHostKey } from '../../src/dev/demo-host.ts'
import { createGuard } from '../../src/relay/guard.ts'
import { connectSsh } from '../../src/relay/ssh.ts'
import { until } from '../until.ts'
import { execRequest, startTestRelay, type Target } from './harness.ts'
import { fingerprintOfKey } from './sshd.ts'

const password: RelayCredential = { kind: 'password', password: 'canary-password' }

interface Fake {
  readonly target: Target
  /** Every attempt to log in, by its method. */
  readonly tried: string[]
  readonly connections: Connection[]
  /** Connections that are over. */
  readonly closed: Connection[]
}

/** An SSH server of ssh2's that lets in whoever says a password, and runs every command by saying `ran`. */
async function startFake(
  more: { readonly onConnection?: (client: Connection) => void; readonly isSilent?: (nth: number) => boolean } = {},
) {
  const hostKey = generateDemoHostKey()
  const key = ssh2.utils.parseKey(hostKey)
  if (key instanceof Error) throw key
  const [tried, connections, closed]: [string[], Connection[], Connection[]] = [[], [], []]
  const speaker = new ssh2.Server({ hostKeys: [hostKey] }, (client) => {
    connections.push(client)
    more.onConnection?.(client)
    client.on('error', () => undefined)
    client.on('close', () => closed.push(client))
    client.on('authentication', (attempt: AuthContext) => {
      tried.push(attempt.method)
      if (attempt.method === 'password') attempt.accept()
      else attempt.reject(['password'])
    })
    client.on('session', (accept) =>
      accept().on('exec', (take) => {
        const channel = take()
        channel.write('ran')
        channel.exit(0)
        channel.end()
      }),
    )
  })
  const sockets: Socket[] = []
  const server = createServer((socket) => {
    socket.on('error', () => undefined)
    sockets.push(socket)
    if (!more.isSilent?.(sockets.length)) speaker.injectSocket(socket)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const pin: HostKeyPin = { type: 'ssh-ed25519', fingerprint: fingerprintOfKey(key.getPublicSSH()) }
  const target: Target = { host: '127.0.0.1', port: (server.address() as AddressInfo).port, user: 'u', privateKey: '', hostKeys: [pin] }
  return { target, tried, connections, closed, sockets } satisfies Fake & { sockets: Socket[] }
}

async function relayTo(fake: Pick<Fake, 'target'>) {
  const relay = await startTestRelay([fake.target.port])
  onTestFinished(() => relay.relay.close())
  return relay
}

test('nobody is asked while a handshake waits: an unknown key ends it at once, and the accepted key logs in by a new one', async () => {
  const fake = await startFake()
  const link = await (await relayTo(fake)).link()
  const unknown = await link.open(execRequest({ ...fake.target, hostKeys: [] }, 'true'), password)
  expect(await unknown.failed()).toBe('host-key-unknown')
  expect([fake.connections.length, fake.tried]).toEqual([1, []])
  const { type, fingerprint } = await link.wire.untilFrame('HOSTKEY', unknown.id)
  // The person thinks for as long as they like: of the connection that asked nothing is left.
  await until(async () => fake.closed.length === 1)
  const accepted = await link.open(execRequest({ ...fake.target, hostKeys: [{ type, fingerprint }] }, 'true'), password)
  await accepted.opened()
  expect(await accepted.exit()).toMatchObject({ code: 0 })
  expect(fake.connections).toHaveLength(2)
})

test('a check of the host’s key that breaks lets nobody in, and no secret is sent', async () => {
  const fake = await startFake()
  const [pin] = fake.target.hostKeys
  let broke = 0
  const broken = {
    type: 'ssh-ed25519' as const,
    get fingerprint(): string {
      broke += 1
      if (broke === 1) throw new Error('broken check')
      return pin!.fingerprint
    },
  }
  const guard = createGuard(connect(fake.target.port, '127.0.0.1'))
  const login = { next: () => ({ type: 'password' as const, username: 'u', password: 'canary' }), wipe: () => undefined }
  const common = { username: 'u', algorithms: 'modern' as const, keepaliveSeconds: 0, ask: undefined, deadlineMs: 5_000 }
  await expect(connectSsh({ guard, pins: [broken], login, ...common }, new AbortController().signal)).rejects.toMatchObject({
    name: 'Refusal',
  })
  expect(broke).toBeGreaterThan(0)
  expect(fake.tried).toEqual([])
})

/** Makes a server offer one cipher and know nothing of strict key exchange, as servers before 2024 did. */
function withoutStrictExchange(cipher: string, mac = 'hmac-sha2-256-etm@openssh.com'): (client: Connection) => void {
  const { KexInit } = createRequire(import.meta.url)('ssh2/lib/protocol/kex.js') as { KexInit: new (lists: object) => object }
  const way = { cipher: [cipher], mac: [mac], compress: ['none'], lang: [] }
  return (client) => {
    const protocol = Reflect.get(client, '_protocol') as { _offer: object; _strictMode: boolean }
    protocol._offer = new KexInit({ kex: ['curve25519-sha256'], serverHostKey: ['ssh-ed25519'], cs: way, sc: way })
    protocol._strictMode = false
  }
}

test('a server without strict key exchange gets no ChaCha20, whose first packets could be cut out, and no secret; AES-GCM it gets', async () => {
  const prone = await startFake({ onConnection: withoutStrictExchange('chacha20-poly1305@openssh.com') })
  const stream = await (await (await relayTo(prone)).link()).open(execRequest(prone.target, 'true'), password)
  expect(await stream.failed()).toBe('no-common-algorithm')
  expect(prone.tried).toEqual([])
  const sound = await startFake({ onConnection: withoutStrictExchange('aes256-gcm@openssh.com') })
  const other = await (await (await relayTo(sound)).link()).open(execRequest(sound.target, 'true'), password)
  await other.opened()
  await other.exit()
  expect(other.stdout()).toBe('ran')
})

test('a server without strict key exchange gets no CBC under a MAC of the ciphertext either, on a legacy host too, and no secret; under one of the text it gets it', async () => {
  const legacy = { algorithms: 'legacy' as const }
  const prone = await startFake({ onConnection: withoutStrictExchange('aes128-cbc') })
  const stream = await (await (await relayTo(prone)).link()).open(execRequest(prone.target, 'true', legacy), password)
  expect(await stream.failed()).toBe('no-common-algorithm')
  expect(prone.tried).toEqual([])
  const sound = await startFake({ onConnection: withoutStrictExchange('aes128-cbc', 'hmac-sha2-256') })
  const other = await (await (await relayTo(sound)).link()).open(execRequest(sound.target, 'true', legacy), password)
  await other.opened()
  await other.exit()
  expect(other.stdout()).toBe('ran')
})

test('what a tarpit holds are places of the organisation that went there: another one is served meanwhile', async () => {
  const fake = await startFake({ isSilent: (nth) => nth <= 4 })
  const relay = await relayTo(fake)
  const [caught, free] = [await relay.link({ tenant: 'org_1' }), await relay.link({ tenant: 'org_2' })]
  for (let i = 0; i < 6; i++) await caught.open(execRequest(fake.target, 'true'), password)
  await until(async () => fake.sockets.length === 4)
  const served = await free.open(execRequest(fake.target, 'true'), password)
  await served.opened()
  expect(await served.exit()).toMatchObject({ code: 0 })
  // The two that wait for a place have not so much as knocked.
  expect(fake.sockets).toHaveLength(5)
})
