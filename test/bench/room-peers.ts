import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startMailbox } from '../mailbox.ts'
import { startBare } from './runtime.ts'
import { call, installPeers, migrate, PASSWORD, parvis, signUp, type Tokens } from './stack.ts'

/** How a client gets to a room of one server. */
export interface Address {
  readonly url: string
  readonly protocols: readonly string[]
  /** The document's name in every frame, where frames have one. */
  readonly name?: string
  readonly token?: string
  /** Whether it is socket.io, which knows no documents. */
  readonly isRelay?: true
}

/** One server that rooms are measured on. */
export interface Contender {
  readonly name: string
  readonly pid: number
  /** A room nobody has used, as so many clients get to it, one after the other. */
  readonly openRoom: () => Promise<(client: number) => Address>
  /** Kills it and starts it again over what it kept, where it keeps anything. */
  readonly kill?: () => Promise<void>
  /** Ends the session of a client, where there are any. */
  readonly revoke?: (client: number) => Promise<void>
  readonly stop: () => Promise<void>
}

const ws = (url: string): string => url.replace('http', 'ws')
/** A user may have fifty sockets in a room; these are enough users for every workload. */
const USERS = 21

async function startParvis(name: string, vars: Readonly<Record<string, string>>): Promise<Contender> {
  const dir = mkdtempSync(join(tmpdir(), 'parvis-rooms-'))
  const mailbox = await startMailbox()
  const worker = parvis(mailbox.port)
  const workers = [{ ...worker, bindings: { ...worker.bindings, ...vars } }]
  let bare = await startBare(workers, dir)
  await migrate(bare.runtime)
  let origin = bare.urls['parvis'] ?? ''
  const users: Tokens[] = []
  for (let i = 0; i < USERS; i++) users.push(await signUp(origin, mailbox, `room-${i}@example.org`))
  const of = (client: number) => users[client % USERS] as Tokens
  const send = async (method: string, path: string, by: Tokens, body?: object) => {
    const headers = { authorization: `Bearer ${by.accessToken}`, 'content-type': 'application/json' }
    const answer = await fetch(`${origin}${path}`, { method, headers, ...(body ? { body: JSON.stringify(body) } : {}) })
    if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}`)
    return (answer.status === 204 ? {} : await answer.json()) as { readonly id: string }
  }
  const ids = await Promise.all(users.map(async (user) => (await send('GET', '/v1/me', user)).id))
  return {
    name,
    pid: bare.pid,
    async openRoom() {
      const { id } = await send('POST', '/v1/rooms', of(0), { name: 'bench' })
      for (const userId of ids.slice(1)) await send('PUT', `/v1/rooms/${id}/members/${userId}`, of(0), { role: 'editor' })
      return (client) => ({ url: `${ws(origin)}/v1/rooms/${id}/y`, protocols: ['parvis', `bearer.${of(client).accessToken}`] })
    },
    async kill() {
      process.kill(bare.pid, 'SIGKILL')
      await bare.runtime.dispose().catch(() => undefined)
      bare = await startBare(workers, dir)
      origin = bare.urls['parvis'] ?? ''
    },
    async revoke(client) {
      await call(`${origin}/v1/auth/logout`, { refreshToken: of(client).refreshToken })
      users[client % USERS] = await call<Tokens>(`${origin}/v1/auth/login`, {
        email: `room-${client % USERS}@example.org`,
        password: PASSWORD,
      })
    },
    async stop() {
      await bare.runtime.dispose()
      await mailbox.stop()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

let rooms = 0

async function startPartyServer(home: string): Promise<Contender> {
  const dir = mkdtempSync(join(tmpdir(), 'parvis-rooms-'))
  const options = { durableObjects: { Documents: { className: 'Documents', useSQLite: true } } }
  const { runtime, urls, pid } = await startBare([{ name: 'party', entry: join(home, 'y-partyserver.mjs'), bindings: {}, options }], dir)
  return {
    name: 'y-partyserver',
    pid,
    async openRoom() {
      const room = `room${++rooms}`
      return () => ({ url: `${ws(urls['party'] ?? '')}/parties/documents/${room}`, protocols: [] })
    },
    async stop() {
      await runtime.dispose()
      rmSync(dir, { recursive: true, force: true })
    },
  }
}

/** A peer that runs on Node as a process of its own and says on which port. */
async function startOnNode(
  home: string,
  name: string,
  script: string,
  addressOf: (origin: string, room: string) => Address,
): Promise<Contender> {
  const child = spawn(process.execPath, [script], { cwd: home, stdio: ['ignore', 'pipe', 'inherit'] })
  const [port] = (await once(child.stdout, 'data')) as [Buffer]
  const origin = `ws://127.0.0.1:${Number(String(port))}`
  return {
    name,
    pid: child.pid ?? 0,
    async openRoom() {
      const room = `room${++rooms}`
      return () => addressOf(origin, room)
    },
    async stop() {
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}

/** Each server by a name to start it with; one runs at a time, so that none takes from another. */
export function contenders(): Readonly<Record<'parvis' | 'leaves' | 'party' | 'y' | 'hocuspocus' | 'socketio', () => Promise<Contender>>> {
  const home = installPeers()
  return {
    parvis: () => startParvis('Parvis', { ROOM_LEAVES_ABOVE: '10000' }),
    leaves: () => startParvis('Parvis, leaves of 250', { ROOM_LEAVES_ABOVE: '2', ROOM_LEAF_SOCKETS: '250' }),
    party: () => startPartyServer(home),
    y: () =>
      startOnNode(home, '@y/websocket-server', 'y-websocket-server.mjs', (origin, room) => ({ url: `${origin}/${room}`, protocols: [] })),
    hocuspocus: () =>
      startOnNode(home, 'Hocuspocus', 'hocuspocus.mjs', (origin, room) => ({ url: origin, protocols: [], name: room, token: 'any' })),
    socketio: () =>
      startOnNode(home, 'socket.io (keeps nothing)', 'socket-io.mjs', (origin, room) => ({
        url: `${origin}/socket.io/?EIO=4&transport=websocket&room=${room}`,
        protocols: [],
        isRelay: true,
      })),
  }
}
