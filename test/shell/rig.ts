import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { createInterface } from 'node:readline'
import type { Credential } from '../../src/contract/hosts.ts'
import { generateSealingKey, generateSigningKey } from '../../src/relay/keys.ts'
import { type Edge, startEdge, type TestUser } from '../harness.ts'
import { join } from '../orgs/join.ts'
import { freePort, type Sshd, startSshd } from '../relay/sshd.ts'

/** The keys that a relay and the Worker share. */
export function makeKeys() {
  const dialer = generateSigningKey()
  const signing = generateSigningKey()
  const sealing = generateSealingKey()
  return {
    edge: {
      RELAY_ID: 'relay-test',
      RELAY_VERIFY_KEY: JSON.stringify(signing.publicJwk),
      RELAY_SEAL_KEY: JSON.stringify(sealing.publicJwk),
      RELAY_DIALER_KEY: JSON.stringify(dialer.privateJwk),
    },
    relay: {
      RELAY_ID: 'relay-test',
      RELAY_SIGNING_KEY: JSON.stringify(signing.privateJwk),
      RELAY_SEALING_KEY: JSON.stringify(sealing.privateJwk),
      RELAY_DIALER_KEYS: JSON.stringify([dialer.publicJwk]),
    },
  }
}
export type Keys = ReturnType<typeof makeKeys>

/** The relay as it is deployed: a process of its own. */
export async function startRelay(keys: Keys, { port, env = {} }: { readonly port: number; readonly env?: Record<string, string> }) {
  const child: ChildProcess = spawn(process.execPath, ['src/relay/main.ts'], {
    env: {
      PATH: process.env['PATH'],
      ...keys.relay,
      RELAY_PORT: String(port),
      RELAY_HEALTH_PORT: '0',
      RELAY_ALLOW_CIDRS: '127.0.0.1/32',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: string[] = []
  const gone = once(child, 'exit')
  const orphaned = () => child.kill('SIGKILL')
  process.once('exit', orphaned)
  child.once('exit', () => process.off('exit', orphaned))
  await new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      if (stream)
        createInterface({ input: stream }).on('line', (line) => {
          lines.push(line)
          if (line.includes('relay-listening')) resolve()
        })
    }
    child.once('exit', () => reject(new Error(`the relay ended: ${lines.join(' / ')}`)))
  })
  return {
    lines,
    pid: child.pid,
    events: (name: string) =>
      lines
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as Record<string, unknown>)
        .filter((line) => line['event'] === name),
    async kill(signal: NodeJS.Signals = 'SIGKILL') {
      child.kill(signal)
      await gone
    },
  }
}

/** A network between the Worker and the relay that can be cut. */
export async function startNetwork(toPort: number) {
  const sockets = new Set<Socket>()
  let isBlocked = false
  const server = createServer((near) => {
    const far = connect(toPort, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => undefined)
      socket.on('close', () => {
        sockets.delete(socket)
        near.destroy()
        far.destroy()
      })
    }
    if (isBlocked) return void near.destroy()
    near.pipe(far)
    far.pipe(near)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const cut = () => {
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: (server.address() as AddressInfo).port,
    /** Breaks what is connected now. */
    cut,
    /** Breaks it and lets nothing through. */
    block(value: boolean) {
      isBlocked = value
      if (value) cut()
    },
    /** Lets nothing through and tells nobody: what is connected now hears no more. */
    freeze() {
      for (const socket of sockets) socket.unpipe().pause()
    },
    links: () => sockets.size / 2,
    close() {
      cut()
      server.close()
    },
  }
}

/** Everything a shell passes through, all real: Worker, network, relay, sshd; and an organisation with a host and its owner. */
export async function startRig({
  sshd: sshdOptions = {},
  vars = {},
  relayEnv = {},
}: {
  readonly sshd?: Parameters<typeof startSshd>[0]
  readonly vars?: Record<string, string>
  readonly relayEnv?: Record<string, string>
} = {}) {
  const keys = makeKeys()
  const stops: (() => Promise<void> | void)[] = []
  async function stop() {
    for (const one of stops.toReversed()) await one()
  }
  try {
    return await start()
  } catch (error) {
    await stop()
    throw error
  }
  async function start() {
    const sshd = await startSshd(sshdOptions)
    stops.push(sshd.stop)
    const relayPort = await freePort()
    const env = { RELAY_ALLOW_PORTS: `${sshd.port},22`, ...relayEnv }
    let relay = await startRelay(keys, { port: relayPort, env })
    stops.push(() => relay.kill())
    const network = await startNetwork(relayPort)
    stops.push(network.close)
    const edge = await startEdge({ vars: { ...keys.edge, RELAY_HOST: '127.0.0.1', RELAY_PORT: String(network.port), ...vars } })
    stops.push(edge.stop)
    const owner = await edge.signUp('owner')
    const org = await owner.client.createOrg({ body: { name: 'Harbour' } })
    const host = await owner.client.createHost({ params: { orgId: org.id }, body: hostBody(sshd) })

    /** A new user with this role in the organisation. */
    async function member(role: 'owner' | 'operator' | 'reader'): Promise<TestUser> {
      const user = await edge.signUp(role)
      await join(edge, owner, { orgId: org.id, user, role })
      return user
    }
    return {
      keys,
      sshd,
      network,
      edge,
      owner,
      org,
      host,
      member,
      relay: () => relay,
      async restartRelay() {
        relay = await startRelay(keys, { port: relayPort, env })
      },
      stop,
    }
  }
}
export type Rig = Awaited<ReturnType<typeof startRig>>

/** What `createHost` takes for a test sshd. */
export const hostBody = (sshd: Pick<Sshd, 'host' | 'port' | 'user' | 'privateKey' | 'hostKeys'>, credential?: Credential) => ({
  name: 'web-1',
  address: sshd.host,
  port: sshd.port,
  user: sshd.user,
  keys: sshd.hostKeys.map(({ type, key }) => ({ type, key })),
  credential: credential ?? { kind: 'private-key' as const, privateKey: sshd.privateKey },
})

/** A shell's screen as a test reads it. */
export function screenOf() {
  const chunks: Uint8Array[] = []
  let bytes = 0
  const waiting = new Set<() => void>()
  const text = () => Buffer.concat(chunks).toString('utf8')
  return {
    output(chunk: Uint8Array) {
      chunks.push(chunk.slice())
      bytes += chunk.length
      for (const wake of waiting) wake()
    },
    text,
    bytes: () => bytes,
    buffer: () => Buffer.concat(chunks),
    /** Waits until the output holds this, or `look` is content. */
    async until(look: string | ((text: string) => boolean), ms = 15_000): Promise<string> {
      const isThere = () => (typeof look === 'string' ? text().includes(look) : look(text()))
      const deadline = AbortSignal.timeout(ms)
      while (!isThere()) {
        await new Promise<void>((resolve, reject) => {
          const wake = () => {
            waiting.delete(wake)
            resolve()
          }
          waiting.add(wake)
          deadline.addEventListener('abort', () => reject(new Error(`not seen: ${String(look)}; saw ${text().slice(-400)}`)), {
            once: true,
          })
        })
      }
      return text()
    },
  }
}

/** Waits for a condition that no event tells of, for a bounded time. */
export async function until<T>(look: () => Promise<T | undefined | false> | T | undefined | false, ms = 15_000): Promise<T> {
  const deadlineAt = Date.now() + ms
  for (;;) {
    const found = await look()
    if (found !== undefined && found !== false) return found
    if (Date.now() > deadlineAt) throw new Error(`nothing within ${ms} ms`)
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
}

/** Whether no process has this id any more. */
export function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return false
  } catch {
    return true
  }
}

/** The problem a call meets. */
export async function problemOf(call: Promise<unknown>): Promise<{ readonly slug: string; readonly detail: string | undefined }> {
  try {
    await call
  } catch (error) {
    if (error instanceof Error && 'slug' in error) {
      const { slug, extras } = error as Error & { slug: string; extras: { detail?: string } }
      return { slug, detail: extras.detail }
    }
    throw error
  }
  throw new Error('it went through')
}

export type { Edge }
