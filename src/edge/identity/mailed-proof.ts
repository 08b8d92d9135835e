import { toMoment } from '../../contract/id.ts'
import { CODE_TTL_SECONDS } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import { auditEntry, auditIfChanged } from '../audit/service.ts'
import type { MailKind } from '../platform/mail/message.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import { commit } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import type { ProofTable } from './mail-share.ts'
import { codeMac, drawProof, hashesOf, mailedApp, type ProofPurpose, pageLink, tokenHash, unmatchable } from './proof.ts'
import { askerOf, burnExcess, countWrongTry, type Given, isMailable, provenOwner } from './proof-store.ts'
import { userByEmail } from './store.ts'
import type { magicLinks, passwordResets, users } from './tables.ts'

/** What a mailed proof is for. */
interface ProofUse<T extends ProofTable> {
  readonly table: T
  readonly purpose: ProofPurpose
  /** On record when a wrong code is given. */
  readonly refusal: { readonly action: `${string}.${string}`; readonly cause: string }
}

/** A proof that anybody may have mailed to the owner of an address. */
export interface PublicProof extends ProofUse<typeof passwordResets | typeof magicLinks> {
  readonly prefix: string
  readonly kind: MailKind
  readonly page: `/${string}`
  /** On record when it is asked for. */
  readonly action: `${string}.${string}`
}

/** Who is to be mailed, and which app the link leads to. */
interface Wish {
  readonly email: string
  readonly app?: string | undefined
}

/** Mails a code and a link to a known address. Work, answer and time are the same for any other. */
export async function mailProof<Id extends string>(scope: Scope, use: PublicProof, wish: Wish): Promise<{ id: Id; expiresAt: string }> {
  const { table, purpose, kind } = use
  const { email } = wish
  const app = mailedApp(scope, wish.app)
  const { db, config } = scope
  const now = scope.now()
  const [user] = await userByEmail(db, email)
  const owner = user?.disabledAt === null ? user : undefined
  const id = scope.newId(use.prefix) as Id
  const proof = drawProof()
  const hashes = owner ? await hashesOf(config.keyring, purpose, { id, ...proof }) : await unmatchable(config.keyring, purpose, id)
  const expiresAt = now + CODE_TTL_SECONDS * 1000
  const row = { id, email, userId: owner?.id ?? null, ...hashes, createdAt: now, expiresAt } as typeof passwordResets.$inferInsert
  const locale = owner?.locale ?? 'en'
  const link = pageLink(use.page, locale, proof.token)
  const mail = { to: email, locale, kind, code: proof.code, link, ...app, minutes: CODE_TTL_SECONDS / 60 }
  const event = await mailEventIf(scope, mail, isMailable(table, id))
  const burn = burnExcess(db, table, { id, email, now })
  const entry = auditEntry(scope, { action: use.action, subject: owner?.id ?? 'unknown', actorId: 'anonymous' })
  await commit(scope, [db.insert(table).values(row), burn, entry], [event])
  return { id, expiresAt: toMoment(expiresAt) }
}

/** What a caller gives as a proof; the contract lets exactly one of the two forms pass. */
export interface GivenProof {
  readonly id: string | undefined
  readonly code: string | undefined
  readonly token: string | undefined
}

/** A given proof that was right when it was looked at; whoever acts on it must still win it. */
export interface RightProof {
  readonly given: Given
  readonly id: string
  /** The address it was mailed to. */
  readonly email: string
  readonly user: typeof users.$inferSelect
}

/** The owner behind a proof. A wrong code costs a try before anything else is looked at. @throws Problem `code-invalid` */
export async function checkProof(scope: Scope, use: ProofUse<ProofTable>, { id = '', code = '', token }: GivenProof): Promise<RightProof> {
  const now = scope.now()
  const given: Given =
    token === undefined
      ? { id, codeMac: await codeMac(scope.config.keyring, use.purpose, { id, code }), now }
      : { tokenHash: await tokenHash(token), now }
  const [asker] = token === undefined ? await askerOf(scope.db, use.table, id) : []
  const [, , [owner]] = await scope.db.batch([
    countWrongTry(scope.db, use.table, given),
    auditIfChanged(scope, { ...use.refusal, subject: asker?.userId ?? 'unknown', actorId: scope.actor?.userId ?? 'anonymous' }),
    provenOwner(scope.db, use.table, given),
  ])
  if (!owner) throw new Problem('code-invalid')
  return { given, ...owner }
}
