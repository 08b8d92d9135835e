import { type SQL, sql } from 'drizzle-orm'
import type { BatchItem } from 'drizzle-orm/batch'
import * as z from 'zod'
import { ChangedHostKey, HOOK_EVENTS, type HookNews, ToldPoint } from '../../contract/hooks.ts'
import { OrgId } from '../../contract/orgs.ts'
import { ShellId } from '../../contract/shell.ts'
import { HostUse } from '../../contract/shell-policy.ts'
import { WebhookEventId } from '../../contract/webhooks.ts'
import { openDb } from '../platform/db.ts'
import { describeError } from '../platform/log.ts'
import { ofChange } from '../platform/notify.ts'
import { type Consumer, commit, DeadEventError, outboxEventIf } from '../platform/outbox/outbox.ts'
import type { Scope } from '../platform/scope.ts'
import { unlessAborted } from '../platform/within.ts'
import { wake, written } from '../webhooks/service.ts'
import type { CommandRow } from './command-store.ts'
import { moduleNamed } from './hook-modules.ts'
import { hookAt, isPointed, shellById } from './hook-store.ts'
import { type CommandEnd, commandOf, endCommand } from './store.ts'
import type { shells } from './tables.ts'
import { addCommandUsage } from './usage-store.ts'

type ShellRow = typeof shells.$inferSelect

/** Topic of the events that tell a hook of something. */
export const TELL_HOOK = 'shell.tell-hook'

const Told = z.strictObject({
  point: ToldPoint,
  orgId: OrgId,
  shellId: ShellId,
  use: HostUse,
  rule: z.string().optional(),
  hostKey: ChangedHostKey.optional(),
})
type Told = z.infer<typeof Told>

/** What began or ended, as whoever tells of it knows it. */
type Happened = Pick<Told, 'shellId' | 'orgId' | 'use'>

/** A module that hears gets this long at a time. */
const MODULE_MS = 10_000
const ALWAYS: SQL = sql`1`

/**
 * One transaction that ends with news for a hook, if the organisation has one at that point and the statement right before them changed a row.
 * They go out at once, also from an object.
 */
export async function commitTelling(scope: Scope, statements: readonly BatchItem<'sqlite'>[], told: Told): Promise<void> {
  const isNews = statements.length === 0 ? ALWAYS : ofChange
  const condition = sql`${isNews} AND ${isPointed(told.orgId, told.point)}`
  const event = await outboxEventIf(scope, { topic: TELL_HOOK, payload: told, condition })
  const results = (await commit(scope, [...statements, event.statement])) as readonly D1Result[]
  if (results.at(-1)?.meta.changes !== 1) return
  // The sweep finds what this does not reach.
  await scope.env.OUTBOX.send({ eventId: event.id }).catch((error: unknown) => scope.log('hook.nudge-failed', describeError(error)))
}

/** The host has let us in. */
export const tellConnected = (scope: Scope, { shellId, orgId, use }: Happened): Promise<void> =>
  commitTelling(scope, [], { point: 'after-connect', orgId, shellId, use })

/** Writes down how a command or a transfer ended, and tells of it. The first word on an end stands. */
export const endTelling = (scope: Scope, { shellId, orgId, use }: Happened, end: CommandEnd): Promise<void> =>
  commitTelling(scope, [endCommand(scope.db, shellId, end), addCommandUsage(scope.db, { id: shellId, now: end.endedAt })], {
    point: 'on-close',
    orgId,
    shellId,
    use,
  })

/** Carries news to whoever the hook points at now; nobody there, or nothing left to tell of, is fine. */
export const tellHook: Consumer = async (given, event) => {
  const told = Told.parse(event.payload)
  const scope = { ...given, db: openDb(given.env.DB, undefined).db }
  const [[hook], news] = await Promise.all([hookAt(scope.db, told), newsOf(scope, told)])
  if (!hook || !news) return
  if (hook.module !== null) return tellModule(scope, { module: hook.module, point: told.point, news })
  // The same event may come twice: by its id a webhook is told once.
  const id = WebhookEventId.parse(event.id)
  const to = { heardBy: sql`(${hook.webhookId})`, isAimed: true as const }
  const { userId } = news
  const who = userId === null ? {} : { userId, actorId: userId }
  const woken = await wake(scope)
  await commit(scope, [...written(scope, { id, kind: HOOK_EVENTS[told.point], data: news, ...who, ...to }, ALWAYS), woken.statement])
  scope.deliver([woken.id])
}

/** What D1 knows of it now. It names things; what they hold is read over REST. */
async function newsOf({ db }: Pick<Scope, 'db'>, { point, orgId, shellId, use, rule, hostKey }: Told): Promise<HookNews | undefined> {
  const [row] = await (use === 'shell' ? shellById(db, shellId) : commandOf(db, shellId))
  if (!row) return undefined
  const { hostId, userId } = row
  const alert = { ...(rule === undefined ? {} : { rule }), ...(hostKey === undefined ? {} : { hostKey }) }
  return { shellId, orgId, hostId, userId, use, ...(point === 'on-close' ? endIn(row) : {}), ...alert }
}

function endIn(row: ShellRow | CommandRow): Pick<HookNews, 'state' | 'reason' | 'exitCode' | 'signal'> {
  const { state } = row
  if (!('problem' in row)) return { state, ...(row.reason === null ? {} : { reason: row.reason }) }
  const { problem, exitCode, signal } = row
  return { state, ...(problem === null ? {} : { reason: problem }), exitCode, signal }
}

interface Telling {
  readonly module: string
  readonly point: ToldPoint
  readonly news: HookNews
}

async function tellModule({ env, log, now }: Scope, { module, point, news }: Telling): Promise<void> {
  const hear = moduleNamed(module)?.[point]
  if (!hear) throw new DeadEventError(`no module ${module} hears ${point}`)
  const signal = AbortSignal.timeout(MODULE_MS)
  await unlessAborted(hear(news, { env, log, now: now(), signal }), signal)
}
