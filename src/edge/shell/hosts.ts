import * as z from 'zod'
import {
  type CreateHost,
  type Credential,
  type CredentialKind,
  type Host,
  HostId,
  type HostKey,
  type HostsQuery,
  type ScanHost,
  type UpdateHost,
} from '../../contract/hosts.ts'
import { toMoment } from '../../contract/id.ts'
import { HostKeyPin, JUMPS_MAX } from '../../contract/krp.ts'
import type { OrgId, OrgRole } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import { ShellId } from '../../contract/shell.ts'
import { auditIfChanged } from '../audit/service.ts'
import { orgRoleOf, requireOrgRole } from '../orgs/service.ts'
import { chargeFor, spend, tooMany } from '../platform/limiter/limiter.ts'
import { ofChange } from '../platform/notify.ts'
import { commit, outboxEventIf } from '../platform/outbox/outbox.ts'
import { afterKey, toPage } from '../platform/page.ts'
import { open } from '../platform/rpc.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { traceparentOf } from '../platform/trace.ts'
import { isPrincipal } from './certificate.ts'
import { wrapCredential } from './credential.ts'
import { readHostKeys } from './host-key.ts'
import {
  deleteHost as deleteHostRow,
  type HostRow,
  hostOf,
  hostsIn,
  insertHost,
  isHostGone,
  jumpsTo,
  updateHost as updateHostRow,
} from './host-store.ts'
import { REACH_CHANGED } from './reach-policy.ts'
import type { HostHop, HostTarget } from './rpc.ts'

/** Topic of the event that closes what still lives on a host that is gone: `{ hostId }`. */
export const HOST_DELETED = 'shell.host-deleted'

const kindOf = ({ login, credentialKind }: HostRow): CredentialKind => login ?? credentialKind

/** What members see: the credential is not in it. */
const toHost = (row: HostRow): Host => {
  const { id, orgId, kind, name, address, port, tags, keys, algorithms, keepaliveSeconds, idleTimeoutSeconds, maxDurationSeconds } = row
  const isSsh = kind === 'ssh'
  const place = { id, orgId, kind, name, address, port, user: isSsh ? row.user : null, tags, keys }
  const ways = { credentialKind: isSsh ? kindOf(row) : null, algorithms, keepaliveSeconds, idleTimeoutSeconds, maxDurationSeconds }
  return { ...place, ...ways, jumpHostId: row.jumpHostId, createdAt: toMoment(row.createdAt) }
}

const toHop = (host: HostRow): HostHop => ({
  hostId: host.id,
  name: host.name,
  kind: host.kind,
  address: host.address,
  port: host.port,
  user: host.user,
  pins: z.array(HostKeyPin).parse(host.keys.map(({ type, fingerprint }) => ({ type, fingerprint }))),
  algorithms: host.algorithms,
  keepaliveSeconds: host.keepaliveSeconds,
  credentialKind: kindOf(host),
  credential: host.credential,
})

/** The hosts on the way to one, the first that the relay dials first. */
function jumpsAmong(hosts: readonly HostRow[], jumpHostId: HostId | null): HostHop[] {
  const rows = new Map<HostId | null, HostRow>(hosts.map((row) => [row.id, row]))
  const jumps: HostHop[] = []
  for (let next = rows.get(jumpHostId); next && jumps.length < JUMPS_MAX; next = rows.get(next.jumpHostId ?? next.id)) {
    jumps.unshift(toHop(next))
    rows.delete(next.id)
  }
  return jumps
}

/** What a shell's object needs to go there over these hosts; credentials stay in their envelopes. */
export function targetOf(host: HostRow, way: readonly HostRow[]): HostTarget {
  const { idleTimeoutSeconds: idleSeconds, maxDurationSeconds: lifeSeconds } = host
  return { ...toHop(host), jumps: jumpsAmong(way, host.jumpHostId), idleSeconds, lifeSeconds }
}

/**
 * The keys a host presents now.
 *
 * @throws Problem `not-found`, `forbidden`, `limit-reached`, `target-forbidden`, `host-unreachable`, `host-refused`, `host-key-unknown`,
 * `host-key-mismatch`, `rate-limited` or `unavailable`
 */
export async function scanHost(scope: Scope, actor: Actor, at: { readonly orgId: OrgId } & ScanHost): Promise<{ keys: HostKey[] }> {
  const { orgId, address, port, algorithms, jumpHostId } = at
  await requireOrgRole(scope, actor, { orgId, roles: ['owner'] })
  const jumps = jumpHostId === null ? [] : jumpsAmong(await jumpsTo(scope.db, { orgId, jumpHostId }), jumpHostId)
  if (jumpHostId !== null && jumps.length === 0) throw new Problem('not-found')
  const scans = await spend(scope, { orgId }, [await chargeFor(scope, 'scan', { subject: [orgId] })])
  if (!scans.isAdmitted) throw tooMany(scope, scans)
  const shellId = ShellId.parse(scope.newId('shl'))
  const order = { shellId, orgId, userId: actor.userId, traceparent: traceparentOf(scope.trace), address, port, algorithms, jumps }
  return { keys: await open(scope.env.SHELLS.getByName(shellId).scanHost(order)) }
}

/** The columns of a credential. @throws Problem `invalid-request` when a certificate could not name the user */
async function credentialColumns(scope: Scope, of: { readonly id: HostId; readonly user: string }, credential: Credential) {
  const { keyring } = scope.config
  checkUser(of.user, credential.kind)
  const isPlain = credential.kind === 'password' || credential.kind === 'private-key'
  return {
    credentialKind: isPlain ? credential.kind : credential.kind === 'certificate' ? ('private-key' as const) : ('password' as const),
    login: isPlain ? null : credential.kind,
    credential: await wrapCredential(keyring, of.id, credential),
    secretVersion: keyring.version,
    secretFault: null,
  }
}

function checkUser(user: string, kind: CredentialKind): void {
  if (kind !== 'certificate' || isPrincipal(user)) return
  throw new Problem('invalid-request', { errors: [{ detail: 'is no name that a certificate can carry', pointer: '#/body/user' }] })
}

/** Registers a host with the keys a person accepted. @throws Problem `invalid-request`, `not-found`, `forbidden` or `limit-reached` */
export async function createHost(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly input: CreateHost }): Promise<Host> {
  const { orgId, input } = at
  await requireOrgRole(scope, actor, { orgId, roles: ['owner'] })
  const id = HostId.parse(scope.newId('hst'))
  const host: HostRow = { id, orgId, ...(await columnsOf(scope, id, input)), createdAt: scope.now() }
  await requireSoundWay(scope, host)
  const results = (await commit(scope, [
    insertHost(scope.db, actor.userId, host),
    auditIfChanged(scope, { action: 'host.create', subject: id, orgId, cause: describe(host) }),
  ])) as readonly D1Result[]
  if (results[0]?.meta.changes === 1) return toHost(host)
  await requireOrgRole(scope, actor, { orgId, roles: ['owner'] })
  throw new Problem('limit-reached')
}

/** The columns of what was asked for. Of a host without SSH there is nothing to log in with, and its envelope says so. */
async function columnsOf(scope: Scope, id: HostId, input: CreateHost): Promise<Omit<HostRow, 'id' | 'orgId' | 'createdAt'>> {
  if (input.kind === 'telnet') {
    const { isUnencryptedAccepted: _, ...rest } = input
    const nothing = await credentialColumns(scope, { id, user: '' }, { kind: 'keyboard-interactive' })
    return { ...rest, user: '', keys: [], algorithms: 'modern', ...nothing }
  }
  const { credential, keys, ...rest } = input
  return { ...rest, kind: 'ssh', keys: await readHostKeys(keys), ...(await credentialColumns(scope, { id, ...rest }, credential)) }
}

/** What of a host goes on record: where, as whom, which keys, and what is weaker than usual. */
const describe = (host: HostRow): string => {
  const { kind, keys, algorithms, jumpHostId } = host
  return [
    placeOf(host),
    ...(kind === 'ssh' ? [] : ['without encryption']),
    ...(jumpHostId === null ? [] : [`through ${jumpHostId}`]),
    ...(algorithms === 'legacy' ? ['legacy algorithms'] : []),
    ...(keys.length === 0 ? [] : [keys.map((key) => key.fingerprint).join(' ')]),
  ].join(', ')
}

const placeOf = ({ kind, user, address, port }: HostRow): string =>
  kind === 'ssh' ? `${user}@${address} port ${port}` : `${kind} ${address} port ${port}`

/** A jump host is one of the organisation that speaks SSH. @throws Problem `invalid-request` */
async function requireSoundWay(scope: Scope, { id, orgId, jumpHostId }: Pick<HostRow, 'id' | 'orgId' | 'jumpHostId'>): Promise<void> {
  if (jumpHostId === null) return
  const jumps = await jumpsTo(scope.db, { orgId, jumpHostId })
  const isThere = jumps.some((jump) => jump.id === jumpHostId && jump.kind === 'ssh') && jumpHostId !== id
  if (isThere && jumps.length <= JUMPS_MAX && !jumps.some((jump) => jump.id === id)) return
  const detail = isThere ? `leads over itself or over more than ${JUMPS_MAX} hosts` : 'is no other SSH host of the organisation'
  throw new Problem('invalid-request', { errors: [{ detail, pointer: '#/body/jumpHostId' }] })
}

/** The hosts of an organisation, newest first, for its members. @throws Problem `not-found` */
export async function listHosts(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly query: HostsQuery }) {
  const key = afterKey(at.query)
  const before = key === undefined ? undefined : HostId.safeParse(key)
  if (before?.success === false)
    throw new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })
  await orgRoleOf(scope, actor, at.orgId)
  const page = { before: before?.data, limit: at.query.limit + 1 }
  const rows = await hostsIn(scope.db, { orgId: at.orgId, callerId: actor.userId, tag: at.query.tag }, page)
  return toPage(rows, at.query, { key: (row) => row.id, item: toHost })
}

/** One host. @throws Problem `not-found` */
export async function getHost(scope: Scope, actor: Actor, hostId: HostId): Promise<Host> {
  return toHost((await hostFor(scope, actor, hostId)).host)
}

/** A host and the caller's role in its organisation. @throws Problem `not-found` for strangers */
export async function hostFor(
  scope: Scope,
  actor: Pick<Actor, 'userId'>,
  id: HostId,
): Promise<{ readonly host: HostRow; readonly role: OrgRole }> {
  const [row] = await hostOf(scope.db, { id, callerId: actor.userId })
  if (!row?.role) throw new Problem('not-found')
  return { host: row.host, role: row.role }
}

/** Changes a host, or accepts its new keys. @throws Problem `invalid-request`, `not-found`, `forbidden` or `conflict` */
export async function updateHost(scope: Scope, actor: Actor, at: { readonly hostId: HostId; readonly change: UpdateHost }): Promise<Host> {
  const { host, role } = await hostFor(scope, actor, at.hostId)
  if (role !== 'owner') throw new Problem('forbidden')
  const { keys, credential, ...rest } = at.change
  if (host.kind === 'ssh') requireWholeMove(host, at.change)
  else refuseSshChange(at.change)
  const user = rest.user ?? host.user
  if (host.kind === 'ssh') checkUser(user, credential?.kind ?? kindOf(host))
  const change: Partial<HostRow> = {
    ...(Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)) as Partial<HostRow>),
    ...(keys === undefined ? {} : { keys: await readHostKeys(keys) }),
    ...(credential === undefined ? {} : await credentialColumns(scope, { id: host.id, user }, credential)),
  }
  const after = { ...host, ...change }
  await requireSoundWay(scope, after)
  const acts = keys === undefined ? 'host.update' : 'host.accept-keys'
  const results = (await commit(
    scope,
    [
      updateHostRow(scope.db, { before: host, callerId: actor.userId }, change),
      auditIfChanged(scope, {
        action: acts,
        subject: host.id,
        orgId: host.orgId,
        cause: `${Object.keys(at.change).join(' ')}: ${describe(after)}`,
      }),
    ],
    at.change.tags === undefined
      ? []
      : [await outboxEventIf(scope, { topic: REACH_CHANGED, payload: { orgId: host.orgId }, condition: ofChange })],
  )) as readonly D1Result[]
  // Somebody else was faster, or the hosts behind this one would lie too deep.
  if (results[0]?.meta.changes !== 1) throw new Problem('conflict')
  return toHost(after)
}

/** A stored secret goes to the machine it was given for, or nowhere. @throws Problem `invalid-request` */
function requireWholeMove(host: HostRow, change: UpdateHost): void {
  const isMoved = (['address', 'port', 'jumpHostId'] as const).some((name) => change[name] !== undefined && change[name] !== host[name])
  if (!isMoved) return
  const missing = (['keys', 'credential'] as const).filter((name) => change[name] === undefined)
  const errors = missing.map((name) => ({ detail: 'is needed when a host moves', pointer: `#/body/${name}` }))
  if (errors.length > 0) throw new Problem('invalid-request', { errors })
}

/** @throws Problem `invalid-request` */
function refuseSshChange(change: UpdateHost): void {
  const odd = (['user', 'keys', 'credential', 'algorithms'] as const).filter((name) => change[name] !== undefined)
  const errors = odd.map((name) => ({ detail: 'is of SSH hosts only', pointer: `#/body/${name}` }))
  if (errors.length > 0) throw new Problem('invalid-request', { errors })
}

/** Only SSH hosts run commands and hold files. @throws Problem `host-unsuited` */
export function requireSsh({ kind }: Pick<HostRow, 'kind'>): void {
  if (kind !== 'ssh') throw new Problem('host-unsuited')
}

/** Forgets a host and its credential; what lives on it is closed. @throws Problem `not-found`, `forbidden`, or `conflict` while others lie behind it */
export async function deleteHost(scope: Scope, actor: Actor, hostId: HostId): Promise<void> {
  const { host, role } = await hostFor(scope, actor, hostId)
  if (role !== 'owner') throw new Problem('forbidden')
  const cause = placeOf(host)
  const results = (await commit(
    scope,
    [
      deleteHostRow(scope.db, { id: hostId, callerId: actor.userId }),
      auditIfChanged(scope, { action: 'host.delete', subject: hostId, orgId: host.orgId, cause }),
    ],
    [await outboxEventIf(scope, { topic: HOST_DELETED, payload: { hostId }, condition: isHostGone(hostId) })],
  )) as readonly D1Result[]
  if (results[0]?.meta.changes === 1) return
  await hostFor(scope, actor, hostId)
  throw new Problem('conflict', { detail: 'Other hosts are reached through this one.' })
}
