import { once } from 'node:events'
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { Client } from 'ssh2'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import { createClient } from '../../src/client/client.ts'
import { DEMO_USER } from '../../src/dev/demo-host.ts'
import { commandOf } from '../../src/dev/processes.ts'
import { PASSWORD } from '../harness.ts'
import { familyOf, freePorts, makeClone, removeClone, type StackPorts, startStack, survivorsOf } from './stack.ts'

const STARTING_MS = 120_000
/** The warden's grace and some. */
const LEFTOVER_MS = 8_000

let folder: string
let ports: StackPorts
beforeAll(async () => {
  folder = makeClone()
  ports = await freePorts()
})
afterAll(() => removeClone(folder))

/** What is printed after a name in the table. */
const cell = (output: string, name: string) => new RegExp(`^ {2}${name} +(.+)$`, 'm').exec(output)?.[1] ?? ''

async function codeTo(email: string): Promise<string> {
  const answer = await fetch(`http://127.0.0.1:${ports.MAIL_CATCHER_PORT}/messages?to=${encodeURIComponent(email)}`)
  const [mail] = (await answer.json()) as { readonly text: string }[]
  return /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? ''
}

/** Logs into the demo host with what the table says, refusing any other host key, and runs one command. */
async function runOnDemoHost(output: string): Promise<string> {
  const password = / {3}password (\S+)/.exec(output)?.[1] ?? ''
  const fingerprint = /SHA256:(\S+)/.exec(output)?.[1] ?? ''
  const client = new Client()
  onTestFinished(() => void client.end())
  client.connect({
    host: '127.0.0.1',
    port: ports.DEMO_HOST_PORT,
    username: DEMO_USER,
    password,
    hostHash: 'sha256',
    hostVerifier: (hash: string) => Buffer.from(hash, 'hex').toString('base64').replace(/=+$/, '') === fingerprint,
  })
  await once(client, 'ready')
  return new Promise((resolve, reject) => {
    client.exec('whoami', (error, channel) => {
      if (error) return reject(error)
      channel.once('data', (bytes: Buffer) => resolve(bytes.toString().trim()))
    })
  })
}

describe('npm start', () => {
  const email = 'ada@example.org'
  let fingerprint: string
  let devVars: string

  test('brings up everything that its table names, and stops all of it', { timeout: STARTING_MS }, async () => {
    const run = startStack(folder, ports)
    const output = await run.ready
    expect(output).toContain('Parvis is ready')
    const origin = `http://localhost:${ports.PORT}`
    expect(cell(output, 'Console and API')).toBe(origin)
    for (const name of ['API reference', 'OpenAPI', 'Mail']) expect((await fetch(cell(output, name).split(' ')[0]!)).status, name).toBe(200)
    expect(await runOnDemoHost(output)).toBe(DEMO_USER)
    const relay = await fetch(`http://127.0.0.1:${ports.RELAY_HEALTH_PORT}/health/ready`)
    expect(relay.status).toBe(200)

    const client = createClient({ origin })
    const { registrationId } = await client.register({ body: { email, password: PASSWORD } })
    await expect.poll(() => codeTo(email), { timeout: 10_000 }).toMatch(/^\d{6}$/)
    await client.verifyEmail({ body: { registrationId, code: await codeTo(email) } })
    await client.login({ body: { email, password: PASSWORD } })

    const log = () => readFileSync(join(folder, '.parvis/logs/worker.log'), 'utf8')
    await expect.poll(log, { timeout: 10_000 }).toContain('"event":"sweep"')

    const second = startStack(folder, await freePorts())
    expect(await second.ended).toBe(1)
    expect(second.output()).toMatch(/^Parvis already runs from this folder, as process \d+: stop that one first\.\n$/)

    fingerprint = /SHA256:\S+/.exec(output)?.[0] ?? ''
    devVars = readFileSync(join(folder, '.dev.vars'), 'utf8')
    for (const secret of [
      '.dev.vars',
      '.parvis/relay-signing.jwk',
      '.parvis/relay-sealing.jwk',
      '.parvis/demo-host.key',
      '.parvis/mail.jsonl',
    ])
      expect(statSync(join(folder, secret)).mode & 0o077, secret).toBe(0)

    const family = familyOf(run.child.pid!)
    expect(family.length).toBeGreaterThan(5)
    run.child.kill('SIGTERM')
    expect(await run.ended).toBe(0)
    expect(await survivorsOf(family, 0)).toEqual([])
  })

  test('keeps accounts, secrets and host key over a restart, and leaves nobody behind when it is killed', {
    timeout: STARTING_MS,
  }, async () => {
    const run = startStack(folder, ports)
    const output = await run.ready
    const { userId } = await createClient({ origin: `http://localhost:${ports.PORT}` }).login({ body: { email, password: PASSWORD } })
    expect(userId).toMatch(/^usr_/)
    expect(/SHA256:\S+/.exec(output)?.[0]).toBe(fingerprint)
    expect(readFileSync(join(folder, '.dev.vars'), 'utf8')).toBe(devVars)

    const family = familyOf(run.child.pid!)
    const stack = Number(readFileSync(join(folder, '.parvis/pid'), 'utf8'))
    expect(family).toContain(stack)
    process.kill(stack, 'SIGKILL')
    expect(await survivorsOf(family, LEFTOVER_MS)).toEqual([])
  })

  test('stops everything and says so when one part ends', { timeout: STARTING_MS }, async () => {
    const run = startStack(folder, ports)
    await run.ready
    const family = familyOf(run.child.pid!)
    const relay = family.find((pid) => commandOf(pid)?.includes('src/relay/main.ts'))
    process.kill(relay!, 'SIGKILL')
    expect(await run.ended).toBe(1)
    expect(run.output().split('\n').at(-2)).toBe(
      'The relay ended unexpectedly (SIGKILL), so everything stops; what it said is in .parvis/logs.',
    )
    expect(await survivorsOf(family, 0)).toEqual([])
  })

  test('stops when the command that started it was killed and could not say so', { timeout: STARTING_MS }, async () => {
    const run = startStack(folder, ports)
    await run.ready
    const family = familyOf(run.child.pid!)
    run.child.kill('SIGKILL')
    expect(await run.ended).toBe('SIGKILL')
    expect(run.output().split('\n').at(-2)).toBe('The process that started Parvis is gone, so everything stops.')
    expect(await survivorsOf(family, 0)).toEqual([])
  })
})

/** What a start in `clone` says that cannot succeed. */
async function complaintOf(clone: string, its: Partial<StackPorts> = ports): Promise<string> {
  const run = startStack(clone, its)
  expect(await run.ended).toBe(1)
  return run.output()
}

/** Another text in a file of the shared clone, for one test. */
function edit(path: string, change: (text: string) => string): void {
  const before = existsSync(join(folder, path)) ? readFileSync(join(folder, path), 'utf8') : ''
  writeFileSync(join(folder, path), change(before))
  onTestFinished(() => writeFileSync(join(folder, path), before))
}

describe('one sentence says what is wrong, and nothing runs', () => {
  test('when a port is in use: which, by whom, and how to change it', async () => {
    const server = createServer().listen(0, '127.0.0.1')
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { port } = server.address() as { readonly port: number }
    expect(await complaintOf(folder, { ...ports, MAIL_CATCHER_PORT: port })).toBe(
      `Port ${port} for the mail catcher is taken by node, process ${process.pid}: end it, or choose another port with \`MAIL_CATCHER_PORT=… npm start\`.\n`,
    )
  })

  test('when .dev.vars holds what cannot be used: the key, never the value', async () => {
    edit('.dev.vars', (text) => `${text.replace(/^SECRET_KEYS=.*$/m, '')}SECRET_KEYS=1:dG9vLXNob3J0\nACCESS_TTL_SECONDS=forever\n`)
    expect(await complaintOf(folder)).toBe(
      '.dev.vars has values that cannot be used (SECRET_KEYS, ACCESS_TTL_SECONDS): correct them, or remove their lines and start again.\n',
    )
  })

  test('when a migration does not fit the database', { timeout: STARTING_MS }, async () => {
    const path = join(folder, 'migrations/9999_broken.sql')
    writeFileSync(path, 'INSERT INTO nowhere VALUES (1);\n')
    onTestFinished(() => rmSync(path))
    expect(await complaintOf(folder)).toMatch(/^Starting Parvis…\nThe local database cannot be migrated: .*nowhere.*\n$/)
  })

  test('when the Worker does not compile: what and where', { timeout: STARTING_MS }, async () => {
    edit('src/edge/worker.ts', (text) => `${text}import { nothing } from './nowhere.ts'\nconsole.log(nothing)\n`)
    expect(await complaintOf(folder)).toMatch(
      /^Starting Parvis…\nThe Worker does not start: Could not resolve "\.\/nowhere\.ts" \(src\/edge\/worker\.ts:\d+:\d+\)\.\n$/,
    )
  })

  test('when the Worker fails as it starts', { timeout: STARTING_MS }, async () => {
    edit('src/edge/worker.ts', (text) => `${text}throw new Error('this is the reason')\n`)
    expect(await complaintOf(folder)).toMatch(/^Starting Parvis…\nThe Worker does not start: .*this is the reason\.\n$/)
  })

  test('when the Worker refuses its configuration: the key', { timeout: STARTING_MS }, async () => {
    edit('wrangler.toml', (text) => text.replace(/^ACCESS_TTL_SECONDS = .*$/m, 'ACCESS_TTL_SECONDS = "forever"'))
    expect(await complaintOf(folder)).toMatch(
      /^Starting Parvis…\nThe Worker does not start: config\.refused: refused configuration: ACCESS_TTL_SECONDS \(trace \w+\)\.\n$/,
    )
  })

  test('when wrangler is not there', async () => {
    const clone = makeClone({ without: ['wrangler'] })
    onTestFinished(() => removeClone(clone))
    expect(await complaintOf(clone)).toBe('Starting Parvis…\nwrangler is not installed: run `npm ci`.\n')
  })
})
