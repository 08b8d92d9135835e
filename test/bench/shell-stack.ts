import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import ssh2 from 'ssh2'
import { type Client, createClient } from '../../src/client/client.ts'
import { startMailbox } from '../mailbox.ts'
import { freePort, type Sshd, startSshd } from '../relay/sshd.ts'
import { hostBody, type Keys, makeKeys, startRelay } from '../shell/rig.ts'
import { startBare } from './runtime.ts'
import { migrate, PASSWORD, parvis, signUp } from './stack.ts'

const EMAIL = 'operator@example.org'
/** Doors of one sshd, which has 16 at most: a relay is at one with few handshakes at a time, as it is with a host. */
const DOORS = 14

/** An sshd with several doors, and a relay and the Worker in front of it, each as it is deployed. */
export interface ShellStack {
  readonly origin: string
  readonly client: Client
  readonly orgId: string
  readonly hostId: string
  readonly sshd: Sshd
  readonly ports: readonly number[]
  /** Of the runtime. */
  readonly pid: number
  readonly stop: () => Promise<void>
}

/** Many sessions at once, and no waiting room. */
const ROOMY = ['Subsystem sftp internal-sftp', 'MaxSessions 200', 'MaxStartups 1000']

/** What one relay of its own needs to be measured alone. */
export async function startBenchRelay(keys: Keys, ports: readonly number[]) {
  const port = await freePort()
  const env = { RELAY_ALLOW_PORTS: ports.join(','), RELAY_SHELLS_MAX: '2000', RELAY_SHELLS_PER_TENANT_MAX: '2000' }
  return { port, ...(await startRelay(keys, { port, env })) }
}

/** Resolves when somebody listens there. */
async function listening(port: number): Promise<void> {
  for (;;) {
    const socket = connect(port, '127.0.0.1')
    const isOpen = await new Promise<boolean>((resolve) => socket.once('connect', () => resolve(true)).once('error', () => resolve(false)))
    socket.destroy()
    if (isOpen) return
    await wait(20)
  }
}

/** Starts all of it. */
export async function startShellStack(): Promise<ShellStack> {
  const dir = mkdtempSync(join(tmpdir(), 'parvis-shells-'))
  const more = await Promise.all(Array.from({ length: DOORS - 1 }, () => freePort()))
  const sshd = await startSshd({ lines: [...ROOMY, ...more.map((port) => `ListenAddress 127.0.0.1:${port}`)] })
  const ports = [sshd.port, ...more]
  await Promise.all(ports.map(listening))
  const keys = makeKeys()
  const relay = await startBenchRelay(keys, ports)
  const mailbox = await startMailbox()
  const worker = parvis(mailbox.port)
  const bindings = { ...worker.bindings, ...keys.edge, RELAY_TRANSPORT: 'tcp', RELAY_HOST: '127.0.0.1', RELAY_PORT: String(relay.port) }
  const options = { ...worker.options, r2Buckets: { RECORDINGS: 'recordings' } }
  const LIMITS = `${worker.bindings.LIMITS} write=1000000/60`
  const { runtime, urls, pid } = await startBare([{ ...worker, bindings: { ...bindings, LIMITS }, options }], dir)
  await migrate(runtime)
  const origin = urls['parvis'] ?? ''
  await signUp(origin, mailbox, EMAIL)
  const client = createClient({ origin })
  await client.login({ body: { email: EMAIL, password: PASSWORD } })
  const { id: orgId } = await client.createOrg({ body: { name: 'Bench' } })
  const { id: hostId } = await client.createHost({ params: { orgId }, body: hostBody(sshd) })
  return {
    origin,
    client,
    orgId,
    hostId,
    sshd,
    ports,
    pid,
    async stop() {
      client.close()
      await runtime.dispose()
      await relay.kill()
      await sshd.stop()
      await mailbox.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** A terminal as somebody sits before it. */
export interface Terminal {
  readonly type: (text: string) => void
  readonly onOutput: (listener: (bytes: Uint8Array) => void) => void
  readonly close: () => void
}

/** Ours, as a browser has it. */
export async function openOurs({ client, hostId }: ShellStack): Promise<Terminal> {
  // What comes before anybody listens is the prompt that is waited for.
  const early: Uint8Array[] = []
  let listener = (bytes: Uint8Array): void => void early.push(bytes.slice())
  const view = await client.shells.open({ body: { hostId: hostId as never } }, { output: (bytes) => listener(bytes) })
  return {
    type: (text) => view.write(text),
    onOutput(given) {
      listener = given
      for (const bytes of early.splice(0)) given(bytes)
    },
    close: () => void view.end().catch(() => undefined),
  }
}

const sshArguments = ({ sshd }: ShellStack): string[] => {
  const key = join(sshd.directory, 'bench-key')
  writeFileSync(key, sshd.privateKey)
  chmodSync(key, 0o600)
  const options = ['StrictHostKeyChecking=no', 'UserKnownHostsFile=/dev/null', 'LogLevel=ERROR', 'BatchMode=yes', 'IdentitiesOnly=yes']
  return ['-F', '/dev/null', '-i', key, ...options.flatMap((option) => ['-o', option])]
}

/** Plain `ssh`. */
export function openPlain(stack: ShellStack): Terminal {
  const { sshd } = stack
  const child: ChildProcess = spawn('ssh', [...sshArguments(stack), '-tt', '-p', String(sshd.port), `${sshd.user}@127.0.0.1`], {
    stdio: ['pipe', 'pipe', 'ignore'],
  })
  return {
    type: (text) => void child.stdin?.write(text),
    onOutput: (listener) => void child.stdout?.removeAllListeners('data').on('data', listener),
    close: () => void child.kill(),
  }
}

/** Seconds that plain `sftp` takes for a batch. */
export function plainSftp(stack: ShellStack, batch: string): number {
  const startedAt = performance.now()
  const { sshd } = stack
  execFileSync('sftp', ['-q', ...sshArguments(stack), '-b', '-', '-P', String(sshd.port), `${sshd.user}@127.0.0.1`], {
    input: batch,
    stdio: ['pipe', 'ignore', 'inherit'],
  })
  return (performance.now() - startedAt) / 1000
}

/** The same library as the relay's, without the relay. */
export function connectPlain({ sshd }: ShellStack): Promise<InstanceType<typeof ssh2.Client>> {
  const client = new ssh2.Client()
  return new Promise((resolve, reject) => {
    client.once('error', reject).once('ready', () => resolve(client))
    client.connect({ host: sshd.host, port: sshd.port, username: sshd.user, privateKey: sshd.privateKey })
    client.setNoDelay(true)
  })
}

/** Runs one command by the plain library. */
export const execPlain = (client: InstanceType<typeof ssh2.Client>, command: string): Promise<void> =>
  new Promise((resolve, reject) => {
    client.exec(command, (error, channel) => {
      if (error) return reject(error)
      channel.resume().once('close', () => resolve())
    })
  })

/** Memory of a process, megabytes. */
export const residentMb = (pid: number): number => Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024
