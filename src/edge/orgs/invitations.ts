import { type PageQuery, toMoment } from '../../contract/id.ts'
import {
  INVITATION_TTL_SECONDS,
  type Invitation,
  InvitationId,
  type InviteOrgMember,
  type ReceivedInvitation,
} from '../../contract/invitations.ts'
import { MAILED_PAGES } from '../../contract/mailed-link.ts'
import type { Org, OrgId } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import { auditIfChanged } from '../audit/service.ts'
import { drawLink, linkTokenHash, mailedApp } from '../identity/service.ts'
import { mailEventIf } from '../platform/mail/outbox.ts'
import { notifyIf, ofChange } from '../platform/notify.ts'
import { commit, outboxEvent, queueEvents } from '../platform/outbox/outbox.ts'
import { afterKey, toPage } from '../platform/page.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import {
  declineRow,
  deleteExpired,
  dropExpired,
  insertInvitation,
  invitationIn,
  invitationsIn,
  inviterFacts,
  isMailDue,
  joinByInvitation,
  type Presented,
  receivedInvitation,
  renewInvitation,
  spendInvitation,
  withdrawRow,
} from './invitation-store.ts'
import { getOrg, MEMBER_CHANGED, requireOrgRole } from './service.ts'
import type { orgInvitations } from './tables.ts'

/** Invitations that one address is mailed a day, whoever invites; beyond that the answer stays the same and nothing is sent. */
const MAILS_PER_DAY_MAX = 10
const DAY_MS = 86_400_000
const TTL_MS = INVITATION_TTL_SECONDS * 1000

type Row = typeof orgInvitations.$inferSelect

const toInvitation = (row: Omit<Row, 'tokenHash' | 'mails' | 'app'>): Invitation => ({
  id: row.id,
  email: row.email,
  role: row.role,
  inviterId: row.inviterId,
  createdAt: toMoment(row.createdAt),
  expiresAt: toMoment(row.expiresAt),
})

/** The mail of a link that this very batch has stored. It goes to the address, whether or not somebody has an account with it. */
function invitationMail(
  scope: Scope,
  to: { readonly email: string; readonly locale: 'en' | 'fr'; readonly app: string | null },
  link: Awaited<ReturnType<typeof drawLink>>,
) {
  const mail = {
    to: to.email,
    locale: to.locale,
    kind: 'org-invitation',
    link: link.link,
    app: to.app ?? undefined,
    minutes: INVITATION_TTL_SECONDS / 60,
  } as const
  return mailEventIf(scope, mail, isMailDue(link.tokenHash, { since: scope.now() - DAY_MS, max: MAILS_PER_DAY_MAX }))
}

/** Invites whoever owns an address. @throws Problem `not-found`, `forbidden`, `limit-reached`, or `conflict` when it is invited already */
export async function inviteOrgMember(
  scope: Scope,
  actor: Actor,
  at: { readonly orgId: OrgId; readonly wanted: InviteOrgMember },
): Promise<Invitation> {
  const { orgId } = at
  const { email, role } = at.wanted
  const { app = null } = mailedApp(scope, at.wanted.app)
  const now = scope.now()
  const { db, config } = scope
  const facts = () => inviterFacts(db, { orgId, callerId: actor.userId, now })
  const [inviter] = await facts()
  const locale = at.wanted.locale ?? inviter?.locale ?? 'en'
  const link = await drawLink(MAILED_PAGES['org-invitation'], locale)
  const id = InvitationId.parse(scope.newId('inv'))
  const row = {
    id,
    orgId,
    email,
    role,
    inviterId: actor.userId,
    tokenHash: link.tokenHash,
    mailedAt: now,
    createdAt: now,
    expiresAt: now + TTL_MS,
    app,
  }
  const mail = await invitationMail(scope, { email, locale, app }, link)
  const content = { kind: 'org-invited', orgId, invitationId: id, role } as const
  const told = await notifyIf(scope, { email }, { content, condition: ofChange })
  const [, added] = (await commit(
    scope,
    [
      dropExpired(db, { orgId, email, now }),
      insertInvitation(db, row, config.quotas),
      auditIfChanged(scope, { action: 'org.invite', subject: id, orgId, cause: role }),
      told.statement,
    ],
    [mail],
  )) as readonly D1Result[]
  if (added?.meta.changes === 1) {
    // Only an address that has an account has an inbox: what is done for it here would tell.
    queueEvents(scope, [told.id])
    return toInvitation(row)
  }
  await requireOrgRole(scope, actor, { orgId, roles: ['owner'] })
  const [standing] = await facts()
  throw new Problem((standing?.open ?? 0) >= config.quotas.invitationsMax ? 'limit-reached' : 'conflict')
}

/** The open invitations, for owners. @throws Problem `not-found` or `forbidden` */
export async function listOrgInvitations(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly query: PageQuery }) {
  const key = afterKey(at.query)
  const before = key === undefined ? undefined : InvitationId.safeParse(key)
  if (before?.success === false)
    throw new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })
  await requireOrgRole(scope, actor, { orgId: at.orgId, roles: ['owner'] })
  const of = { orgId: at.orgId, callerId: actor.userId, now: scope.now() }
  const rows = await invitationsIn(scope.db, of, { before: before?.data, limit: at.query.limit + 1 })
  return toPage(rows, at.query, { key: (row) => row.id, item: toInvitation })
}

interface InvitationPath {
  readonly orgId: OrgId
  readonly invitationId: InvitationId
}

/** Mails an invitation again, with another link. @throws Problem `not-found`, `forbidden` or `limit-reached` */
export async function resendOrgInvitation(scope: Scope, actor: Actor, { orgId, invitationId: id }: InvitationPath): Promise<Invitation> {
  const at = { orgId, callerId: actor.userId, id }
  const now = scope.now()
  await requireOrgRole(scope, actor, { orgId, roles: ['owner'] })
  const [[known], [inviter]] = await Promise.all([invitationIn(scope.db, at), inviterFacts(scope.db, { ...at, now })])
  if (!known) throw new Problem('not-found')
  const locale = inviter?.locale ?? 'en'
  const link = await drawLink(MAILED_PAGES['org-invitation'], locale)
  const mail = await invitationMail(scope, { email: known.email, locale, app: known.app }, link)
  const [renewed] = (await commit(
    scope,
    [
      renewInvitation(scope.db, at, { tokenHash: link.tokenHash, mailedAt: now, expiresAt: now + TTL_MS }),
      auditIfChanged(scope, { action: 'org.invite-again', subject: id, orgId }),
    ],
    [mail],
  )) as readonly Row[][]
  const [row] = renewed ?? []
  if (row) return toInvitation(row)
  throw new Problem((await invitationIn(scope.db, at)).length > 0 ? 'limit-reached' : 'not-found')
}

/** Takes an invitation back. @throws Problem `not-found` or `forbidden` */
export async function withdrawOrgInvitation(scope: Scope, actor: Actor, { orgId, invitationId: id }: InvitationPath): Promise<void> {
  const [gone] = await scope.db.batch([
    withdrawRow(scope.db, { orgId, callerId: actor.userId, id }),
    auditIfChanged(scope, { action: 'org.invite-withdraw', subject: id, orgId }),
  ])
  if (gone.meta.changes === 1) return
  await requireOrgRole(scope, actor, { orgId, roles: ['owner'] })
  throw new Problem('not-found')
}

const presentedBy = async (scope: Scope, actor: Actor, token: string): Promise<Presented> => ({
  tokenHash: await linkTokenHash(token),
  userId: actor.userId,
  now: scope.now(),
})

async function received(scope: Scope, presented: Presented) {
  const [found] = await receivedInvitation(scope.db, presented)
  if (!found) throw new Problem('not-found')
  return found
}

/** What an invitation is to, for the owner of its address. @throws Problem `not-found` for everybody else */
export async function showInvitation(scope: Scope, actor: Actor, token: string): Promise<ReceivedInvitation> {
  const { invitation, orgName } = await received(scope, await presentedBy(scope, actor, token))
  return { orgName, role: invitation.role, expiresAt: toMoment(invitation.expiresAt) }
}

/** Joins by invitation. @throws Problem `not-found`, or `limit-reached` while a quota is used up */
export async function acceptInvitation(scope: Scope, actor: Actor, token: string): Promise<Org> {
  const presented = await presentedBy(scope, actor, token)
  const { invitation } = await received(scope, presented)
  const { id, orgId, role } = invitation
  const [, , spent] = (await commit(
    scope,
    [
      joinByInvitation(scope.db, presented, scope.config.quotas),
      auditIfChanged(scope, { action: 'org.join', subject: orgId, orgId, cause: `${id} as ${role}` }),
      spendInvitation(scope.db, presented),
    ],
    [await outboxEvent(scope, MEMBER_CHANGED, { orgId, userId: actor.userId })],
  )) as readonly D1Result[]
  if (spent?.meta.changes === 1) return getOrg(scope, actor, orgId)
  await received(scope, presented)
  throw new Problem('limit-reached')
}

/** Refuses an invitation. @throws Problem `not-found` */
export async function declineInvitation(scope: Scope, actor: Actor, token: string): Promise<void> {
  const presented = await presentedBy(scope, actor, token)
  const { invitation } = await received(scope, presented)
  const [gone] = await scope.db.batch([
    declineRow(scope.db, presented),
    auditIfChanged(scope, { action: 'org.invite-decline', subject: invitation.id, orgId: invitation.orgId }),
  ])
  if (gone.meta.changes === 0) throw new Problem('not-found')
}

/** Forgets invitations that expired a day ago. */
export async function sweepInvitations(scope: Scope): Promise<number> {
  return (await deleteExpired(scope.db, scope.now() - DAY_MS)).meta.changes
}
