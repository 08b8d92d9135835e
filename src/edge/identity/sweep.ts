import type { Scope } from '../platform/scope.ts'
import { deleteKeys } from './api-key-store.ts'
import { deleteStaleTotpFactors } from './factor-store.ts'
import { deleteStaleDevices } from './known-device-store.ts'
import { deleteStaleChallenges } from './passkey-store.ts'
import { deleteStalePendings } from './pending-store.ts'
import { deletePlaces } from './place-store.ts'
import { deleteProofs } from './proof-store.ts'
import { deleteSessions } from './session-store.ts'
import { deleteRegistrations } from './store.ts'
import { deleteStaleTrusts } from './trust-store.ts'
import { deleteFactorWaysBack } from './way-back-store.ts'

const DAY_MS = 86_400_000
/** Ended sessions stay listed for a while, so that people can see what happened. */
const KEEP_SESSIONS_MS = 90 * DAY_MS

/**
 * Forgets what is over: registrations, mailed proofs, sign-ins and enrolments that expired a day ago, challenges, trusts and devices, and sessions
 * and keys that ended and places that were last signed in from a season ago.
 */
export async function sweepIdentity(scope: Scope): Promise<number> {
  const now = scope.now()
  const forgotten = await scope.db.batch([
    deleteRegistrations(scope.db, now - DAY_MS),
    ...deleteProofs(scope.db, now - DAY_MS),
    deleteFactorWaysBack(scope.db, now - DAY_MS),
    deletePlaces(scope.db, now - KEEP_SESSIONS_MS),
    deleteSessions(scope.db, now - KEEP_SESSIONS_MS),
    deleteStalePendings(scope.db, now - DAY_MS),
    deleteStaleTotpFactors(scope.db, now - DAY_MS),
    deleteStaleChallenges(scope.db, now),
    deleteStaleTrusts(scope.db, now),
    deleteStaleDevices(scope.db, now),
    deleteKeys(scope.db, now - KEEP_SESSIONS_MS),
  ])
  return forgotten.reduce((sum, { meta }) => sum + meta.changes, 0)
}
