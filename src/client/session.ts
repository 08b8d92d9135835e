import type { SessionId, TokenMode, Tokens, UserId } from '../contract/identity.ts'
import { isProblem, type ProblemSlug } from '../contract/problem.ts'
import { backoffMs, pause, RETRY } from './backoff.ts'
import type { Emitter } from './emitter.ts'
import { ContractError, NetworkError } from './failure.ts'
import { createMutex, type Mutex } from './mutex.ts'
import type { StoredTokens, TokenStore } from './tokens.ts'

/** An access token is replaced this long before it expires, so that none expires on its way. */
const SKEW_MS = 30_000
/** One that others are to show is replaced earlier: a room asks editors for the next up to two minutes before the end of the last. */
const LASTING_MS = 180_000
/** Tries of one refresh. An answer that was lost is asked for again with the same token: the service gives the same pair. */
const REFRESH_TRIES = 4

/** Why a session ended here. `elsewhere`: another client that shares the tokens signed out; `replaced`: somebody signed in over it. */
export type SignOutCause = 'logout' | 'session-ended' | 'refresh-reused' | 'unauthenticated' | 'elsewhere' | 'replaced'

/** What a client tells of its session. */
export interface SessionEvents {
  /** A session is there: after `login`, in another tab, or restored from the store. */
  readonly signedIn: { readonly sessionId: SessionId; readonly userId: UserId }
  /** The session is gone; told once per session. */
  readonly signedOut: { readonly sessionId: SessionId; readonly cause: SignOutCause }
}

/** What keeping a session needs. */
export interface SessionParts {
  readonly mode: TokenMode
  readonly store: TokenStore
  readonly events: Emitter<SessionEvents>
  /** One try of the `refresh` operation. */
  readonly sendRefresh: (refreshToken: string | undefined) => Promise<Tokens>
  /** One try of the `logout` operation. */
  readonly sendLogout: (refreshToken: string | undefined) => Promise<void>
}

/** What calls and sockets show of whoever they are made for. */
export type Credential = Partial<Pick<StoredTokens, 'sessionId' | 'accessToken' | 'expiresAt'>>

/** Where calls and sockets have their credential from. */
export interface Credentials<C extends Credential = Credential> {
  /** What to send now, replaced first when it is about to expire. */
  readonly current: () => Promise<C | undefined>
  /** What comes after what the service refused; nothing when there is no way to another. */
  readonly renew: (refused: Credential | undefined) => Promise<C | undefined>
  /** Forgets a session that the service says is over; another one that has begun meanwhile stays. */
  readonly drop: (sessionId: SessionId | undefined, cause: SignOutCause) => Promise<void>
}

/** Keeps the tokens of one device fresh. */
export interface SessionKeeper extends Credentials<StoredTokens> {
  /** As `current`, for others, who keep it a while; it lasts three minutes, or half of its time. */
  readonly lasting: () => Promise<StoredTokens | undefined>
  readonly adopt: (tokens: Tokens) => Promise<StoredTokens>
  readonly logout: () => Promise<void>
  readonly stop: () => void
}

interface State extends SessionParts {
  /** Orders what this client reads and writes, so that events tell what happened. */
  readonly inTurn: Mutex
  readonly lock: NonNullable<TokenStore['lock']>
  known: SessionId | undefined
  /** A token that looks expired on arrival tells of a wrong clock here; then only the service's 401 decides. */
  isClockAhead: boolean
  /** How long the last tokens were good for when they came, by the clock here. */
  lifetimeMs: number
  refreshing: Promise<StoredTokens | undefined> | undefined
}

/** Starts to keep a session. */
export function keepSession(parts: SessionParts): SessionKeeper {
  const { store } = parts
  const alone = createMutex()
  const k: State = {
    ...parts,
    inTurn: createMutex(),
    lock: (work) => (store.lock ? store.lock(work) : alone(work)),
    known: undefined,
    isClockAhead: false,
    lifetimeMs: Number.POSITIVE_INFINITY,
    refreshing: undefined,
  }
  const watch = () => {
    // A store that fails here fails the next call too, where somebody hears of it.
    notice(k).catch(() => undefined)
  }
  const unwatch = store.watch?.(watch)
  watch()
  return {
    current: () => current(k, SKEW_MS),
    lasting: () => current(k, Math.max(SKEW_MS, Math.min(LASTING_MS, k.lifetimeMs / 2))),
    renew: (refused) => renew(k, refused),
    adopt: (tokens) => adopt(k, tokens),
    logout: () => logout(k),
    drop: (sessionId, cause) => drop(k, sessionId, cause),
    stop: () => unwatch?.(),
  }
}

const isSame = (a: Credential | undefined, b: Credential | undefined): boolean =>
  a?.sessionId === b?.sessionId && a?.expiresAt === b?.expiresAt && a?.accessToken === b?.accessToken

const msLeft = (tokens: StoredTokens): number => Date.parse(tokens.expiresAt) - Date.now()

async function current(k: State, marginMs: number): Promise<StoredTokens | undefined> {
  const stored = await k.store.read()
  if (!stored || k.isClockAhead || msLeft(stored) > marginMs) return stored
  try {
    return await renew(k, stored)
  } catch (error) {
    if (!endOf(error) && msLeft(stored) > 0) return stored
    throw error
  }
}

async function renew(k: State, refused: Credential | undefined): Promise<StoredTokens | undefined> {
  const renewed = await shareRefresh(k, refused)
  // A refresh that was under way for older tokens may end at the very ones that were refused.
  return renewed && isSame(renewed, refused) ? shareRefresh(k, refused) : renewed
}

function shareRefresh(k: State, began: Credential | undefined): Promise<StoredTokens | undefined> {
  k.refreshing ??= k
    .lock(() => refresh(k, began))
    .finally(() => {
      k.refreshing = undefined
    })
  return k.refreshing
}

/** One refresh, under the lock. Before each try the store is read again: a token two generations old would end the session. */
async function refresh(k: State, began: Credential | undefined): Promise<StoredTokens | undefined> {
  for (let failures = 1; ; failures++) {
    const stored = await k.store.read()
    if (!isSame(stored, began)) return stored
    if (k.mode === 'bearer' && stored?.refreshToken === undefined) return undefined
    try {
      return await settle(k, began, await k.sendRefresh(stored?.refreshToken))
    } catch (error) {
      const ended = endOf(error)
      if (ended) await drop(k, stored?.sessionId, ended)
      if (ended || failures >= REFRESH_TRIES || !isWorthRepeating(error)) throw error
      await pause(backoffMs(failures, RETRY))
    }
  }
}

const ENDS = ['session-ended', 'refresh-reused', 'unauthenticated'] as const satisfies readonly ProblemSlug[]

/** Whether a refused refresh means that the session is over. */
const endOf = (error: unknown): (typeof ENDS)[number] | undefined =>
  isProblem(error) ? ENDS.find((slug) => slug === error.slug) : undefined

const isWorthRepeating = (error: unknown): boolean =>
  error instanceof NetworkError || (isProblem(error) && (error.slug === 'unavailable' || error.slug === 'internal'))

/** Keeps the next tokens, unless their session was left or replaced while they were under way. */
const settle = (k: State, began: Credential | undefined, tokens: Tokens): Promise<StoredTokens | undefined> =>
  k.inTurn(async () => {
    const stored = await k.store.read()
    if (stored?.sessionId !== began?.sessionId) return stored
    return keep(k, tokens)
  })

async function keep(
  k: State,
  { sessionId, userId, accessToken, refreshToken, expiresAt, sessionExpiresAt }: Tokens,
): Promise<StoredTokens> {
  const hasTokens = accessToken !== undefined && refreshToken !== undefined
  if (hasTokens !== (k.mode === 'bearer')) throw new ContractError(`The tokens did not come as ${k.mode} mode has them.`)
  const tokens: StoredTokens = { sessionId, userId, expiresAt, sessionExpiresAt, ...(hasTokens && { accessToken, refreshToken }) }
  k.lifetimeMs = msLeft(tokens)
  k.isClockAhead = k.lifetimeMs <= SKEW_MS
  await k.store.write(tokens)
  tell(k, tokens, 'replaced')
  return tokens
}

const adopt = (k: State, tokens: Tokens): Promise<StoredTokens> => k.inTurn(() => keep(k, tokens))

const notice = (k: State): Promise<void> => k.inTurn(async () => tell(k, await k.store.read(), 'elsewhere'))

/** Tells what changed since this client last looked. */
function tell(k: State, stored: StoredTokens | undefined, cause: SignOutCause): void {
  const { known } = k
  if (stored?.sessionId === known) return
  k.known = stored?.sessionId
  if (known) k.events.emit('signedOut', { sessionId: known, cause })
  if (stored) k.events.emit('signedIn', { sessionId: stored.sessionId, userId: stored.userId })
}

const drop = (k: State, sessionId: SessionId | undefined, cause: SignOutCause): Promise<void> =>
  k.inTurn(async () => {
    if (sessionId === undefined) return
    const stored = await k.store.read()
    if (stored && stored.sessionId !== sessionId) return
    if (stored) await k.store.write(undefined)
    if (k.known === sessionId) tell(k, undefined, cause)
  })

/** Waits for a refresh under way, so that its answer cannot bring the session back. */
const logout = (k: State): Promise<void> =>
  k.lock(async () => {
    const stored = await k.store.read()
    if (k.mode === 'bearer' && stored?.refreshToken === undefined) return
    await k.sendLogout(stored?.refreshToken).catch((error: unknown) => {
      // A token the service never made, or no cookie at all: there is nothing to end.
      if (!isProblem(error) || error.slug !== 'unauthenticated') throw error
    })
    await drop(k, stored?.sessionId, 'logout')
  })
