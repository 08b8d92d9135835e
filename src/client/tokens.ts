import * as z from 'zod'
import { Moment } from '../contract/id.ts'
import { SessionId, UserId } from '../contract/identity.ts'
import { type DeviceMarks, type DeviceStore, memoryDevice } from './device.ts'
import { createMutex } from './mutex.ts'

/** What a device keeps of its session. In cookie mode the two tokens are absent: they live where no script can read them. */
export const StoredTokens = z.object({
  sessionId: SessionId,
  userId: UserId,
  accessToken: z.string().optional(),
  refreshToken: z.string().optional(),
  expiresAt: Moment,
  sessionExpiresAt: Moment,
})
/** What a device keeps of its session. */
export type StoredTokens = z.infer<typeof StoredTokens>

/** Where the tokens of one signed-in device are kept. Every client, tab and process that shares them shares the session. */
export interface TokenStore {
  /** The tokens, or nothing when nobody is signed in. Read anew before each use: others may have written. */
  readonly read: () => StoredTokens | undefined | Promise<StoredTokens | undefined>
  /** Keeps the tokens; `undefined` forgets them. */
  readonly write: (tokens: StoredTokens | undefined) => void | Promise<void>
  /**
   * Runs work while nobody else who shares the tokens runs theirs. Without it only one client is kept in order,
   * and the service lets the others converge.
   */
  readonly lock?: <T>(work: () => Promise<T>) => Promise<T>
  /** Calls back after others wrote, until the returned function is called. */
  readonly watch?: (changed: () => void) => () => void
  /** Where the device keeps what outlives its sessions; in memory if left out. */
  readonly device?: DeviceStore
}

/** Tokens that live as long as the program; clients given the same store share a session. */
export function memoryTokens(initial?: StoredTokens): TokenStore {
  let tokens = initial
  const watchers = new Set<() => void>()
  return {
    read: () => tokens,
    write(next) {
      tokens = next
      for (const changed of [...watchers]) changed()
    },
    lock: createMutex(),
    device: memoryDevice(),
    watch(changed) {
      const own = () => changed()
      watchers.add(own)
      return () => void watchers.delete(own)
    },
  }
}

/** A tab that holds the lock longer than this is stuck; the service lets both converge. */
const LOCK_WAIT_MS = 15_000

/**
 * Tokens in a browser's `localStorage`, shared by all tabs of an origin: one tab refreshes for all (Web Locks), and all notice
 * sign-in and sign-out (`storage` events). Scripts of the page can read them, so where the service is same-site prefer
 * `mode: 'cookie'`; there this store keeps no secret. While a page is rendered on a server nobody is signed in, and nobody can sign in.
 */
export function localStorageTokens(key = 'parvis.tokens'): TokenStore {
  const own = createMutex()
  const deviceKey = `${key}.device`
  return {
    read: () => StoredTokens.safeParse(storedJson(key)).data,
    write: (tokens) => (tokens ? localStorage.setItem(key, JSON.stringify(tokens)) : localStorage.removeItem(key)),
    lock: (work) => own(() => lockAcrossTabs(key, work)),
    device: {
      read: () => storedJson(deviceKey) as DeviceMarks | undefined,
      write: (marks) => localStorage.setItem(deviceKey, JSON.stringify(marks)),
    },
    watch(changed) {
      if (typeof addEventListener !== 'function') return () => undefined
      // A key of null means that everything was cleared.
      const listener = (event: StorageEvent) => (event.key === key || event.key === null) && changed()
      addEventListener('storage', listener)
      return () => removeEventListener('storage', listener)
    },
  }
}

/** What others may have damaged is as good as nothing. */
function storedJson(key: string): unknown {
  try {
    return JSON.parse(globalThis.localStorage?.getItem(key) ?? 'null')
  } catch {
    return undefined
  }
}

async function lockAcrossTabs<T>(key: string, work: () => Promise<T>): Promise<T> {
  const locks: LockManager | undefined = navigator.locks
  if (!locks) return work()
  let isHeld = false
  const held = () => {
    isHeld = true
    return work()
  }
  try {
    return (await locks.request(key, { signal: AbortSignal.timeout(LOCK_WAIT_MS) }, held)) as T
  } catch (error) {
    if (isHeld) throw error
    return work()
  }
}
