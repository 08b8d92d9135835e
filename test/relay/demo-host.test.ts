import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import ssh2 from 'ssh2'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { HostKeyType } from '../../src/contract/krp.ts'
import type { RelayCredential } from '../../src/contract/krp-secret.ts'
import { type DemoHost, generateDemoHostKey, startDemoHost } from '../../src/dev/demo-host.ts'
import { execRequest, shellRequest, startTestRelay, type Target, type TestRelay } from './harness.ts'
import type { TestLink } from './krp-client.ts'

const PASSWORD = 'a-demo-password'

describe('the demo host, through the relay', () => {
  const userKey = ssh2.utils.generateKeyPairSync('ed25519')
  let host: DemoHost
  let relay: TestRelay
  let link: TestLink
  let target: Target
  beforeAll(async () => {
    host = await startDemoHost({ port: 0, password: PASSWORD, hostKey: generateDemoHostKey(), authorizedKeys: [userKey.public] })
    relay = await startTestRelay([host.port])
    link = await relay.link()
    const type = host.hostPublicKey.split(' ')[0] as HostKeyType
    target = {
      host: '127.0.0.1',
      port: host.port,
      user: 'demo',
      privateKey: userKey.private,
      hostKeys: [{ type, fingerprint: host.hostKeyFingerprint }],
    }
  })
  afterAll(async () => {
    await relay.relay.close()
    await host.close()
  })
  const password: RelayCredential = { kind: 'password', password: PASSWORD }
  const terminal = async () => {
    const stream = await link.open(shellRequest(target), password)
    await stream.opened()
    await stream.untilOutput('$ ')
    return stream
  }

  test('a password opens it, a wrong one does not', async () => {
    const stream = await link.open(execRequest(target, 'whoami'), password)
    await stream.opened()
    expect(await stream.exit()).toMatchObject({ code: 0 })
    expect(stream.stdout()).toBe('demo\n')
    const wrong = await link.open(execRequest(target, 'whoami'), { kind: 'password', password: 'wrong' })
    expect(await wrong.failed()).toBe('login-refused')
  })

  test('a known key opens it, a strange one does not', async () => {
    const stream = await link.open(execRequest(target, 'echo "two  words"; cat nothing'), {
      kind: 'private-key',
      privateKey: userKey.private,
    })
    await stream.opened()
    expect(await stream.exit()).toMatchObject({ code: 1 })
    expect(stream.stdout()).toBe('two  words\n')
    expect(stream.stderr()).toBe('cat: nothing: nothing by that name\n')
    const strange = ssh2.utils.generateKeyPairSync('ed25519')
    const refused = await link.open(execRequest(target, 'whoami'), { kind: 'private-key', privateKey: strange.private })
    expect(await refused.failed()).toBe('login-refused')
  })

  test('its terminal echoes, edits and remembers lines', async () => {
    const stream = await terminal()
    stream.send('echo wrold\x1b[D\x1b[D\x1b[D\x1b[D\x1b[3~\x7f\x7f\x15echo right\r')
    await stream.untilOutput('\r\nrightrold\r\n')
    stream.send('\x1b[A and again\r')
    await stream.untilOutput('\r\nrightrold and again\r\n')
    stream.send('ls\r')
    await stream.untilOutput('poem.txt')
    stream.send('cat logs/today.log\r')
    await stream.untilOutput('the bell\r\n')
    stream.send('exit 3\r')
    expect(await stream.exit()).toMatchObject({ code: 3 })
  })

  test('counting streams, and Ctrl-C stops it', async () => {
    const stream = await terminal()
    stream.send('count 1000\r')
    await stream.untilOutput('\r\n3\r\n')
    stream.send('\x03')
    stream.send('echo done\r')
    await stream.untilOutput('\r\ndone\r\n')
    expect(stream.stdout()).not.toContain('\r\n1000\r\n')
    stream.send('\x04')
    expect(await stream.exit()).toMatchObject({ code: 0 })
  })

  test('nothing of this machine is there', async () => {
    for (const command of ['cat /etc/passwd', 'cat ../../etc/passwd', 'cat constructor', 'constructor', '$(id)', '/bin/sh -c id']) {
      const stream = await link.open(execRequest(target, command), password)
      await stream.opened()
      expect((await stream.exit()).code).not.toBe(0)
      expect(stream.stdout()).toBe('')
    }
  })

  test('a command that is told to stop ends by the signal', async () => {
    const stream = await link.open(execRequest(target, 'sleep 100', { timeoutSeconds: 1 }), password)
    await stream.opened()
    expect(await stream.exit()).toMatchObject({ signal: 'TERM', cause: 'timeout', killed: 'confirmed' })
  })

  test('it runs on its own and says how to reach it', async () => {
    const child = spawn(process.execPath, ['src/dev/demo-host.ts'], {
      env: { PATH: process.env['PATH'], DEMO_HOST_PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    const line = await new Promise<string>((resolve) => createInterface({ input: child.stdout }).once('line', resolve))
    expect(line).toMatch(/^Demo host: ssh -p \d+ demo@127\.0\.0\.1 {3}password: \S+ {3}key: SHA256:\S{43}$/)
    const code = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    expect(await code).toBe(0)
  })
})
