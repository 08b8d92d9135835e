import { toMoment } from '../../contract/id.ts'
import {
  CODE_TTL_SECONDS,
  type Register,
  type Registration,
  type RegistrationId,
  type UserId,
  type VerifyEmail,
} from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import { auditEntry, auditIfChanged } from '../audit/service.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { codeMac, drawCode } from './code.ts'
import { admitPassword } from './new-password.ts'
import { hashPassword } from './password.ts'
import {
  burnExcess,
  claimRegistration,
  countWrongTry,
  insertClaimedUser,
  insertRegistration,
  isRegistrationOpen,
  type Proof,
  provenUser,
  userByEmail,
} from './store.ts'

/** Mails one address can be made to receive an hour; beyond that the answer stays the same and nothing is sent. */
const MAILS_PER_HOUR_MAX = 5
const HOUR_MS = 3_600_000
const PURPOSE = 'registration-code'

/**
 * Starts a registration. Work, answer and time are the same for a taken address; only the mail differs.
 *
 * @throws Problem `invalid-request` when the policy refuses the password
 */
export async function register(scope: Scope, input: Register): Promise<Registration> {
  const now = scope.now()
  const id = scope.newId('reg') as RegistrationId
  const wish = { password: input.password, email: input.email, pointer: '#/body/password', subject: id } as const
  const unchecked = await admitPassword(scope, wish)
  const passwordHash = await hashPassword(scope.config.keyring, input.password)
  const since = now - HOUR_MS
  const taken = await userByEmail(scope.db, input.email)
  const code = drawCode()
  const isTaken = taken.length > 0
  const expiresAt = now + CODE_TTL_SECONDS * 1000
  // The mail of a taken address carries no code, and none may open its registration.
  const mac = await codeMac(scope.config.keyring, PURPOSE, { id, code: isTaken ? crypto.randomUUID() : code })
  const mail = { to: input.email, locale: taken[0]?.locale ?? input.locale, minutes: CODE_TTL_SECONDS / 60 }
  // One registration too many is burnt within the batch, and then nothing is mailed: no race can send more.
  const event = await mailEventIf(
    scope,
    isTaken ? { ...mail, kind: 'register-existing' } : { ...mail, kind: 'verify-email', code },
    isRegistrationOpen(id),
  )
  const row = { id, email: input.email, passwordHash, locale: input.locale, codeMac: mac, createdAt: now, expiresAt }
  const burn = burnExcess(scope.db, id, { email: input.email, since, max: MAILS_PER_HOUR_MAX })
  const entry = auditEntry(scope, { action: 'user.register', subject: id, actorId: 'anonymous' })
  await commit(scope, [insertRegistration(scope.db, row), burn, entry, ...unchecked], [event])
  return { registrationId: id, expiresAt: toMoment(expiresAt) }
}

/**
 * Makes the account of a registration whose code is right. Repeating a call that succeeded succeeds.
 *
 * @throws Problem `code-invalid` when it is wrong, used up, expired, or the address was taken meanwhile
 */
export async function verifyEmail(scope: Scope, { registrationId: id, code }: VerifyEmail): Promise<void> {
  const now = scope.now()
  const proof: Proof = { id, codeMac: await codeMac(scope.config.keyring, PURPOSE, { id, code }), now }
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
