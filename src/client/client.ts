import type { Endpoint } from '../contract/endpoint.ts'
import type { TokenMode, Tokens } from '../contract/identity.ts'
import { isProblem, Problem, type ProblemSlug } from '../contract/problem.ts'
import { endpoints, sockets } from '../contract/registry.ts'
import type { AnyInput, Api, CallOptions, Input } from './api.ts'
import { unlessAborted } from './backoff.ts'
import { type Caller, createCaller } from './call.ts'
import type { SocketConstructor, SocketLike } from './connection.ts'
import { createDoor, type Door, type DoorTarget } from './door.ts'
import { createEmitter, type Emitter, type Listener } from './emitter.ts'
import { createExchange, type Exchange, type FetchLike, randomHex } from './exchange.ts'
import { ClosedError, ContractError, NetworkError } from './failure.ts'
import { connectInbox, type Inbox, type InboxEvents, type InboxOptions } from './inbox.ts'
import type { Finished, Passkeys } from './passkeys.ts'
import type { JoinOptions, Room, RoomEvents } from './room.ts'
import { keepSession, type SessionEvents, type SessionKeeper, type SignOutCause } from './session.ts'
import { type AttachOptions, attachShell, type ShellEnd, type ShellEvents, type ShellView } from './shell.ts'
import type { TakeOutput } from './shell-output.ts'
import { type AwaitedFactor, createSignIns, type SignInResult, type SignIns } from './sign-in.ts'
import type { SocketStatus } from './socket.ts'
import { localStorageTokens, memoryTokens, type StoredTokens, type TokenStore } from './tokens.ts'

export type {
  Api,
  AttachOptions,
  AwaitedFactor,
  CallOptions,
  FetchLike,
  Finished,
  Inbox,
  InboxEvents,
  InboxOptions,
  JoinOptions,
  Listener,
  Passkeys,
  ProblemSlug,
  Room,
  RoomEvents,
  SessionEvents,
  ShellEnd,
  ShellEvents,
  ShellView,
  SignInResult,
  SignIns,
  SignOutCause,
  SocketConstructor,
  SocketLike,
  SocketStatus,
  StoredTokens,
  TakeOutput,
  TokenStore,
}
export { ClosedError, ContractError, isProblem, localStorageTokens, memoryTokens, NetworkError, Problem }

/** How to reach a service. */
export interface ClientOptions {
  /** Where it is, as in `https://parvis.example.org`. */
  readonly origin: string
  /** How tokens travel: in headers (`bearer`, the default), or in cookies that no script can read (same-site pages). */
  readonly mode?: TokenMode | undefined
  /** Where tokens are kept; in memory if left out. */
  readonly tokens?: TokenStore | undefined
  /** Sends requests; the platform's `fetch` if left out. */
  readonly fetch?: FetchLike | undefined
  /** Opens sockets; the platform's if left out. Node 20 has none: give the one of the `ws` package. */
  readonly WebSocket?: SocketConstructor | undefined
}

/** A signed-in device, without its secrets. */
export type SignedIn = Pick<StoredTokens, 'sessionId' | 'userId' | 'expiresAt' | 'sessionExpiresAt'>

/** Rooms, live. */
export interface Rooms {
  /**
   * Joins a room; the connection is made and kept in the background, so this neither waits for the network nor fails by it.
   *
   * @throws TypeError when the platform has no WebSocket
   */
  readonly join: (roomId: string, options?: JoinOptions) => Promise<Room>
}

/** Notifications, live. */
export interface Inboxes {
  /**
   * Connects to the inbox of whoever is signed in; the connection is made and kept in the background.
   *
   * @throws TypeError when the platform has no WebSocket
   */
  readonly connect: (options?: InboxOptions) => Inbox
}

/** Shells, live. */
export interface Shells {
  /** Watches a shell, and types into it if you opened it. @throws TypeError when the platform has no WebSocket */
  readonly attach: (shellId: string, options: AttachOptions) => ShellView
  /** Opens a shell and attaches to it. Rejects as `openShell` does. */
  readonly open: (input: Input<typeof endpoints.openShell>, options: AttachOptions & CallOptions) => Promise<ShellView>
}

type OwnTokenInput = { readonly body?: { readonly refreshToken?: undefined } }

/** A client of one service, for one signed-in device at a time. */
export interface Client extends Omit<Api, keyof SignIns | 'refresh' | 'logout'>, SignIns {
  /**
   * Replaces the tokens now; calls do so by themselves when it is time. One refresh serves all who ask while it is under way.
   *
   * @throws Problem `unauthenticated`, `session-ended` or `refresh-reused`; each signs this device out
   */
  readonly refresh: (input?: OwnTokenInput, options?: CallOptions) => Promise<StoredTokens>
  /**
   * Ends the session and forgets the tokens; without a session it does nothing. If the service cannot be reached the tokens
   * stay, so that it can be repeated: a session that lives on unseen would be worse.
   *
   * @throws NetworkError
   */
  readonly logout: (input?: OwnTokenInput, options?: CallOptions) => Promise<void>
  /** Who is signed in, as far as the kept tokens tell. */
  readonly session: () => Promise<SignedIn | undefined>
  /** A fresh access token for other tools, such as a y-websocket provider; nothing in cookie mode or when nobody is signed in. */
  readonly accessToken: () => Promise<string | undefined>
  /** Listens until the returned function is called. */
  readonly on: <K extends keyof SessionEvents>(name: K, listener: Listener<SessionEvents[K]>) => () => void
  readonly rooms: Rooms
  readonly inbox: Inboxes
  readonly shells: Shells
  /** Closes its rooms, inboxes and shells and stops watching its tokens, which stay where they are. */
  readonly close: () => void
}

/** A refresh that hangs this long is asked for again: others wait for it. */
const REFRESH_TIMEOUT_MS = 15_000

interface Parts {
  readonly origin: string
  readonly mode: TokenMode
  readonly store: TokenStore
  readonly events: Emitter<SessionEvents>
  readonly session: SessionKeeper
  readonly call: Caller
  readonly Socket: SocketConstructor | undefined
  /** What closes each open room, inbox and shell. */
  readonly open: Set<() => void>
}

/** Makes a client. Nothing is sent until something is asked of it. */
export function createClient(options: ClientOptions): Client {
  const { origin, mode = 'bearer', tokens: store = memoryTokens(), WebSocket: Socket = globalThis.WebSocket } = options
  const send: FetchLike = options.fetch ?? ((url, init) => fetch(url, init))
  const exchange = createExchange({ origin, fetch: send, hasCookies: mode === 'cookie' })
  const events = createEmitter<SessionEvents>()
  const session = keepSession({
    mode,
    store,
    events,
    sendRefresh: async (token) => (await sendToken(exchange, endpoints.refresh, token)) as Tokens,
    sendLogout: async (token) => void (await sendToken(exchange, endpoints.logout, token)),
  })
  const parts: Parts = { origin, mode, store, events, session, call: createCaller(exchange, session), Socket, open: new Set() }
  return {
    ...createApi(parts.call),
    ...createSignIns(parts),
    ...createAccount(parts),
    on: events.on,
    rooms: createRooms(parts),
    inbox: createInboxes(parts),
    shells: createShells(parts),
    close() {
      session.stop()
      for (const close of parts.open) close()
    },
  }
}

const sendToken = (exchange: Exchange, endpoint: Endpoint, refreshToken: string | undefined): Promise<unknown> =>
  exchange({
    endpoint,
    input: { body: refreshToken === undefined ? {} : { refreshToken } },
    traceId: randomHex(16),
    timeoutMs: REFRESH_TIMEOUT_MS,
  })

function createApi(call: Caller): Api {
  const methods = Object.entries(endpoints as Readonly<Record<string, Endpoint>>).map(([id, endpoint]) => [
    id,
    (input: AnyInput = {}, options?: CallOptions) => call(endpoint, input, options),
  ])
  return Object.fromEntries(methods) as Api
}

const withoutSecrets = ({ sessionId, userId, expiresAt, sessionExpiresAt }: StoredTokens): SignedIn => ({
  sessionId,
  userId,
  expiresAt,
  sessionExpiresAt,
})

type Account = Pick<Client, 'refresh' | 'logout' | 'session' | 'accessToken'>

function createAccount({ store, session, call }: Parts): Account {
  return {
    async refresh(_, { signal } = {}) {
      const renewed = await unlessAborted(session.renew(await store.read()), signal)
      // Nobody is signed in; the service says so in its own words.
      if (!renewed) return (await call(endpoints.refresh, {}, { signal })) as Tokens
      return renewed
    },
    logout: (_, { signal } = {}) => unlessAborted(session.logout(), signal),
    async session() {
      const stored = await store.read()
      return stored && withoutSecrets(stored)
    },
    accessToken: async () => (await session.current())?.accessToken,
  }
}

function doorOf(parts: Parts, target: DoorTarget): Door {
  const { origin, session, Socket, events } = parts
  if (!Socket) throw new TypeError('This platform has no WebSocket: give one to createClient.')
  return createDoor({ origin, session, Socket, onSignedOut: (left) => events.on('signedOut', left) }, target)
}

/** Keeps a live thing until it is over. */
function track<T extends { readonly close: () => void }>(
  { open }: Parts,
  live: T,
  onStatus: (listener: Listener<SocketStatus>) => void,
): T {
  open.add(live.close)
  onStatus((status) => status === 'closed' && open.delete(live.close))
  return live
}

function createRooms(parts: Parts): Rooms {
  const ask = (endpoint: Endpoint, params: { readonly roomId: string }) => parts.call(endpoint, { params }, { tries: 1 })
  return {
    async join(id, options = {}) {
      const params = { roomId: id }
      const hasTicket = options.ticket ?? parts.mode === 'cookie'
      const door = doorOf(parts, {
        path: sockets.joinRoomY.path,
        params,
        takeTicket: hasTicket ? () => ask(endpoints.createRoomTicket, params) as ReturnType<Api['createRoomTicket']> : undefined,
        explain: () => ask(endpoints.getRoom, params),
      })
      // Loaded when first needed: those who join no room do not carry Yjs.
      const { joinRoom } = await import('./room.ts')
      const room = joinRoom(id, door, options)
      return track(parts, room, (listener) => room.on('status', listener))
    },
  }
}

function createInboxes(parts: Parts): Inboxes {
  const { call, session, mode } = parts
  return {
    connect({ since, ticket } = {}) {
      const hasTicket = ticket ?? mode === 'cookie'
      const door = doorOf(parts, {
        path: sockets.joinInbox.path,
        params: {},
        takeTicket: hasTicket
          ? () => call(endpoints.createInboxTicket, {}, { tries: 1 }) as ReturnType<Api['createInboxTicket']>
          : undefined,
        explain: () => call(endpoints.getUnread, {}, { tries: 1 }),
      })
      const inbox = connectInbox({
        door,
        since,
        accessToken: async () => (await session.current())?.accessToken,
        readUpTo: (upTo) => call(endpoints.readNotifications, { body: { upTo } }, {}),
      })
      return track(parts, inbox, (listener) => inbox.on('status', listener))
    },
  }
}

function createShells(parts: Parts): Shells {
  const ask = (endpoint: Endpoint, params: { readonly shellId: string }) => parts.call(endpoint, { params }, { tries: 1 })
  function attach(id: string, options: AttachOptions): ShellView {
    const params = { shellId: id }
    const hasTicket = options.ticket ?? parts.mode === 'cookie'
    const door = doorOf(parts, {
      path: sockets.viewShell.path,
      params,
      takeTicket: hasTicket ? () => ask(endpoints.createShellTicket, params) as ReturnType<Api['createShellTicket']> : undefined,
      explain: () => ask(endpoints.getShell, params),
    })
    const view = attachShell(id, { ...options, door, closeShell: () => ask(endpoints.closeShell, params) })
    return track(parts, view, (listener) => view.on('status', listener))
  }
  return {
    attach,
    async open(input, { signal, ...options }) {
      const shell = (await parts.call(endpoints.openShell, input, { signal })) as Awaited<ReturnType<Api['openShell']>>
      return attach(shell.id, options)
    },
  }
}
