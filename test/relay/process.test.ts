import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { generateDemoHostKey, startDemoHost } from '../../src/dev/demo-host.ts'
import { parseConfig } from '../../src/relay/config.ts'
import { execRequest, RELAY_ID, relayEnv, type Target } from './harness.ts'
import { type LinkOptions, openLink } from './krp-client.ts'

const SECRET = 'canary-secret-7'
const password = { kind: 'password', password: SECRET } as const

describe('configuration', () => {
  const { env } = relayEnv([22])
  const sentence = (overrides: Record<string, string | undefined>): string => {
    try {
      parseConfig({ ...env, ...overrides })
      return 'fine'
    } catch (error) {
      return error instanceof Error ? error.message : String(error)
    }
  }

  test('what is missing or wrong is named, never shown', () => {
    expect(sentence({})).toBe('fine')
    expect(sentence({ RELAY_SIGNING_KEY: undefined, RELAY_PORT: 'x' })).toBe('Bad configuration: set RELAY_PORT, RELAY_SIGNING_KEY.')
    for (const key of [
      'RELAY_SIGNING_KEY',
      'RELAY_SEALING_KEY',
      'RELAY_DIALER_KEYS',
      'RELAY_ALLOW_CIDRS',
      'RELAY_ALLOW_PORTS',
      'RELAY_ALLOW_TARGETS',
    ]) {
      expect(sentence({ [key]: SECRET })).toBe(`Bad configuration: set ${key}.`)
    }
    expect(sentence({ RELAY_SIGNING_KEY: env['RELAY_SEALING_KEY'] })).toBe('Bad configuration: set RELAY_SIGNING_KEY.')
    expect(sentence({ RELAY_DIALER_KEYS: '[]' })).toBe('Bad configuration: set RELAY_DIALER_KEYS.')
  })

  test('without TLS it listens on loopback only, unless the network is trusted', () => {
    expect(sentence({ RELAY_HOST: '0.0.0.0' })).toMatch(/^Bad configuration: RELAY_HOST is not loopback/)
    expect(sentence({ RELAY_HOST: '::' })).toMatch(/^Bad configuration: RELAY_HOST is not loopback/)
    expect(sentence({ RELAY_HOST: '0.0.0.0', RELAY_TRUST_NETWORK: '1' })).toBe('fine')
    expect(sentence({ RELAY_HOST: '::1' })).toBe('fine')
    expect(sentence({ RELAY_TLS_CERT: 'x' })).toMatch(/set both RELAY_TLS_CERT and RELAY_TLS_KEY/)
  })

  test('secrets may come from files, but not twice', () => {
    const directory = mkdtempSync(join(tmpdir(), 'parvis-relay-'))
    const path = join(directory, 'key')
    writeFileSync(path, `${env['RELAY_SIGNING_KEY']}\n`)
    expect(sentence({ RELAY_SIGNING_KEY: undefined, RELAY_SIGNING_KEY_FILE: path })).toBe('fine')
    expect(sentence({ RELAY_SIGNING_KEY_FILE: path })).toBe(
      'Bad configuration: set only one of RELAY_SIGNING_KEY and RELAY_SIGNING_KEY_FILE.',
    )
    expect(sentence({ RELAY_SIGNING_KEY: undefined, RELAY_SIGNING_KEY_FILE: join(directory, 'none') })).toBe(
      'Bad configuration: RELAY_SIGNING_KEY_FILE cannot be read.',
    )
    rmSync(directory, { recursive: true })
  })

  test('a private dialer key given by mistake is not kept', () => {
    const { dialer } = relayEnv([22])
    const { dialers } = parseConfig({ ...env, RELAY_DIALER_KEYS: JSON.stringify([dialer.privateJwk]) })
    expect([...dialers.keys.values()].map(({ type }) => type)).toEqual(['public'])
  })
})

interface RelayProcess {
  readonly child: ChildProcessByStdio<null, Readable, Readable>
  readonly lines: string[]
  readonly port: number
  readonly healthPort: number
  readonly exited: Promise<number | null>
}

const start = (env: Record<string, string>): ChildProcessByStdio<null, Readable, Readable> =>
  spawn(process.execPath, ['src/relay/main.ts'], { env: { PATH: process.env['PATH'] ?? '', ...env }, stdio: ['ignore', 'pipe', 'pipe'] })

async function startProcess(env: Record<string, string>): Promise<RelayProcess> {
  const child = start(env)
  onTestFinished(() => void child.kill('SIGKILL'))
  const lines: string[] = []
  const exited = new Promise<number | null>((resolve) => child.once('exit', resolve))
  const reader = createInterface({ input: child.stdout })
  const first = await new Promise<string>((resolve, reject) => {
    reader.on('line', (line) => {
      lines.push(line)
      resolve(line)
    })
    void exited.then(() => reject(new Error('the relay ended')))
  })
  const { port, healthPort } = JSON.parse(first) as { port: number; healthPort: number }
  return { child, lines, port, healthPort, exited }
}

describe('the process', () => {
  const { env, dialer, relayX } = relayEnv([22])
  let demo: Awaited<ReturnType<typeof startDemoHost>>
  let target: Target
  beforeAll(async () => {
    demo = await startDemoHost({ port: 0, password: SECRET, hostKey: generateDemoHostKey() })
    env['RELAY_ALLOW_PORTS'] = String(demo.port)
    target = {
      host: '127.0.0.1',
      port: demo.port,
      user: 'demo',
      privateKey: '',
      hostKeys: [{ type: 'ssh-ed25519', fingerprint: demo.hostKeyFingerprint }],
    }
  })
  afterAll(() => demo.close())
  const options = (port: number, more: Partial<LinkOptions> = {}): LinkOptions => ({
    port,
    relayId: RELAY_ID,
    relayX,
    dialer,
    caps: { ports: [demo.port] },
    ...more,
  })

  test('a bad configuration ends it with one sentence', async () => {
    const child = start({ ...env, RELAY_SEALING_KEY: SECRET })
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(1)
    expect(said).toBe('Bad configuration: set RELAY_SEALING_KEY.\n')
  })

  test('it goes on quietly when the reader of its log dies', async () => {
    const relay = await startProcess(env)
    relay.child.stdout.destroy()
    const link = await openLink(options(relay.port))
    for (const _ of [1, 2, 3]) {
      const stream = await link.open(execRequest(target, 'true'), password)
      await stream.exit()
    }
    const ticks = () => Number(readFileSync(`/proc/${relay.child.pid}/stat`, 'utf8').split(' ')[13])
    const before = ticks()
    const health = await Promise.all(Array.from({ length: 20 }, () => fetch(`http://127.0.0.1:${relay.healthPort}/health/live`)))
    expect(health.map((answer) => answer.status)).toEqual(Array(20).fill(200))
    await new Promise((resolve) => setTimeout(resolve, 1_000))
    // A relay that spins spends a hundred ticks a second.
    expect(ticks() - before).toBeLessThan(40)
  })

  test('its log is one JSON object per line, carries the trace, and tells no secret, command or output', async () => {
    const relay = await startProcess(env)
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const streamTrace = '00-aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-00f067aa0ba902b7-01'
    const link = await openLink(options(relay.port, { traceparent }))
    const stream = await link.open(execRequest(target, 'echo canary-command'), password, { traceparent: streamTrace })
    await stream.opened()
    await stream.exit()
    const wrong = await link.open(execRequest(target, 'true'), { kind: 'password', password: 'canary-wrong' })
    expect(await wrong.failed()).toBe('login-refused')
    link.wire.cut()
    relay.child.kill('SIGTERM')
    expect(await relay.exited).toBe(0)
    const events = relay.lines.map((line) => JSON.parse(line) as Record<string, unknown>)
    expect(relay.lines.join('\n')).not.toMatch(/canary/)
    for (const [name, key] of Object.entries(env).filter(([name]) => /KEY$/.test(name)))
      expect([name, relay.lines.join().includes(String(JSON.parse(key).d))]).toEqual([name, false])
    expect(events.every((event) => typeof event['at'] === 'string' && event['service'] === 'relay')).toBe(true)
    expect(events.find(({ event }) => event === 'link-opened')).toMatchObject({
      trace: '4bf92f3577b34da6a3ce929d0e0e4736',
      tenant: 'org_1',
      sub: 'object-1',
    })
    expect(events.find(({ event }) => event === 'shell-opened')).toMatchObject({
      trace: 'a'.repeat(32),
      shell: stream.shell,
      host: '127.0.0.1',
      user: 'demo',
    })
    expect(events.find(({ event }) => event === 'shell-closed')).toMatchObject({ code: 0, reason: 'done' })
    expect(events.find(({ event }) => event === 'shell-refused')).toMatchObject({ code: 'login-refused' })
  })

  test('health answers, and nothing else does', async () => {
    const relay = await startProcess(env)
    const get = async (path: string, init?: RequestInit) => {
      const response = await fetch(`http://127.0.0.1:${relay.healthPort}${path}`, init)
      return [response.status, await response.json()]
    }
    expect(await get('/health/live')).toEqual([200, { status: 'ok' }])
    expect(await get('/health/ready')).toEqual([200, { status: 'ok', links: 0, shells: 0 }])
    expect(await get('/')).toEqual([404, { status: 'not-found' }])
    const link = await openLink(options(relay.port))
    const stream = await link.open(execRequest(target, 'echo canary-command'), password)
    await stream.opened()
    await stream.exit()
    const wrong = await link.open(execRequest(target, 'true'), { kind: 'password', password: 'canary-wrong' })
    expect(await wrong.failed()).toBe('login-refused')
    const metrics = await fetch(`http://127.0.0.1:${relay.healthPort}/metrics`)
    expect(metrics.headers.get('content-type')).toBe('text/plain; version=0.0.4; charset=utf-8')
    const text = await metrics.text()
    for (const line of [
      'parvis_relay_ready 1',
      'parvis_relay_draining 0',
      'parvis_relay_links 1',
      'parvis_relay_strangers 0',
      'parvis_relay_openings_total{outcome="opened"} 1',
      'parvis_relay_openings_total{outcome="login-refused"} 1',
    ])
      expect(text.split('\n')).toContain(line)
    expect(text).not.toMatch(/canary|org_1|object-1|127\.0\.0\.1|demo/)
    const samples = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'))
    for (const sample of samples) expect(sample).toMatch(/^[a-z0-9_]+(\{[a-z]+="[a-z-]+"\})? [0-9.e+-]+$/)
    link.wire.cut()
    expect(await get('/health/live', { method: 'POST' })).toEqual([405, { status: 'method-not-allowed' }])
    relay.child.kill('SIGTERM')
    expect(await relay.exited).toBe(0)
  })

  test('told to stop, it takes nothing new, lets shells end, and leaves', async () => {
    const relay = await startProcess({ ...env, RELAY_DRAIN_SECONDS: '20' })
    const link = await openLink(options(relay.port))
    const stream = await link.open(execRequest(target, 'count 15'), password)
    await stream.opened()
    relay.child.kill('SIGTERM')
    expect(await link.wire.untilFrame('GOAWAY', 0)).toEqual({ drainSeconds: 20 })
    expect(await (await link.open(execRequest(target, 'whoami'), password)).failed()).toBe('draining')
    const ready = await fetch(`http://127.0.0.1:${relay.healthPort}/health/ready`)
    expect([ready.status, (await ready.json()) as unknown]).toEqual([503, { status: 'draining', links: 1, shells: 1 }])
    expect(await stream.exit()).toMatchObject({ code: 0 })
    expect(stream.stdout()).toMatch(/15\n$/)
    expect(await relay.exited).toBe(0)
    expect(await link.wire.untilClosed()).toBe('draining')
  })

  test('shells that do not end in time are ended, and their dialers are told', async () => {
    const relay = await startProcess({ ...env, RELAY_DRAIN_SECONDS: '1' })
    const link = await openLink(options(relay.port))
    const stream = await link.open(execRequest(target, 'sleep 100'), password)
    await stream.opened()
    relay.child.kill('SIGTERM')
    expect(await stream.exit()).toMatchObject({ cause: 'draining', killed: 'confirmed' })
    expect(await relay.exited).toBe(0)
  })

  test('killed, it leaves the dialer a closed link; started again, it knows no shell of before', async () => {
    const relay = await startProcess(env)
    const link = await openLink(options(relay.port))
    const stream = await link.open(execRequest(target, 'sleep 100'), password)
    await stream.opened()
    relay.child.kill('SIGKILL')
    expect(await link.wire.untilClosed()).toBeUndefined()
    const again = await startProcess({ ...env, RELAY_PORT: String(relay.port) })
    const back = await openLink(options(again.port, { epoch: 2 }))
    expect(await back.attach(stream.shell, 0).failed()).toBe('shell-unknown')
    back.wire.cut()
    again.child.kill('SIGTERM')
    expect(await again.exited).toBe(0)
  })

  test('a second relay on the same port says so in one line', async () => {
    const relay = await startProcess(env)
    const child = start({ ...env, RELAY_PORT: String(relay.port) })
    let said = ''
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString()
    })
    expect(await new Promise((resolve) => child.once('close', resolve))).toBe(1)
    expect(said).toBe(`Port ${relay.port} on 127.0.0.1 is in use; set RELAY_PORT.\n`)
    relay.child.kill('SIGTERM')
    await relay.exited
  })

  test('over TLS it speaks the same', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'parvis-tls-'))
    const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
    execFileSync(
      'openssl',
      [
        'req',
        '-x509',
        '-newkey',
        'ec',
        '-pkeyopt',
        'ec_paramgen_curve:prime256v1',
        '-nodes',
        '-days',
        '2',
        ...subject,
        '-keyout',
        key,
        '-out',
        cert,
      ],
      { stdio: 'ignore' },
    )
    const relay = await startProcess({
      ...env,
      RELAY_HOST: '0.0.0.0',
      RELAY_HEALTH_HOST: '127.0.0.1',
      RELAY_TLS_CERT_FILE: cert,
      RELAY_TLS_KEY_FILE: key,
    })
    const link = await openLink(options(relay.port, { tls: { ca: readFileSync(cert, 'utf8') } }))
    const stream = await link.open(execRequest(target, 'echo wrapped'), password)
    await stream.opened()
    await stream.exit()
    expect(stream.stdout()).toBe('wrapped\n')
    await expect(openLink(options(relay.port))).rejects.toThrow()
    link.wire.cut()
    relay.child.kill('SIGTERM')
    expect(await relay.exited).toBe(0)
    rmSync(directory, { recursive: true })
  })
})
