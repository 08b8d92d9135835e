import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, onTestFinished, test } from 'vitest'
import { generateDemoHostKey, startDemoHost } from '../../src/dev/demo-host.ts'
import { makeKeys, startRelay } from '../shell/rig.ts'
import { execRequest, type Target } from './harness.ts'
import { openLink } from './krp-client.ts'
import { freePort } from './sshd.ts'

/** A host that means harm, in a process of its own: what it costs must be the relay's alone. */
async function startHostile(mode: 'ask' | 'rekey'): Promise<Target> {
  const child = spawn(process.execPath, ['test/relay/hostile-host.ts', mode], { stdio: ['pipe', 'pipe', 'inherit'] })
  onTestFinished(() => void child.kill('SIGKILL'))
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const { port, fingerprint } = JSON.parse(String(line)) as { port: number; fingerprint: string }
  return { host: '127.0.0.1', port, user: 'u', privateKey: '', hostKeys: [{ type: 'ssh-ed25519', fingerprint }] }
}

test.each([
  ['asks without end', 'ask'],
  ['begins one key exchange after the other', 'rekey'],
] as const)('a host that %s holds up no other: its neighbours log in and run', async (_, mode) => {
  const hostile = await startHostile(mode)
  const demo = await startDemoHost({ port: 0, password: 'demo', hostKey: generateDemoHostKey() })
  onTestFinished(() => demo.close())
  const keys = makeKeys()
  const port = await freePort()
  const relay = await startRelay(keys, { port, env: { RELAY_ALLOW_PORTS: `${hostile.port},${demo.port}` } })
  onTestFinished(() => relay.kill())
  const dialer = { privateJwk: JSON.parse(keys.edge.RELAY_DIALER_KEY), publicJwk: JSON.parse(keys.relay.RELAY_DIALER_KEYS)[0] }
  const relayX = (JSON.parse(keys.edge.RELAY_VERIFY_KEY) as { x: string }).x
  const link = (tenant: string, at: number) =>
    openLink({ port, relayId: 'relay-test', relayX, dialer, sub: tenant, tenant, epoch: 1, caps: { ports: [at] } })
  const far = await link('org_far', hostile.port)
  for (let i = 0; i < 3; i++) await (await far.open(execRequest(hostile, 'x'), { kind: 'password', password: 'x' })).opened()
  const hostKeys = [{ type: 'ssh-ed25519' as const, fingerprint: demo.hostKeyFingerprint }]
  const target: Target = { host: '127.0.0.1', port: demo.port, user: 'demo', privateKey: '', hostKeys }
  const near = await link('org_near', demo.port)
  for (let i = 0; i < 5; i++) {
    const stream = await near.open(execRequest(target, `echo ${i}`), { kind: 'password', password: 'demo' })
    await stream.opened()
    expect(await stream.exit()).toMatchObject({ code: 0 })
    expect(stream.stdout()).toContain(String(i))
  }
})
