import * as z from 'zod'
import { type PageQuery, toMoment } from '../../contract/id.ts'
import { HostKeyPin } from '../../contract/krp.ts'
import type { OrgId, OrgRole } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import { type CreateHost, type Host, HostId, type HostKey, type ScanHost, ShellId } from '../../contract/shell.ts'
import { auditIfChanged } from '../audit/service.ts'
import { orgRoleOf, requireOrgRole } from '../orgs/service.ts'
import { commit, outboxEvent } from '../platform/outbox/outbox.ts'
import { afterKey, toPage } from '../platform/page.ts'
import { open } from '../platform/rpc.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { traceparentOf } from '../platform/trace.ts'
import { wrapCredential } from './credential.ts'
import { readHostKeys } from './host-key.ts'
import type { HostTarget } from './rpc.ts'
import { deleteHost as deleteHostRow, hostOf, hostsIn, insertHost } from './store.ts'
import type { hosts } from './tables.ts'

/** Topic of the event that closes what still lives on a host that is gone: `{ hostId }`. */
export const HOST_DELETED = 'shell.host-deleted'

type HostRow = typeof hosts.$inferSelect

/** What members see: the credential is not in it. */
const toHost = ({ id, orgId, name, address, port, user, keys, credentialKind, createdAt }: HostRow): Host => ({
  id,
  orgId,
  name,
  address,
  port,
  user,
  keys,
  credentialKind,
  createdAt: toMoment(createdAt),
})

/** What a shell's object needs to go there; the credential stays in its envelope. */
export const targetOf = (host: HostRow): HostTarget => ({
  hostId: host.id,
  address: host.address,
  port: host.port,
  user: host.user,
  pins: z.array(HostKeyPin).parse(host.keys.map(({ type, fingerprint }) => ({ type, fingerprint }))),
  credential: host.credential,
})

/** The key a host presents now. @throws Problem `not-found`, `forbidden`, `target-forbidden`, `host-unreachable`, `rate-limited` or `unavailable` */
export async function scanHost(scope: Scope, actor: Actor, at: { readonly orgId: OrgId } & ScanHost): Promise<{ keys: HostKey[] }> {
  const { orgId, address, port } = at
  await requireOrgRole(scope, actor, { orgId, roles: ['owner'] })
  const shellId = ShellId.parse(scope.newId('shl'))
  const order = { shellId, orgId, userId: actor.userId, traceparent: traceparentOf(scope.trace), address, port }
  return { keys: await open(scope.env.SHELLS.getByName(shellId).scanHost(order)) }
}

/** Registers a host with the keys a person accepted. @throws Problem `invalid-request`, `not-found`, `forbidden` or `limit-reached` */
export async function createHost(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly input: CreateHost }): Promise<Host> {
  const { orgId, input } = at
  await requireOrgRole(scope, actor, { orgId, roles: ['owner'] })
  const id = HostId.parse(scope.newId('hst'))
  const { name, address, port, user, credential } = input
  const host: HostRow = {
    id,
    orgId,
    name,
    address,
    port,
    user,
    keys: await readHostKeys(input.keys),
    credentialKind: credential.kind,
    credential: await wrapCredential(scope.config.keyring, id, credential),
    createdAt: scope.now(),
  }
  const cause = `${user}@${address} port ${port}, ${host.keys.map((key) => key.fingerprint).join(' ')}`
  const results = (await commit(scope, [
    insertHost(scope.db, actor.userId, host),
    auditIfChanged(scope, { action: 'host.create', subject: id, orgId, cause }),
  ])) as readonly D1Result[]
  if (results[0]?.meta.changes === 1) return toHost(host)
  await requireOrgRole(scope, actor, { orgId, roles: ['owner'] })
  throw new Problem('limit-reached')
}

/** The hosts of an organisation, newest first, for its members. @throws Problem `not-found` */
export async function listHosts(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly query: PageQuery }) {
  const key = afterKey(at.query)
  const before = key === undefined ? undefined : HostId.safeParse(key)
  if (before?.success === false)
    throw new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })
  await orgRoleOf(scope, actor, at.orgId)
  const page = { before: before?.data, limit: at.query.limit + 1 }
  const rows = await hostsIn(scope.db, { orgId: at.orgId, callerId: actor.userId }, page)
  return toPage(rows, at.query, { key: (row) => row.id, item: toHost })
}

/** One host. @throws Problem `not-found` */
export async function getHost(scope: Scope, actor: Actor, hostId: HostId): Promise<Host> {
  return toHost((await hostFor(scope, actor, hostId)).host)
}

/** A host and the caller's role in its organisation. @throws Problem `not-found` for strangers */
export async function hostFor(scope: Scope, actor: Actor, id: HostId): Promise<{ readonly host: HostRow; readonly role: OrgRole }> {
  const [row] = await hostOf(scope.db, { id, callerId: actor.userId })
  if (!row?.role) throw new Problem('not-found')
  return { host: row.host, role: row.role }
}

/** Forgets a host and its credential; what lives on it is closed. @throws Problem `not-found` or `forbidden` */
export async function deleteHost(scope: Scope, actor: Actor, hostId: HostId): Promise<void> {
  const { host, role } = await hostFor(scope, actor, hostId)
  if (role !== 'owner') throw new Problem('forbidden')
  const cause = `${host.user}@${host.address} port ${host.port}`
  const results = (await commit(
    scope,
    [
      deleteHostRow(scope.db, { id: hostId, callerId: actor.userId }),
      auditIfChanged(scope, { action: 'host.delete', subject: hostId, orgId: host.orgId, cause }),
    ],
    [await outboxEvent(scope, HOST_DELETED, { hostId })],
  )) as readonly D1Result[]
  // Somebody else was faster, or the caller's role is gone.
  if (results[0]?.meta.changes !== 1) throw new Problem('not-found')
}
