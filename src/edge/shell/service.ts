import { type PageQuery, toMoment } from '../../contract/id.ts'
import type { Ticket, UserId } from '../../contract/identity.ts'
import type { OrgId, OrgRole } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import { type OpenShell, type OrgShellsQuery, type Shell, ShellId } from '../../contract/shell.ts'
import { auditIfChanged } from '../audit/service.ts'
import { orgRoleOf } from '../orgs/service.ts'
import { commit } from '../platform/outbox/outbox.ts'
import { afterKey, toPage } from '../platform/page.ts'
import { open } from '../platform/rpc.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { mintTicket } from '../platform/ticket.ts'
import { traceparentOf } from '../platform/trace.ts'
import { exportRequests } from './access.ts'
import { groundFor } from './ground.ts'
import { askHooks } from './hook-ask.ts'
import { erasePolicyTraces } from './policy-store.ts'
import { requireReach } from './reach-policy.ts'
import { eraseRecorded, insertRecording, recordingsBy } from './recording-store.ts'
import { toRecording } from './recordings.ts'
import type { HostTarget } from './rpc.ts'
import { eraseRunsOf, exportRuns } from './runs.ts'
import { startRefused } from './starting.ts'
import { allShellsOf, commandsOf, eraseCommander, eraseShells, insertShell, orgShells, shellOf, shellsOf } from './store.ts'
import type { shells } from './tables.ts'

type ShellRow = typeof shells.$inferSelect

const ERASE_SHELLS_PER_BATCH = 50

const toShell = ({ id, orgId, hostId, userId, state, reason, createdAt, closedAt }: ShellRow): Shell => ({
  id,
  orgId,
  hostId,
  userId,
  state,
  ...(reason === null ? {} : { reason }),
  createdAt: toMoment(createdAt),
  ...(closedAt === null ? {} : { closedAt: toMoment(closedAt) }),
})

/**
 * Opens a shell and answers once the host has let us in, or asks something that only a person can answer.
 *
 * @throws Problem `not-found`, `forbidden`, `limit-reached`, `hook-refused`, `hook-failed`, `target-forbidden`, `host-unreachable`, `host-key-unknown`,
 * `host-key-mismatch`, `host-refused`, `rate-limited` or `unavailable`
 */
export async function openShell(scope: Scope, actor: Actor, input: OpenShell): Promise<Shell> {
  const { userId, sessionId } = actor
  const ground = await groundFor(scope, { hostId: input.hostId, userId, sessionId, actor, use: 'shell' })
  const { host, policy, oversight, hooks, target: way } = ground
  const until = await requireReach(scope, { hostId: host.id, userId })
  const id = ShellId.parse(scope.newId('shl'))
  await askHooks(scope, hooks, { shellId: id, userId, use: 'shell', host })
  const now = scope.now()
  const target = endingBy(way, until, now)
  const results = (await commit(scope, [
    insertShell(scope.db, { id, hostId: host.id, userId, now, quotas: scope.config.shellQuotas }),
    auditIfChanged(scope, { action: 'shell.open', subject: id, orgId: host.orgId, cause: host.id }),
    insertRecording(scope.db, { id, kind: 'pty', columns: input.columns, rows: input.rows, now }),
  ])) as readonly D1Result[]
  if (results[0]?.meta.changes !== 1) throw await startRefused(scope, { userId, hostId: host.id })
  const pty = { term: input.terminal, cols: input.columns, rows: input.rows }
  const who = { shellId: id, orgId: host.orgId, userId, ...(policy.stepUp ? { provenSession: actor.sessionId } : {}) }
  const order = { ...who, traceparent: traceparentOf(scope.trace), target, pty, oversight, alerts: policy.alerts }
  const state = await open(scope.env.SHELLS.getByName(id).openShell(order))
  return { id, orgId: host.orgId, hostId: host.id, userId, state, createdAt: toMoment(now) }
}

/** An approval that ends sooner than the host's own time ends the shell: the relay sees to it, whatever happens to us. */
function endingBy(target: HostTarget, until: number | null, now: number): HostTarget {
  if (until === null) return target
  const leftSeconds = Math.max(1, Math.floor((until - now) / 1000))
  return { ...target, lifeSeconds: Math.min(target.lifeSeconds ?? leftSeconds, leftSeconds) }
}

/** The shell after which a page goes on. @throws Problem `invalid-request` */
function placeIn(query: PageQuery): ShellId | undefined {
  const key = afterKey(query)
  if (key === undefined) return undefined
  const { data } = ShellId.safeParse(key)
  if (!data) throw new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })
  return data
}

const toShellPage = (rows: readonly ShellRow[], query: PageQuery) => toPage(rows, query, { key: (row) => row.id, item: toShell })

/** The caller's shells, newest first. @throws Problem `invalid-request` */
export async function listShells(scope: Scope, actor: Actor, query: PageQuery): Promise<{ items: Shell[]; nextCursor?: string }> {
  return toShellPage(await shellsOf(scope.db, actor.userId, { before: placeIn(query), limit: query.limit + 1 }), query)
}

/** The shells of an organisation, newest first. @throws Problem `not-found` or `invalid-request` */
export async function listOrgShells(
  scope: Scope,
  actor: Actor,
  { orgId, query }: { readonly orgId: OrgId; readonly query: OrgShellsQuery },
): Promise<{ items: Shell[]; nextCursor?: string }> {
  await orgRoleOf(scope, actor, orgId)
  const page = { before: placeIn(query), isLive: query.live, limit: query.limit + 1 }
  return toShellPage(await orgShells(scope.db, { id: orgId, callerId: actor.userId }, page), query)
}

/** One shell of the caller's organisations. @throws Problem `not-found` */
export async function getShell(scope: Scope, actor: Actor, shellId: ShellId): Promise<Shell> {
  return toShell((await shellFor(scope, actor, shellId)).shell)
}

async function shellFor(scope: Scope, actor: Actor, id: ShellId): Promise<{ readonly shell: ShellRow; readonly role: OrgRole }> {
  const [row] = await shellOf(scope.db, { id, callerId: actor.userId })
  if (!row?.role) throw new Problem('not-found')
  return { shell: row.shell, role: row.role }
}

/** Ends a shell and its remote process; again is fine. @throws Problem `not-found` or `forbidden` */
export async function closeShell(scope: Scope, actor: Actor, shellId: ShellId): Promise<void> {
  const { shell, role } = await shellFor(scope, actor, shellId)
  const isOpener = shell.userId === actor.userId
  if (!isOpener && role !== 'owner') throw new Problem('forbidden')
  if (shell.closedAt !== null) return
  const reason = isOpener ? 'Its opener closed it.' : 'An owner of the organisation closed it.'
  await scope.env.SHELLS.getByName(shellId).endShell({ reason, actorId: actor.userId })
}

/** A pass for one socket. @throws Problem `not-found` */
export async function createShellTicket(scope: Scope, actor: Actor, shellId: ShellId): Promise<Ticket> {
  await shellFor(scope, actor, shellId)
  const { ticket, expiresAt } = await mintTicket(scope, actor, shellId)
  return { ticket, expiresAt: toMoment(expiresAt) }
}

/** The shells a user opened and the commands they ran. */
export async function exportShells(scope: Scope, userId: UserId): Promise<object> {
  const rows = await allShellsOf(scope.db, userId, Number.MAX_SAFE_INTEGER)
  const commands = await commandsOf(scope.db, userId)
  const recordings = await recordingsBy(scope.db, userId)
  return {
    shells: rows.map(toShell),
    recordings: recordings.map(toRecording),
    runs: await exportRuns(scope, userId),
    accessRequests: await exportRequests(scope, userId),
    commands: commands.map(({ startedAt, endedAt, userId: _, ...command }) => ({
      ...command,
      startedAt: toMoment(startedAt),
      endedAt: endedAt === null ? null : toMoment(endedAt),
    })),
  }
}

/** Ends and forgets a user's shells. Their commands and recordings stay on the organisation's record without their name. */
export async function eraseShellsOf(scope: Scope, userId: UserId): Promise<void> {
  for (;;) {
    const rows = await allShellsOf(scope.db, userId, ERASE_SHELLS_PER_BATCH)
    if (rows.length === 0) break
    await Promise.all(rows.map(({ id }) => scope.env.SHELLS.getByName(id).forgetShell({ recording: 'keep' })))
    await eraseShells(
      scope.db,
      userId,
      rows.map(({ id }) => id),
    )
  }
  await eraseRunsOf(scope, userId)
  await scope.db.batch(erasePolicyTraces(scope.db, userId))
  await eraseCommander(scope.db, userId)
  await eraseRecorded(scope.db, userId)
}
