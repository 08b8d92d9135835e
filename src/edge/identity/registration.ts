import { toMoment } from '../../contract/id.ts'
import {
  CODE_TTL_SECONDS,
  type Register,
  type Registration,
  type RegistrationId,
  type ResendVerification,
  type UserId,
  type VerifyEmail,
} from '../../contract/identity.ts'
import { MAILED_PAGES } from '../../contract/mailed-link.ts'
import { Problem } from '../../contract/problem.ts'
import { auditEntry, auditIfChanged } from '../audit/service.ts'
import { mailEventIf, ofCopy, openMail, sealMail } from '../platform/mail/outbox.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { admitPassword } from './new-password.ts'
import { hashPassword } from './password.ts'
import { codeMac, drawProof, hashesOf, mailedApp, pageLink, tokenHash, unmatchable } from './proof.ts'
import {
  burnExcessRegistration,
  burnOtherRegistrations,
  claimRegistration,
  countCopy,
  countWrongRegistrationTry,
  insertClaimedUser,
  insertRegistration,
  isRegistrationMailed,
  provenRegistration,
  type RegistrationProof,
  registrationById,
  userByEmail,
} from './store.ts'

const PURPOSE = 'registration-code'

/**
 * Starts a registration. Work, answer and time are the same for a taken address; only the mail differs.
 *
 * @throws Problem `invalid-request` when the policy refuses the password
 */
export async function register(scope: Scope, input: Register): Promise<Registration> {
  const { db, config } = scope
  const app = mailedApp(scope, input.app)
  const now = scope.now()
  const id = scope.newId('reg') as RegistrationId
  const wish = { password: input.password, email: input.email, pointer: '#/body/password', subject: id } as const
  const unchecked = await admitPassword(scope, wish)
  const passwordHash = await hashPassword(config.keyring, input.password)
  const [owner] = await userByEmail(db, input.email)
  const proof = drawProof()
  const expiresAt = now + CODE_TTL_SECONDS * 1000
  // The mail of a taken address carries no proof, and none may open its registration.
  const hashes = owner ? await unmatchable(config.keyring, PURPOSE, id) : await hashesOf(config.keyring, PURPOSE, { id, ...proof })
  const to = { to: input.email, locale: owner?.locale ?? input.locale, minutes: CODE_TTL_SECONDS / 60 }
  const link = pageLink(MAILED_PAGES.registration, to.locale, proof.token)
  const mail = owner
    ? ({ ...to, kind: 'register-existing' } as const)
    : ({ ...to, kind: 'verify-email', code: proof.code, link, ...app } as const)
  // One registration too many is burnt within the batch, and then nothing is mailed: no race can send more.
  const event = await mailEventIf(scope, mail, isRegistrationMailed(id))
  const { email, locale } = input
  const sealedMail = await sealMail(scope, id, mail)
  const row = { id, email, passwordHash, locale, ...hashes, sealedMail, createdAt: now, expiresAt }
  const burn = burnExcessRegistration(db, id, { email, now })
  const entry = auditEntry(scope, { action: 'user.register', subject: id, actorId: 'anonymous' })
  await commit(scope, [insertRegistration(db, row), burn, entry, ...unchecked], [event])
  return { registrationId: id, expiresAt: toMoment(expiresAt) }
}

/** Has the same mail sent again while its proof lives and the address has room. What comes of it is not told. */
export async function resendVerification(scope: Scope, { registrationId: id }: ResendVerification): Promise<void> {
  const { db } = scope
  const now = scope.now()
  const [row] = await registrationById(db, id)
  if (!row?.sealedMail) return
  const minutes = Math.max(1, Math.floor((row.expiresAt - now) / 60_000))
  const copy = await mailEventIf(scope, { ...(await openMail(scope, id, row.sealedMail)), minutes }, ofCopy)
  const [, queued] = await db.batch([
    countCopy(db, id, { email: row.email, now }),
    copy.statement,
    auditIfChanged(scope, { action: 'user.remind', subject: id, actorId: 'anonymous' }),
  ])
  if ((queued as D1Result).meta.changes > 0) scope.deliver([copy.id])
}

/**
 * Makes the account of a registration whose proof is right. Repeating a call that succeeded succeeds.
 * A link alone never takes the password of the registration: a stranger may have begun it, and would know that password.
 *
 * @throws Problem `code-invalid` when it is wrong, used up, expired, or the address was taken meanwhile; `invalid-request` when the
 * policy refuses the password
 */
export async function verifyEmail(scope: Scope, { registrationId: id, code, token, password }: VerifyEmail): Promise<void> {
  const { db, config } = scope
  const now = scope.now()
  const proof: RegistrationProof = {
    id,
    now,
    ...(token === undefined
      ? { codeMac: await codeMac(config.keyring, PURPOSE, { id: id ?? '', code: code ?? '' }) }
      : { tokenHash: await tokenHash(token) }),
  }
  const chosen = password === undefined ? undefined : await choosePassword(scope, proof, password)
  const userId = scope.newId('usr') as UserId
  const results = await db.batch([
    claimRegistration(db, proof, userId),
    insertClaimedUser(db, proof, { id: userId, now, passwordHash: chosen?.hash }),
    auditIfChanged(scope, { action: 'user.verify', subject: userId, actorId: userId, cause: token === undefined ? 'code' : 'link' }),
    burnOtherRegistrations(db, userId),
    countWrongRegistrationTry(db, proof),
    provenRegistration(db, proof),
    ...(chosen?.unchecked ?? []),
  ])
  const [proven] = results[5]
  if (!proven?.userId) throw new Problem('code-invalid')
  // The first call's password stands: a later one with another must not believe that it was taken.
  if (password !== undefined && proven.userId !== userId) throw new Problem('code-invalid')
}

/** The password of whoever holds the link, once the link is known to be right. */
async function choosePassword(scope: Scope, proof: RegistrationProof, password: string) {
  const [proven] = await provenRegistration(scope.db, proof)
  if (!proven) throw new Problem('code-invalid')
  const wish = { password, email: proven.email, pointer: '#/body/password', subject: proven.id } as const
  const unchecked = await admitPassword(scope, wish)
  return { unchecked, hash: await hashPassword(scope.config.keyring, password) }
}
