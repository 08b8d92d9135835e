import * as z from 'zod'
import { UserId } from '../../contract/identity.ts'
import { REVOCATION_SECONDS_MAX } from '../../contract/sessions.ts'
import { auditIfChanged } from '../audit/service.ts'
import type { Feature, Probe } from '../http/feature.ts'
import { describeError } from '../platform/log.ts'
import type { Consumer } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { claimErasure, deleteErasure, dueErasures, waitingErasures } from './store.ts'
import type { erasures } from './tables.ts'

/** Topic of the events that have a user forgotten at once: `{ userId }`. */
export const ERASE = 'account.erase'

/** After this long no access token of the account is believed anywhere, so what is erased then stays erased. */
export const LAST_PASS_MS = 2 * REVOCATION_SECONDS_MAX * 1000
const RETRY_MS = 300_000
const ERASURES_PER_SWEEP = 5
/** An erasure that is older than this meets something that does not go away by itself. */
const AGE_MS_MAX = 3_600_000

const Erase = z.strictObject({ userId: UserId })

/** Everything of a user, the last feature first: what a feature keeps may point at what those above it keep. Again is fine. */
async function eraseEverywhere(scope: Scope, features: readonly Feature[], userId: UserId): Promise<void> {
  for (const { personalData } of features.toReversed()) await personalData?.erase(scope, userId)
}

/** Forgets a user as soon as their account is deleted. */
export const eraseOver =
  (features: readonly Feature[]): Consumer =>
  (scope, { payload }) =>
    eraseEverywhere(scope, features, Erase.parse(payload).userId)

/** Forgets what was missed or has come since, and takes an erasure off the list when nothing can come any more. */
export const sweepOver =
  (features: readonly Feature[]) =>
  async (scope: Scope): Promise<number> => {
    const due = await dueErasures(scope.db, scope.now(), ERASURES_PER_SWEEP)
    const isDone = await Promise.all(due.map((erasure) => finish(scope, features, erasure)))
    return isDone.filter(Boolean).length
  }

async function finish(scope: Scope, features: readonly Feature[], { id, userId }: typeof erasures.$inferSelect): Promise<boolean> {
  const now = scope.now()
  const claimed = await claimErasure(scope.db, id, { now, until: now + RETRY_MS })
  if (claimed.meta.changes === 0) return false
  try {
    await eraseEverywhere(scope, features, userId)
    await scope.db.batch([deleteErasure(scope.db, id), auditIfChanged(scope, { action: 'account.erase', subject: userId })])
    return true
  } catch (error) {
    scope.log('erasure.failed', { erasureId: id, ...describeError(error) })
    return false
  }
}

/** Nobody who asked to be forgotten waits for long. */
export const erasureProbe: Probe = {
  isHard: false,
  check: async ({ db, now }) => {
    const [row] = await waitingErasures(db)
    const ageMs = row?.oldest ? now() - row.oldest : 0
    return { ok: ageMs < AGE_MS_MAX, detail: `${row?.waiting ?? 0} waiting, oldest ${Math.round(ageMs / 1000)} s` }
  },
}
