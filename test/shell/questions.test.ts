import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import ssh2 from 'ssh2'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { HostId } from '../../src/contract/hosts.ts'
import { canAsk, type Sshd, startSshd } from '../relay/sshd.ts'
import { describeWith, testWhere } from '../requires.ts'
import { hostBody, problemOf, type Rig, screenOf, startRig, until } from './rig.ts'

/** A host that asks for a password and a code, and then gives a shell that says hello. */
async function startAsker() {
  const key = ssh2.utils.generateKeyPairSync('ed25519')
  let connections = 0
  let letIn = 0
  const server = new ssh2.Server({ hostKeys: [key.private] }, (client) => {
    connections += 1
    client.on('close', () => {
      connections -= 1
    })
    client.on('ready', () => {
      letIn += 1
    })
    client.on('error', () => undefined)
    client.on('authentication', (context) => {
      if (context.method !== 'keyboard-interactive') return context.reject(['keyboard-interactive'])
      context.prompt(
        [
          { prompt: 'Password: ', echo: false },
          { prompt: '\u001b[31mCode: ', echo: true },
        ],
        'Vault',
        'Say who you are',
        (answers) => {
          if (answers.join(' ') === 'right 123456') context.accept()
          else context.reject()
        },
      )
    })
    client.on('tcpip', (accept, reject, { destPort }) => {
      if (destPort !== (server.address() as AddressInfo).port) return reject()
      const socket = connect(destPort, '127.0.0.1')
      const channel = accept()
      socket.on('error', () => channel.close())
      channel.on('error', () => socket.destroy())
      channel.pipe(socket).pipe(channel)
    })
    client.on('session', (accept) => {
      const session = accept()
      session.on('pty', (take) => take?.())
      session.on('shell', (take) => take().write('welcome\r\n'))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const counts = { connections: () => connections, letIn: () => letIn }
  const [type = '', blob = ''] = key.public.split(' ')
  const fingerprint = `SHA256:${createHash('sha256').update(Buffer.from(blob, 'base64')).digest('base64').replace(/=+$/, '')}`
  return { port: (server.address() as AddressInfo).port, key: { type, key: blob }, fingerprint, close: () => server.close(), ...counts }
}

describeWith('sshd', 'a host that asks its questions live', () => {
  let rig: Rig
  let asker: Awaited<ReturnType<typeof startAsker>>
  let pam: Sshd | undefined
  beforeAll(async () => {
    asker = await startAsker()
    pam = canAsk() ? await startSshd({ asksFor: 'word of the day' }) : undefined
    const targets = [asker.port, ...(pam ? [pam.port] : [])].map((port) => `127.0.0.1:${port}`).join()
    rig = await startRig({ relayEnv: { RELAY_ALLOW_TARGETS: targets, RELAY_LOGIN_FAILURES_PER_MINUTE_MAX: '50' } })
  })
  afterAll(async () => {
    await rig.stop()
    await pam?.stop()
    asker.close()
  })
  const create = (more: { readonly name?: string; readonly jumpHostId?: HostId } = {}) =>
    rig.owner.client.createHost({
      params: { orgId: rig.org.id },
      body: {
        name: 'vault',
        address: '127.0.0.1',
        port: asker.port,
        user: 'ops',
        keys: [asker.key],
        credential: { kind: 'keyboard-interactive' },
        ...more,
      },
    })

  test('asks the opener, in clean words, and lets in whoever answers right', async () => {
    const host = await create()
    const screen = screenOf()
    const view = await rig.owner.client.shells.open({ body: { hostId: host.id } }, { output: screen.output })
    const asked: unknown[] = []
    view.on('prompt', ({ answer, ...prompt }) => {
      asked.push(prompt)
      answer(['right', '123456'])
    })
    await screen.until('welcome')
    expect(asked).toEqual([
      {
        id: 1,
        host: { id: host.id, name: 'vault', isJump: false },
        name: 'Vault',
        instruction: 'Say who you are',
        prompts: [
          { text: 'Password: ', isEchoed: false },
          { text: '[31mCode: ', isEchoed: true },
        ],
      },
    ])
    expect(await rig.owner.client.getShell({ params: { shellId: view.id as never } })).toMatchObject({ state: 'open' })
    await view.end()
    expect(rig.relay().lines.join('\n')).not.toContain('123456')
  })

  test('a host on the way asks in its own name, and gets its own answer', async () => {
    const gate = await create({ name: 'gate' })
    const host = await create({ jumpHostId: gate.id })
    const screen = screenOf()
    const view = await rig.owner.client.shells.open({ body: { hostId: host.id } }, { output: screen.output })
    const asked: unknown[] = []
    view.on('prompt', ({ host: by, answer }) => {
      asked.push(by)
      answer(['right', '123456'])
    })
    await screen.until('welcome')
    expect(asked).toEqual([
      { id: gate.id, name: 'gate', isJump: true },
      { id: host.id, name: 'vault', isJump: false },
    ])
    await view.end()
  })

  testWhere(canAsk(), 'an OpenSSH that asks through PAM lets in whoever answers right, and nobody else', async () => {
    const body = { ...hostBody(pam!, { kind: 'keyboard-interactive' }), name: 'pam' }
    const host = await rig.owner.client.createHost({ params: { orgId: rig.org.id }, body })
    const answerWith = async (word: string) => {
      const screen = screenOf()
      const view = await rig.owner.client.shells.open({ body: { hostId: host.id } }, { output: screen.output })
      view.on('prompt', ({ answer }) => answer([word]))
      return { view, screen }
    }
    const { view, screen } = await answerWith('word of the day')
    view.write('echo le""t in\n')
    await screen.until('let in')
    await view.end()
    expect(await (await answerWith('word of yesterday')).view.finished()).toMatchObject({
      state: 'failed',
      reason: 'The target refused the user or the credential.',
    })
  })

  test('a shell that is ended while its host asks gives its login up', async () => {
    const host = await create()
    const view = await rig.owner.client.shells.open({ body: { hostId: host.id } }, { output: () => undefined })
    await new Promise((resolve) => view.on('prompt', resolve))
    const before = asker.letIn()
    await view.end()
    expect(await view.finished()).toMatchObject({ state: 'closed', reason: 'Its opener closed it.' })
    await until(() => asker.connections() === 0)
    expect(asker.letIn()).toBe(before)
  })

  test('a wrong answer ends in words a person understands; a command, which nobody could answer for, is refused', async () => {
    const host = await create()
    const view = await rig.owner.client.shells.open({ body: { hostId: host.id } }, { output: () => undefined })
    view.on('prompt', ({ answer }) => answer(['wrong', '0']))
    expect(await view.finished()).toMatchObject({ state: 'failed', reason: 'The target refused the user or the credential.' })
    const exec = rig.owner.client.execCommand({ params: { hostId: host.id }, body: { command: 'true' } })
    expect(await problemOf(exec)).toMatchObject({ slug: 'host-refused' })
  })
})
