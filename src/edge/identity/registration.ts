import { toMoment } from '../../contract/id.ts'
import {
  CODE_DIGITS,
  CODE_TTL_SECONDS,
  type Register,
  type Registration,
  type RegistrationId,
  type UserId,
  type VerifyEmail,
} from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import { auditEntry, auditIfChanged } from '../audit/service.ts'
import { toBase64Url } from '../platform/base64.ts'
import { mailEvent } from '../platform/mail/outbox.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { hashPassword } from './password.ts'
import {
  burnExcess,
  claimRegistration,
  countRegistrations,
  countWrongTry,
  insertClaimedUser,
  insertRegistration,
  type Proof,
  provenUser,
  userByEmail,
} from './store.ts'

/** Mails one address can be made to receive an hour; beyond that the answer stays the same and nothing is sent. */
const MAILS_PER_HOUR_MAX = 5
const HOUR_MS = 3_600_000
const PURPOSE = 'registration-code'

/** Uniform digits: values that would favour low ones are drawn again. */
function drawCode(): string {
  const range = 10 ** CODE_DIGITS
  const limit = Math.floor(2 ** 32 / range) * range
  let value: number
  do value = crypto.getRandomValues(new Uint32Array(1))[0] ?? limit
  while (value >= limit)
  return String(value % range).padStart(CODE_DIGITS, '0')
}

/** A code has 20 bits, so only a keyed hash of it may be stored (ASVS 6.5.2). */
async function macOf(scope: Scope, id: RegistrationId, code: string): Promise<string> {
  const mac = await scope.config.keyring.mac(PURPOSE, new TextEncoder().encode(`${id}|${code}`))
  return toBase64Url(mac ?? crypto.getRandomValues(new Uint8Array(32)))
}

/** Starts a registration. Work, answer and time are the same for a taken address; only the mail differs. */
export async function register(scope: Scope, input: Register): Promise<Registration> {
  const now = scope.now()
  const passwordHash = await hashPassword(scope.config.keyring, input.password)
  const since = now - HOUR_MS
  const [taken, [sent]] = await scope.db.batch([userByEmail(scope.db, input.email), countRegistrations(scope.db, input.email, since)])
  const id = scope.newId('reg') as RegistrationId
  const code = drawCode()
  const isTaken = taken.length > 0
  const expiresAt = now + CODE_TTL_SECONDS * 1000
  // The mail of a taken address carries no code, and none may open its registration.
  const codeMac = await macOf(scope, id, isTaken ? crypto.randomUUID() : code)
  const mail = { to: input.email, locale: taken[0]?.locale ?? input.locale, minutes: CODE_TTL_SECONDS / 60 }
  const event = await mailEvent(scope, isTaken ? { ...mail, kind: 'register-existing' } : { ...mail, kind: 'verify-email', code })
  const row = { id, email: input.email, passwordHash, locale: input.locale, codeMac, createdAt: now, expiresAt }
  const burn = burnExcess(scope.db, id, { email: input.email, since, max: MAILS_PER_HOUR_MAX })
  const entry = auditEntry(scope, { action: 'user.register', subject: id, actorId: 'anonymous' })
  await commit(scope, [insertRegistration(scope.db, row), burn, entry], (sent?.recent ?? 0) < MAILS_PER_HOUR_MAX ? [event] : [])
  return { registrationId: id, expiresAt: toMoment(expiresAt) }
}

/**
 * Makes the account of a registration whose code is right. Repeating a call that succeeded succeeds.
 *
 * @throws Problem `code-invalid` when it is wrong, used up, expired, or the address was taken meanwhile
 */
export async function verifyEmail(scope: Scope, { registrationId: id, code }: VerifyEmail): Promise<void> {
  const now = scope.now()
  const proof: Proof = { id, codeMac: await macOf(scope, id, code), now }
  const userId = scope.newId('usr') as UserId
  const { db } = scope
  const results = await db.batch([
    claimRegistration(db, proof, userId),
    insertClaimedUser(db, id, { id: userId, now }),
    auditIfChanged(scope, { action: 'user.verify', subject: userId, actorId: userId }),
    countWrongTry(db, proof),
    provenUser(db, proof),
  ])
  if (!results[4][0]?.userId) throw new Problem('code-invalid')
}
