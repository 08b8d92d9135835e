import { TRUST_DAYS, type TrustedDevice, type TrustedDeviceId } from '../../contract/factors.ts'
import { toMoment } from '../../contract/id.ts'
import { Problem } from '../../contract/problem.ts'
import { auditIfChanged } from '../audit/service.ts'
import { toBase64Url } from '../platform/base64.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { deleteTrust, liveTrustsOf } from './trust-store.ts'

const PREFIX = 'ptd_'
const SECRET_BYTES = 32

/** A token that stands for a trusted device; only its hash is kept. It has 256 bits, so an unkeyed hash is enough. */
export const drawTrustToken = (): string => PREFIX + toBase64Url(crypto.getRandomValues(new Uint8Array(SECRET_BYTES)))

/** What is kept of a trust token. */
export const trustHash = async (token: string): Promise<string> =>
  toBase64Url(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(token))))

/** When a trust given now ends, Unix milliseconds. */
export const trustExpiry = (now: number): number => now + TRUST_DAYS * 86_400_000

/** The devices on which the user leaves the second factor out. */
export async function listTrustedDevices(scope: Scope, actor: Actor): Promise<{ items: TrustedDevice[] }> {
  const rows = await liveTrustsOf(scope.db, actor.userId, scope.now())
  const items = rows.map((row) => ({
    id: row.id,
    browser: row.browser,
    system: row.system,
    place: row.country === null ? null : { country: row.country, city: row.city },
    createdAt: toMoment(row.createdAt),
    lastUsedAt: toMoment(row.lastUsedAt),
    expiresAt: toMoment(row.expiresAt),
  }))
  return { items }
}

/** Ends the trust in one of the user's devices. @throws Problem `not-found` for a foreign or unknown one */
export async function revokeTrustedDevice(scope: Scope, actor: Actor, id: TrustedDeviceId): Promise<void> {
  const [revoked] = await scope.db.batch([
    deleteTrust(scope.db, { userId: actor.userId, sessionId: actor.sessionId, now: scope.now() }, id),
    auditIfChanged(scope, { action: 'trust.end', subject: id, cause: 'revoked' }),
  ])
  if (revoked.meta.changes === 0) throw new Problem('not-found')
}
