import { BeforePoint, HOOK_DEADLINE_MS_DEFAULT, type Hook, type HookList, type HookPoint, type PutHook } from '../../contract/hooks.ts'
import { toMoment } from '../../contract/id.ts'
import type { OrgId } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import { WebhookId } from '../../contract/webhooks.ts'
import { auditIfChanged } from '../audit/service.ts'
import { requireOrgRole } from '../orgs/service.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { listModules, moduleNamed } from './hook-modules.ts'
import { deleteHook as deleteRow, type HookRow, hooksIn, putHook as putRow } from './hook-store.ts'

interface At {
  readonly orgId: OrgId
  readonly point: HookPoint
}

const toHook = ({ point, webhookId, module, deadlineMs, failMode, updatedAt }: HookRow): Hook => ({
  point,
  target: module === null ? { kind: 'webhook', webhookId: WebhookId.parse(webhookId) } : { kind: 'module', module },
  deadlineMs,
  failMode,
  updatedAt: toMoment(updatedAt),
})

const misfit = (detail: string, name: string) => new Problem('invalid-request', { errors: [{ detail, pointer: `#/body/${name}` }] })

const requireOwner = (scope: Scope, actor: Actor, orgId: OrgId) => requireOrgRole(scope, actor, { orgId, roles: ['owner'] })

/** Whom an organisation asks and tells. @throws Problem `not-found` or `forbidden` */
export async function listHooks(scope: Scope, actor: Actor, orgId: OrgId): Promise<HookList> {
  await requireOwner(scope, actor, orgId)
  return { items: (await hooksIn(scope.db, orgId)).map(toHook), modules: listModules() }
}

/** Points a hook at somebody. @throws Problem `invalid-request`, `not-found` or `forbidden` */
export async function putHook(scope: Scope, actor: Actor, at: At & { readonly wanted: PutHook }): Promise<Hook> {
  const { orgId, point, wanted } = at
  await requireOwner(scope, actor, orgId)
  const row = rowOf(at, scope.now())
  const { target } = wanted
  const cause = `${point} ${target.kind === 'webhook' ? target.webhookId : target.module}${row.failMode === null ? '' : ` ${row.deadlineMs} ms ${row.failMode}`}`
  const [put] = await scope.db.batch([
    putRow(scope.db, row, actor.userId),
    auditIfChanged(scope, { action: 'hook.put', subject: orgId, orgId, cause }),
  ])
  if (put.meta.changes === 1) return toHook(row)
  await requireOwner(scope, actor, orgId)
  throw misfit('is no webhook of the organisation', 'target/webhookId')
}

function rowOf({ orgId, point, wanted }: At & { readonly wanted: PutHook }, now: number): HookRow {
  const { target, deadlineMs, failMode } = wanted
  if (target.kind === 'module' && !moduleNamed(target.module)?.[point]) throw misfit('is no module that serves this point', 'target/module')
  const decides = BeforePoint.safeParse(point).success
  const odd = Object.entries({ deadlineMs, failMode }).find(([, value]) => value !== undefined)
  if (!decides && odd) throw misfit('is of points that decide only', odd[0])
  return {
    orgId,
    point,
    webhookId: target.kind === 'webhook' ? target.webhookId : null,
    module: target.kind === 'module' ? target.module : null,
    deadlineMs: decides ? (deadlineMs ?? HOOK_DEADLINE_MS_DEFAULT) : null,
    failMode: decides ? (failMode ?? 'closed') : null,
    updatedAt: now,
  }
}

/** Asks and tells nobody there any more. @throws Problem `not-found` or `forbidden` */
export async function deleteHook(scope: Scope, actor: Actor, at: At): Promise<void> {
  const { orgId, point } = at
  await requireOwner(scope, actor, orgId)
  await scope.db.batch([
    deleteRow(scope.db, at, actor.userId),
    auditIfChanged(scope, { action: 'hook.delete', subject: orgId, orgId, cause: point }),
  ])
}
