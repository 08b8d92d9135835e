import type { Endpoint } from '../contract/endpoint.ts'
import type { TokenMode, Tokens } from '../contract/identity.ts'
import { isProblem, Problem, type ProblemSlug } from '../contract/problem.ts'
import { endpoints } from '../contract/registry.ts'
import type { AnyInput, Api, CallOptions, Download, KeyApi, Parts, Uploadable } from './api.ts'
import { unlessAborted } from './backoff.ts'
import { type Caller, createCaller } from './call.ts'
import type { SocketConstructor, SocketLike } from './connection.ts'
import { type DeviceKeeper, type DeviceMarks, type DeviceStore, keepDevice, memoryDevice } from './device.ts'
import { createEmitter, type Listener } from './emitter.ts'
import { createExchange, type Exchange, type FetchLike, randomHex } from './exchange.ts'
import { ClosedError, ContractError, NetworkError } from './failure.ts'
import type { Inbox, InboxEvents, InboxOptions } from './inbox.ts'
import { keyCredentials } from './key.ts'
import { createInboxes, createRooms, createShells, type Inboxes, type Rooms, type Shells } from './live.ts'
import { type MailedLink, mailedLinkOf, takeMailedLink } from './mailed-link.ts'
import type { Message, Reaction } from './message-list.ts'
import type { Messages, MessagesState } from './messages.ts'
import type { Pending, Sent } from './outbox.ts'
import type { Finished, Passkeys } from './passkeys.ts'
import type { PresenceState, ShownState } from './people.ts'
import type { JoinOptions, Room, RoomEvents, RoomPresence, Signal } from './room.ts'
import { keepSession, type SessionEvents, type SessionKeeper, type SignOutCause } from './session.ts'
import type { AttachOptions, ShellEnd, ShellEvents, ShellView } from './shell.ts'
import type { TakeOutput } from './shell-output.ts'
import { type AwaitedFactor, createSignIns, type SignInResult, type SignIns } from './sign-in.ts'
import type { SocketStatus } from './socket.ts'
import { createStreamer, type Streamer } from './stream.ts'
import { localStorageTokens, memoryTokens, type StoredTokens, type TokenStore } from './tokens.ts'

export type {
  Api,
  AttachOptions,
  AwaitedFactor,
  CallOptions,
  DeviceMarks,
  DeviceStore,
  Download,
  FetchLike,
  Finished,
  Inbox,
  InboxEvents,
  Inboxes,
  InboxOptions,
  JoinOptions,
  KeyApi,
  Listener,
  MailedLink,
  Message,
  Messages,
  MessagesState,
  Parts,
  Passkeys,
  Pending,
  PresenceState,
  ProblemSlug,
  Reaction,
  Room,
  RoomEvents,
  RoomPresence,
  Rooms,
  Sent,
  SessionEvents,
  ShellEnd,
  ShellEvents,
  Shells,
  ShellView,
  ShownState,
  Signal,
  SignInResult,
  SignIns,
  SignOutCause,
  SocketConstructor,
  SocketLike,
  SocketStatus,
  StoredTokens,
  TakeOutput,
  TokenStore,
  Uploadable,
}
export { ClosedError, ContractError, isProblem, localStorageTokens, mailedLinkOf, memoryTokens, NetworkError, Problem, takeMailedLink }

/** Where a service is, and how this platform reaches it. */
interface Reach {
  /** Where it is, as in `https://parvis.example.org`. */
  readonly origin: string
  /** Sends requests; the platform's `fetch` if left out. */
  readonly fetch?: FetchLike | undefined
  /** Opens sockets; the platform's if left out. Node 20 has none: give the one of the `ws` package. */
  readonly WebSocket?: SocketConstructor | undefined
}

/** How to reach a service for somebody who signs in. */
export interface ClientOptions extends Reach {
  /** How tokens travel: in headers (`bearer`, the default), or in cookies that no script can read (same-site pages). */
  readonly mode?: TokenMode | undefined
  /** Where tokens are kept; in memory if left out. */
  readonly tokens?: TokenStore | undefined
  readonly apiKey?: undefined
}

/** How to reach a service for a program that holds an API key. Keep keys on servers: whoever sees a page's scripts sees its key. */
export interface KeyOptions extends Reach {
  /** The key, as `createApiKey` showed it: `pvk_…`. */
  readonly apiKey: string
  readonly mode?: undefined
  readonly tokens?: undefined
}

/** A signed-in device, without its secrets. */
export type SignedIn = Pick<StoredTokens, 'sessionId' | 'userId' | 'expiresAt' | 'sessionExpiresAt'>

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
  /**
   * An access token for other tools, such as a y-websocket provider: good for three minutes more, or half of its time. Nothing in cookie
   * mode or when nobody is signed in.
   */
  readonly accessToken: () => Promise<string | undefined>
  /** Listens until the returned function is called. */
  readonly on: <K extends keyof SessionEvents>(name: K, listener: Listener<SessionEvents[K]>) => () => void
  readonly rooms: Rooms
  readonly inbox: Inboxes
  readonly shells: Shells
  /** Closes its rooms, inboxes and shells and stops watching its tokens, which stay where they are. */
  readonly close: () => void
}

/**
 * A client of one service for a program, with the operations that API keys have scopes for. Nobody signs in and nothing is refreshed: a
 * call that the key does not cover rejects with the Problem `scope-missing`, and every call once it is over with `unauthenticated`.
 */
export interface KeyClient extends KeyApi {
  readonly rooms: Rooms
  readonly shells: Shells
  /** Closes its rooms and shells. */
  readonly close: () => void
}

/** A refresh that hangs this long is asked for again: others wait for it. */
const REFRESH_TIMEOUT_MS = 15_000

interface Pieces {
  readonly mode: TokenMode
  readonly store: TokenStore
  readonly session: SessionKeeper
  readonly device: DeviceKeeper
  readonly call: Caller
}

/** Makes a client. Nothing is sent until something is asked of it. */
export function createClient(options: ClientOptions): Client
/** Makes a client for a program that holds an API key. @throws TypeError for what is no key */
export function createClient(options: KeyOptions): KeyClient
export function createClient(options: ClientOptions | KeyOptions): Client | KeyClient {
  return options.apiKey === undefined ? createUserClient(options) : createKeyClient(options)
}

const senderOf = ({ fetch: given }: Reach): FetchLike => given ?? ((url, init) => fetch(url, init))

function createUserClient(options: ClientOptions): Client {
  const { origin, mode = 'bearer', tokens: store = memoryTokens(), WebSocket: Socket = globalThis.WebSocket } = options
  const exchange = createExchange({ origin, fetch: senderOf(options), hasCookies: mode === 'cookie' })
  const events = createEmitter<SessionEvents>()
  const session = keepSession({
    mode,
    store,
    events,
    sendRefresh: async (token) => (await sendToken(exchange, endpoints.refresh, token)) as Tokens,
    sendLogout: async (token) => void (await sendToken(exchange, endpoints.logout, token)),
  })
  const call = createCaller(exchange, session)
  const open = new Set<() => void>()
  const onSignedOut = (left: () => void) => events.on('signedOut', left)
  const live = { origin, mode, credentials: session, call, Socket, onSignedOut, open, hasScopes: false }
  const pieces: Pieces = { mode, store, session, device: keepDevice(mode, store.device ?? memoryDevice()), call }
  return {
    ...createApi(call, createStreamer(exchange, session)),
    ...createSignIns(pieces),
    ...createAccount(pieces),
    on: events.on,
    rooms: createRooms(live),
    inbox: createInboxes(live),
    shells: createShells(live),
    close() {
      session.stop()
      for (const close of open) close()
    },
  }
}

function createKeyClient(options: KeyOptions): KeyClient {
  const { origin, apiKey, WebSocket: Socket = globalThis.WebSocket } = options
  const credentials = keyCredentials(apiKey)
  const exchange = createExchange({ origin, fetch: senderOf(options), hasCookies: false })
  const call = createCaller(exchange, credentials)
  const open = new Set<() => void>()
  const live = { origin, mode: 'bearer', credentials, call, Socket, onSignedOut: () => () => undefined, open, hasScopes: true } as const
  const scoped = Object.entries(createApi(call, createStreamer(exchange, credentials))).filter(
    ([id]) => (endpoints as Readonly<Record<string, Endpoint>>)[id]?.scope,
  )
  return {
    ...(Object.fromEntries(scoped) as KeyApi),
    rooms: createRooms(live),
    shells: createShells(live),
    close() {
      for (const close of open) close()
    },
  }
}

const sendToken = (exchange: Exchange, endpoint: Endpoint, refreshToken: string | undefined): Promise<unknown> =>
  exchange.ask({
    endpoint,
    input: { body: refreshToken === undefined ? {} : { refreshToken } },
    traceId: randomHex(16),
    timeoutMs: REFRESH_TIMEOUT_MS,
  })

function createApi(call: Caller, stream: Streamer): Api {
  const methods = Object.entries(endpoints as Readonly<Record<string, Endpoint>>).map(([id, endpoint]) => [
    id,
    (input: AnyInput = {}, options?: CallOptions) =>
      endpoint.stream === undefined || endpoint.stream === 'upload' ? call(endpoint, input, options) : stream(endpoint, input, options),
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

function createAccount({ store, session, call }: Pieces): Account {
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
    accessToken: async () => (await session.lasting())?.accessToken,
  }
}
