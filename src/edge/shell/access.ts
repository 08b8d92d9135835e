import type { HostId } from '../../contract/hosts.ts'
import { type PageQuery, toMoment } from '../../contract/id.ts'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId, OrgRole } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import { type AccessRequest, AccessRequestId, type RequestAccess } from '../../contract/shell-policy.ts'
import { auditIfChanged } from '../audit/service.ts'
import { orgRoleOf } from '../orgs/service.ts'
import { openDb } from '../platform/db.ts'
import { ofChange } from '../platform/notify.ts'
import { commit, outboxEventIf } from '../platform/outbox/outbox.ts'
import { afterKey, toPage } from '../platform/page.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { hostFor } from './hosts.ts'
import { mayOperate } from './policy.ts'
import { type AccessRow, decideRequest, endRequest, insertRequest, requestOf, requestsIn, requestsOf } from './policy-store.ts'
import { REACH_CHANGED } from './reach-policy.ts'

/** What nobody decided, or what has run out, is over without anybody's doing. */
const stateAt = ({ state, expiresAt }: AccessRow, now: number): AccessRow['state'] =>
  (state === 'pending' || state === 'approved') && expiresAt <= now ? 'ended' : state

const toRequest = (row: AccessRow, now: number): AccessRequest => ({
  ...row,
  state: stateAt(row, now),
  createdAt: toMoment(row.createdAt),
  expiresAt: toMoment(row.expiresAt),
})

/** Asks the owners for access to a host. @throws Problem `not-found`, `forbidden` or `limit-reached` */
export async function requestAccess(scope: Scope, actor: Actor, at: { readonly hostId: HostId } & RequestAccess): Promise<AccessRequest> {
  const { host, role } = await hostFor(scope, actor, at.hostId)
  if (!mayOperate(role)) throw new Problem('forbidden')
  const id = AccessRequestId.parse(scope.newId('acr'))
  const { reason, seconds } = at
  const [inserted] = (await commit(scope, [
    insertRequest(scope.db, { id, hostId: host.id, userId: actor.userId, reason, seconds, now: scope.now() }),
    auditIfChanged(scope, { action: 'access.request', subject: id, orgId: host.orgId, cause: `${host.id} for ${seconds} s: ${reason}` }),
  ])) as readonly D1Result[]
  if (inserted?.meta.changes !== 1) throw new Problem('limit-reached')
  return (await requestFor(scope, actor, id)).request
}

async function requestFor(
  scope: Scope,
  actor: Actor,
  id: AccessRequestId,
): Promise<{ readonly request: AccessRequest; readonly role: OrgRole }> {
  const [row] = await requestOf(openDb(scope.env.DB, undefined).db, { id, callerId: actor.userId })
  if (!row?.role) throw new Problem('not-found')
  return { request: toRequest(row.request, scope.now()), role: row.role }
}

/** Requests of an organisation, newest first: owners see all, others their own. @throws Problem `invalid-request` or `not-found` */
export async function listAccessRequests(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly query: PageQuery }) {
  const key = afterKey(at.query)
  const before = key === undefined ? undefined : AccessRequestId.safeParse(key)
  if (before?.success === false)
    throw new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })
  const role = await orgRoleOf(scope, actor, at.orgId)
  const page = { before: before?.data, limit: at.query.limit + 1 }
  const rows = await requestsIn(scope.db, { orgId: at.orgId, callerId: actor.userId, role }, page)
  return toPage(rows, at.query, { key: (row) => row.id, item: (row) => toRequest(row, scope.now()) })
}

/** Decides a request, once. @throws Problem `not-found`, `forbidden` for others than owners and for one's own, `conflict` when it is decided or over */
export async function decideAccess(
  scope: Scope,
  actor: Actor,
  at: { readonly requestId: AccessRequestId; readonly isApproved: boolean },
): Promise<AccessRequest> {
  const { request, role } = await requestFor(scope, actor, at.requestId)
  if (role !== 'owner' || request.userId === actor.userId) throw new Problem('forbidden')
  const { isApproved } = at
  const [decided] = (await commit(scope, [
    decideRequest(scope.db, { id: at.requestId, callerId: actor.userId }, { isApproved, now: scope.now() }),
    auditIfChanged(scope, {
      action: isApproved ? 'access.approve' : 'access.deny',
      subject: at.requestId,
      orgId: request.orgId,
      cause: `${request.userId} on ${request.hostId} for ${request.seconds} s`,
    }),
  ])) as readonly D1Result[]
  if (decided?.meta.changes !== 1) throw new Problem('conflict')
  return (await requestFor(scope, actor, at.requestId)).request
}

/** Withdraws a request or takes an approval back; again is fine. @throws Problem `not-found` */
export async function endAccess(scope: Scope, actor: Actor, requestId: AccessRequestId): Promise<void> {
  const { request } = await requestFor(scope, actor, requestId)
  const { orgId } = request
  await commit(
    scope,
    [
      endRequest(scope.db, { id: requestId, callerId: actor.userId }),
      auditIfChanged(scope, { action: 'access.end', subject: requestId, orgId, cause: request.state }),
    ],
    [await outboxEventIf(scope, { topic: REACH_CHANGED, payload: { orgId }, condition: ofChange })],
  )
}

/** What a user asked for. */
export const exportRequests = async (scope: Scope, userId: UserId): Promise<readonly AccessRequest[]> =>
  (await requestsOf(scope.db, userId)).map((row) => toRequest(row, scope.now()))
