import type { ApiKeyId } from '../../contract/api-keys.ts'
import type { SessionId, UserId } from '../../contract/identity.ts'
import type { ApiScope, PlatformRole } from '../../contract/permission.ts'
import type { Env } from '../env.ts'
import type { Config } from './config.ts'
import type { Db } from './db.ts'
import type { Log } from './log.ts'
import type { Trace } from './trace.ts'

/** Who acts: a user, on one of their signed-in devices or through a program that holds an API key of theirs. */
export interface Actor {
  readonly userId: UserId
  /** What ends when this access is revoked: the device's session, or the key. */
  readonly sessionId: SessionId | ApiKeyId
  /** When the presented token expires, Unix milliseconds. */
  readonly expiresAt: number
  /** Roles on the platform, as old as the check of the session. */
  readonly roles: readonly PlatformRole[]
  /** What the key may do; absent on a signed-in device, which may do all that its user may. */
  readonly scopes?: readonly ApiScope[]
}

/** All a service may touch. Clock and ids are here so that tests can fix them. */
export interface Scope {
  readonly env: Env
  readonly config: Config
  readonly db: Db
  readonly actor: Actor | undefined
  readonly now: () => number
  readonly newId: (prefix: string) => string
  readonly trace: Trace
  readonly log: Log
  /** Lets work outlive the answer, for at most 30 seconds: never the only way something gets done. */
  readonly waitUntil: (work: Promise<unknown>) => void
  /** Tries outbox events at once; what fails or dies here is found by the queue and the sweep. */
  readonly deliver: (eventIds: readonly string[]) => void
}
