import { sql } from 'drizzle-orm'
import { ACCOUNT_RESTORE_SECONDS } from '../../contract/account.ts'
import { ACCOUNT_FAULTS } from '../../contract/account-faults.ts'
import type { ChangeEmail, ConfirmEmailChange, EmailChange, EmailChangeId } from '../../contract/email.ts'
import { toMoment } from '../../contract/id.ts'
import { CODE_TTL_SECONDS } from '../../contract/identity.ts'
import { MAILED_PAGES } from '../../contract/mailed-link.ts'
import { Problem } from '../../contract/problem.ts'
import { auditEntry, auditIfChanged } from '../audit/service.ts'
import { eventAt } from '../platform/mail/message.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { hasEmail, insertEmailChange, keepWayBackIf, moveEmailIf } from './email-store.ts'
import { forgetDevicesIf } from './known-device-store.ts'
import { checkProof, type RightProof } from './mailed-proof.ts'
import { drawProof, drawToken, hashesOf, mailedApp, pageLink, tokenHash, unmatchable } from './proof.ts'
import { burnExcess, claimProof, deleteOpenProofsIf, hasClaim, isMailable } from './proof-store.ts'
import { sessionEnd } from './session-end.ts'
import { endSessionsIf } from './session-store.ts'
import { burnOtherRegistrations, userByEmail, userById } from './store.ts'
import { emailChanges } from './tables.ts'
import { deleteTrustsIf } from './trust-store.ts'

const CHANGE = {
  table: emailChanges,
  purpose: 'email-change-code',
  refusal: { action: 'email.refuse', cause: 'code' },
} as const

/**
 * Mails a proof to the address that somebody wants to have; theirs stays until it comes back. Answer and work are the same for an
 * address that has an account: its owner is told, and no proof exists.
 *
 * @throws Problem `session-ended`, or `invalid-request` for the address they have
 */
export async function changeEmail(scope: Scope, actor: Actor, wish: ChangeEmail): Promise<EmailChange> {
  const { db, config } = scope
  const { email } = wish
  const app = mailedApp(scope, wish.app)
  const [[user], [holder]] = await db.batch([userById(db, actor.userId), userByEmail(db, email)])
  if (!user) throw new Problem('session-ended')
  if (user.email === email) {
    throw new Problem('invalid-request', { errors: [{ detail: ACCOUNT_FAULTS.emailSame, pointer: '#/body/email' }] })
  }
  const now = scope.now()
  const id = scope.newId('emc') as EmailChangeId
  const proof = drawProof()
  const hashes = holder
    ? await unmatchable(config.keyring, CHANGE.purpose, id)
    : await hashesOf(config.keyring, CHANGE.purpose, { id, ...proof })
  const expiresAt = now + CODE_TTL_SECONDS * 1000
  const locale = holder?.locale ?? user.locale
  const link = pageLink(MAILED_PAGES['email-change'], locale, proof.token)
  const minutes = CODE_TTL_SECONDS / 60
  const mail = holder
    ? ({ to: email, locale, kind: 'change-existing' } as const)
    : ({ to: email, locale, kind: 'change-email', code: proof.code, link, ...app, minutes } as const)
  const event = await mailEventIf(scope, mail, isMailable(emailChanges, id))
  const row = { id, userId: user.id, email, ...hashes, createdAt: now, expiresAt }
  const burn = burnExcess(db, emailChanges, { id, email, now })
  const entry = auditEntry(scope, { action: 'email.ask', subject: user.id })
  await commit(scope, [insertEmailChange(db, row), burn, entry], [event])
  return { changeId: id, expiresAt: toMoment(expiresAt) }
}

/**
 * Gives a user the address they have proven; the old one is mailed a way back. Only who asked may confirm: a link that a stranger had
 * mailed would else give the stranger's account the address of whoever follows it.
 *
 * @throws Problem `code-invalid`, or `conflict` when another account took the address meanwhile
 */
export async function confirmEmailChange(scope: Scope, actor: Actor, { changeId: id, code, token }: ConfirmEmailChange): Promise<void> {
  const right = await checkProof(scope, CHANGE, { id, code, token })
  if (right.user.id !== actor.userId) throw new Problem('code-invalid')
  await move(scope, actor, right)
}

/** The address, its way back, the end of all other sessions, of trust and of every proof mailed to the old one, record and notice: one batch. */
async function move(scope: Scope, actor: Actor, { id, given, user, email }: RightProof): Promise<void> {
  const { db } = scope
  const now = scope.now()
  const claim = scope.newId('clm')
  const isWon = hasClaim(emailChanges, id, claim)
  const isMoved = sql`${isWon} AND ${hasEmail(user.id, email)}`
  const wayBack = drawToken()
  const back = {
    oldEmail: user.email,
    changedAt: now,
    restoreHash: await tokenHash(wayBack),
    restoreExpiresAt: now + ACCOUNT_RESTORE_SECONDS * 1000,
  }
  const link = pageLink(MAILED_PAGES['account-restore'], user.locale, wayBack)
  const notice = await mailEventIf(
    scope,
    {
      to: user.email,
      locale: user.locale,
      kind: 'email-changed',
      event: eventAt(now),
      link,
      app: scope.config.restoreApp,
      minutes: ACCOUNT_RESTORE_SECONDS / 60,
    },
    isMoved,
  )
  const end = await sessionEnd(scope, { userId: user.id, now })
  const [won, moved, , , ended] = await db.batch([
    claimProof(db, emailChanges, { given: { ...given, now }, claim }),
    moveEmailIf(db, user.id, { email, condition: isWon }),
    auditIfChanged(scope, { action: 'email.change', subject: user.id }),
    keepWayBackIf(db, id, { back, condition: isMoved }),
    endSessionsIf(db, { userId: user.id, except: actor.sessionId, now, cause: 'email-changed' }, isMoved),
    auditIfChanged(scope, { action: 'session.end-others', subject: user.id, cause: 'email-changed' }),
    deleteTrustsIf(db, user.id, isMoved),
    forgetDevicesIf(db, { userId: user.id, except: actor.sessionId }, isMoved),
    ...deleteOpenProofsIf(db, user.id, isMoved),
    burnOtherRegistrations(db, user.id),
    notice.statement,
    end.statement,
  ])
  if (won.meta.changes === 0) throw new Problem('code-invalid')
  if (moved.meta.changes === 0) throw new Problem('conflict')
  end.tell(ended)
  scope.deliver([notice.id])
}
