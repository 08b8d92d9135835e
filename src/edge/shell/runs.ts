import { type PageQuery, toMoment } from '../../contract/id.ts'
import type { UserId } from '../../contract/identity.ts'
import type { OrgId, OrgRole } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import { RUN_HOSTS_MAX, type Run, RunHost, RunId, type StartRun } from '../../contract/runs.ts'
import { auditEntry } from '../audit/service.ts'
import type { StreamAnswer } from '../http/implement.ts'
import { orgRoleOf, requireOrgRole } from '../orgs/service.ts'
import { fromBase64Url, toBase64Url } from '../platform/base64.ts'
import { openDb } from '../platform/db.ts'
import { afterKey, toPage } from '../platform/page.ts'
import { open } from '../platform/rpc.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { traceparentOf } from '../platform/trace.ts'
import { judgeCommand, readPolicy, requireUse } from './reach-policy.ts'
import { deleteOrgRuns, eraseRunner, hostsFor, type RunRow, runOf, runsIn, runsOf, runsOfOrg } from './run-store.ts'

const RUNS_PER_BATCH = 50

const toRun = ({ createdAt, endedAt, ...row }: RunRow): Run => ({
  ...row,
  createdAt: toMoment(createdAt),
  ...(endedAt === null ? {} : { endedAt: toMoment(endedAt) }),
})

/**
 * Begins a command on many hosts.
 *
 * @throws Problem `not-found`, `forbidden`, `step-up-required`, `command-forbidden`, `host-unsuited` or `limit-reached`
 */
export async function startRun(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly input: StartRun }): Promise<Run> {
  const { orgId } = at
  const { on, ...rest } = at.input
  await requireOrgRole(scope, actor, { orgId, roles: ['owner', 'operator'] })
  const policy = await readPolicy(scope, orgId)
  await requireUse(scope, policy, { use: 'exec', actor })
  judgeCommand(policy, rest.command)
  const hosts = await hostsFor(scope.db, { orgId, on })
  if (hosts.length > RUN_HOSTS_MAX) throw new Problem('limit-reached', { detail: `A run has at most ${RUN_HOSTS_MAX} hosts.` })
  if (hosts.length === 0 || ('hostIds' in on && hosts.length < on.hostIds.length)) throw new Problem('not-found')
  const unsuited = hosts.filter(({ kind }) => kind !== 'ssh').map(({ name }) => name)
  if (unsuited.length > 0) throw new Problem('host-unsuited', { detail: `These run no commands: ${unsuited.join(', ')}.` })
  const { userId, sessionId } = actor
  const runId = RunId.parse(scope.newId('run'))
  const order = { ...rest, runId, orgId, userId, sessionId, hosts, createdAt: scope.now(), traceparent: traceparentOf(scope.trace) }
  return open(scope.env.RUNS.getByName(runId).startRun(order))
}

/** The runs of an organisation, newest first, for its members. @throws Problem `invalid-request` or `not-found` */
export async function listRuns(scope: Scope, actor: Actor, at: { readonly orgId: OrgId; readonly query: PageQuery }) {
  const key = afterKey(at.query)
  const before = key === undefined ? undefined : RunId.safeParse(key)
  if (before?.success === false) throw notACursor()
  await orgRoleOf(scope, actor, at.orgId)
  const rows = await runsIn(scope.db, { orgId: at.orgId, callerId: actor.userId }, { before: before?.data, limit: at.query.limit + 1 })
  return toPage(rows, at.query, { key: (row) => row.id, item: toRun })
}

const notACursor = () => new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })

async function runFor(
  scope: Scope,
  actor: Pick<Actor, 'userId'>,
  id: RunId,
): Promise<{ readonly run: RunRow; readonly role: OrgRole; readonly mayRead: boolean }> {
  const [row] = await runOf(scope.db, { id, callerId: actor.userId })
  if (!row?.role) throw new Problem('not-found')
  return { run: row.run, role: row.role, mayRead: row.mayRead === 1 }
}

async function requireReadable(scope: Scope, actor: Pick<Actor, 'userId'>, id: RunId): Promise<void> {
  if (!(await runFor(scope, actor, id)).mayRead) throw new Problem('forbidden')
}

/** One run; while it goes on, as its object counts. @throws Problem `not-found` */
export async function getRun(scope: Scope, actor: Actor, runId: RunId): Promise<Run> {
  const { run } = await runFor(scope, actor, runId)
  const live = run.endedAt === null ? await scope.env.RUNS.getByName(runId).readRun() : null
  return live ?? toRun(run)
}

/** What happened on each host. @throws Problem `invalid-request`, `not-found`, `forbidden`, or `gone` once that is forgotten */
export async function listRunHosts(scope: Scope, actor: Actor, at: { readonly runId: RunId; readonly query: PageQuery }) {
  const { runId, query } = at
  const bytes = query.cursor === undefined ? undefined : fromBase64Url(query.cursor)
  const after = query.cursor === undefined ? 0 : Number(bytes && new TextDecoder().decode(bytes))
  if (!Number.isSafeInteger(after) || after < 0) throw notACursor()
  await requireReadable(scope, actor, runId)
  const hosts = await scope.env.RUNS.getByName(runId).readHosts({ after, limit: query.limit + 1 })
  if (!hosts) throw new Problem('gone')
  const items = hosts.slice(0, query.limit).map((host) => RunHost.parse(host))
  return hosts.length > query.limit ? { items, nextCursor: toBase64Url(new TextEncoder().encode(String(after + query.limit))) } : { items }
}

/** Leaves out who waits; again is fine. @throws Problem `not-found` or `forbidden` */
export async function cancelRun(scope: Scope, actor: Actor, runId: RunId): Promise<Run> {
  const { run, role } = await runFor(scope, actor, runId)
  if (run.userId !== actor.userId && role !== 'owner') throw new Problem('forbidden')
  if (run.endedAt === null) await auditEntry(scope, { action: 'run.cancel', subject: runId, orgId: run.orgId })
  return (await scope.env.RUNS.getByName(runId).cancelRun()) ?? toRun(run)
}

/** The changes of a run's hosts as Server-Sent Events, after the last one that was seen. @throws Problem `not-found`, `forbidden`, `gone` or `limit-reached` */
export async function followRun(
  scope: Scope,
  actor: Actor,
  at: { readonly runId: RunId; readonly lastEventId: string | null },
): Promise<StreamAnswer> {
  const after = Number(at.lastEventId ?? 0)
  if (!Number.isSafeInteger(after) || after < 0)
    throw new Problem('invalid-request', { errors: [{ detail: 'is no event id of ours', pointer: '#/header/last-event-id' }] })
  await requireReadable(scope, actor, at.runId)
  const response = await scope.env.RUNS.getByName(at.runId).fetch(`https://object/?after=${after}&userId=${actor.userId}`)
  if (response.status === 410) throw new Problem('gone')
  if (response.status === 409) throw new Problem('limit-reached')
  return { body: response.status === 204 ? null : response.body }
}

/** The runs that a user started. */
export const exportRuns = async (scope: Scope, userId: UserId): Promise<readonly Run[]> => (await runsOf(scope.db, userId)).map(toRun)

/** Cancels what a user's runs have left and takes the name off them; what ran on the organisation's hosts stays on its record. */
export async function eraseRunsOf(scope: Scope, userId: UserId): Promise<void> {
  const rows = await runsOf(scope.db, userId)
  for (const { id } of rows) await scope.env.RUNS.getByName(id).forgetRunner()
  await eraseRunner(scope.db, userId)
}

/** Forgets the runs of an organisation that is gone. */
export async function forgetRunsOfOrg(scope: Scope, orgId: OrgId): Promise<void> {
  const { db } = openDb(scope.env.DB, undefined)
  for (;;) {
    const page = await runsOfOrg(db, orgId, RUNS_PER_BATCH)
    if (page.length === 0) return
    const ids = page.map(({ id }) => id)
    await Promise.all(ids.map((id) => scope.env.RUNS.getByName(id).forgetRun()))
    await deleteOrgRuns(db, orgId, ids)
  }
}
