import type { BatchItem } from 'drizzle-orm/batch'
import * as z from 'zod'
import { type PageQuery, toMoment } from '../../contract/id.ts'
import type { UserId } from '../../contract/identity.ts'
import { OrgId } from '../../contract/orgs.ts'
import { Problem } from '../../contract/problem.ts'
import {
  type CreateWebhook,
  type NewWebhook,
  type UpdateWebhook,
  WEBHOOK_ROTATION_SECONDS,
  type Webhook,
  WebhookId,
} from '../../contract/webhooks.ts'
import { auditIfChanged } from '../audit/service.ts'
import { requireOrgRole } from '../orgs/service.ts'
import { openDb } from '../platform/db.ts'
import { type Consumer, commit } from '../platform/outbox/outbox.ts'
import { afterKey, toPage } from '../platform/page.ts'
import { isPublicUrl } from '../platform/public-url.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { newSecret } from './signature.ts'
import {
  changeWebhook,
  deleteEventsAbout,
  deleteOldEvents,
  deleteWebhookLog,
  deleteWebhookRow,
  deleteWebhooksOf,
  insertWebhook,
  type Owner,
  webhookById,
  webhooksOf,
} from './store.ts'
import type { webhooks } from './tables.ts'

/** How long what was told can be looked at and replayed. */
const LOG_MS = 30 * 86_400_000
const EVENTS_PER_SWEEP = 500
/** News about a user who is erased are left this long to be taken; the erasure's last pass comes later. */
const FAREWELL_MS = 30_000

type Row = typeof webhooks.$inferSelect

const momentOrNull = (at: number | null): string | null => (at === null ? null : toMoment(at))

/** A webhook as its owner sees it. */
export const toWebhook = (row: Row, now: number): Webhook => ({
  id: row.id,
  orgId: row.orgId,
  url: row.url,
  kinds: [...row.kinds],
  createdAt: toMoment(row.createdAt),
  succeededAt: momentOrNull(row.succeededAt),
  failingSince: momentOrNull(row.failingSince),
  disabledAt: momentOrNull(row.disabledAt),
  disabledFor: row.disabledFor,
  previousSecretUntil: row.previousUntil !== null && row.previousUntil > now ? toMoment(row.previousUntil) : null,
})

const requireOwner = (scope: Scope, actor: Actor, orgId: OrgId) => requireOrgRole(scope, actor, { orgId, roles: ['owner'] })

async function ownerFor(scope: Scope, actor: Actor, orgId: OrgId | undefined): Promise<Owner> {
  if (orgId === undefined) return { orgId: null, userId: actor.userId }
  await requireOwner(scope, actor, orgId)
  return { orgId, userId: null }
}

/** One webhook of the caller or of an organisation they own. @throws Problem `not-found` or `forbidden` */
export async function webhookFor(scope: Scope, actor: Actor, webhookId: WebhookId): Promise<Row> {
  const [row] = await webhookById(scope.db, webhookId)
  if (!row || (row.orgId === null && row.userId !== actor.userId)) throw new Problem('not-found')
  if (row.orgId !== null) await requireOwner(scope, actor, row.orgId)
  return row
}

function refuseUrl(scope: Scope, url: string | undefined): void {
  if (url === undefined || isPublicUrl(url, scope.config)) return
  const detail = 'is not https at its own port, on a public host'
  throw new Problem('invalid-request', { errors: [{ detail, pointer: '#/body/url' }] })
}

const ofOrg = (orgId: OrgId | null) => (orgId === null ? {} : { orgId })

/** Makes a webhook and its secret. @throws Problem `invalid-request`, `not-found`, `forbidden` or `limit-reached` */
export async function createWebhook(scope: Scope, actor: Actor, wanted: CreateWebhook): Promise<NewWebhook> {
  refuseUrl(scope, wanted.url)
  const owner = await ownerFor(scope, actor, wanted.orgId)
  const id = WebhookId.parse(scope.newId('whk'))
  const { shown, sealed } = await newSecret(scope, id)
  const hook = { ...owner, id, url: wanted.url, kinds: wanted.kinds, secret: sealed, createdAt: scope.now() }
  const [inserted] = (await commit(scope, [
    insertWebhook(scope.db, hook, actor.userId),
    auditIfChanged(scope, { action: 'webhook.create', subject: id, ...ofOrg(owner.orgId) }),
  ])) as readonly D1Result[]
  if (inserted?.meta.changes === 1) return { webhook: toWebhook(await webhookFor(scope, actor, id), scope.now()), secret: shown }
  await ownerFor(scope, actor, wanted.orgId)
  throw new Problem('limit-reached')
}

/** The caller's webhooks or those of an organisation they own, newest first. @throws Problem `invalid-request`, `not-found` or `forbidden` */
export async function listWebhooks(scope: Scope, actor: Actor, query: PageQuery & { readonly orgId?: OrgId | undefined }) {
  const key = afterKey(query)
  const before = key === undefined ? undefined : WebhookId.safeParse(key)
  if (before?.success === false)
    throw new Problem('invalid-request', { errors: [{ detail: 'is not a cursor of this list', pointer: '#/query/cursor' }] })
  const owner = await ownerFor(scope, actor, query.orgId)
  const rows = await webhooksOf(scope.db, owner, { before: before?.data, limit: query.limit + 1 })
  return toPage(rows, query, { key: (row) => row.id, item: (row) => toWebhook(row, scope.now()) })
}

/** One webhook. @throws Problem `not-found` or `forbidden` */
export const getWebhook = async (scope: Scope, actor: Actor, webhookId: WebhookId): Promise<Webhook> =>
  toWebhook(await webhookFor(scope, actor, webhookId), scope.now())

function changeOf({ url, kinds, enabled }: UpdateWebhook, now: number): Partial<Row> {
  return {
    ...(url === undefined ? {} : { url }),
    ...(kinds === undefined ? {} : { kinds }),
    ...(enabled === true ? { disabledAt: null, disabledFor: null, failingSince: null } : {}),
    ...(enabled === false ? { disabledAt: now, disabledFor: 'request' } : {}),
  }
}

/** Changes a webhook. @throws Problem `invalid-request`, `not-found` or `forbidden` */
export async function updateWebhook(
  scope: Scope,
  actor: Actor,
  at: { readonly webhookId: WebhookId; readonly change: UpdateWebhook },
): Promise<Webhook> {
  const { webhookId, change } = at
  refuseUrl(scope, change.url)
  const { orgId } = await webhookFor(scope, actor, webhookId)
  const cause = Object.keys(change).join(' ')
  await commit(scope, [
    changeWebhook(scope.db, { id: webhookId, callerId: actor.userId }, changeOf(change, scope.now())),
    auditIfChanged(scope, { action: 'webhook.update', subject: webhookId, cause, ...ofOrg(orgId) }),
  ])
  return getWebhook(scope, actor, webhookId)
}

/** Deletes a webhook with its log. @throws Problem `not-found` or `forbidden` */
export async function deleteWebhook(scope: Scope, actor: Actor, webhookId: WebhookId): Promise<void> {
  const { orgId } = await webhookFor(scope, actor, webhookId)
  const at = { id: webhookId, callerId: actor.userId }
  const [, deleted] = (await commit(scope, [
    deleteWebhookLog(scope.db, at),
    deleteWebhookRow(scope.db, at),
    auditIfChanged(scope, { action: 'webhook.delete', subject: webhookId, ...ofOrg(orgId) }),
  ])) as readonly D1Result[]
  if (deleted?.meta.changes !== 1) throw new Problem('not-found')
}

/** Gives a webhook a new secret; the one before signs too for a day. Of racing callers one gets through. @throws Problem `not-found`, `forbidden` or `conflict` */
export async function rotateSecret(scope: Scope, actor: Actor, webhookId: WebhookId): Promise<NewWebhook> {
  const { secret, orgId } = await webhookFor(scope, actor, webhookId)
  const { shown, sealed } = await newSecret(scope, webhookId)
  const previousUntil = scope.now() + WEBHOOK_ROTATION_SECONDS * 1000
  const [rotated] = (await commit(scope, [
    changeWebhook(scope.db, { id: webhookId, callerId: actor.userId, secret }, { secret: sealed, previousSecret: secret, previousUntil }),
    auditIfChanged(scope, { action: 'webhook.rotate', subject: webhookId, ...ofOrg(orgId) }),
  ])) as readonly D1Result[]
  if (rotated?.meta.changes !== 1) throw new Problem('conflict')
  return { webhook: await getWebhook(scope, actor, webhookId), secret: shown }
}

/** The webhooks of a user, without their secrets. */
export async function exportWebhooks(scope: Scope, userId: UserId): Promise<object> {
  const rows = await webhooksOf(scope.db, { orgId: null, userId }, { limit: Number.MAX_SAFE_INTEGER })
  return { webhooks: rows.map((row) => toWebhook(row, scope.now())) }
}

/** Forgets a user's webhooks and what was told of them. */
export async function eraseWebhooks(scope: Scope, userId: UserId): Promise<void> {
  const statements: readonly BatchItem<'sqlite'>[] = [
    ...deleteWebhooksOf(scope.db, { orgId: null, userId }),
    ...deleteEventsAbout(scope.db, userId, scope.now() - FAREWELL_MS),
  ]
  await commit(scope, statements)
}

/** The webhooks of an organisation that is gone go with it. */
export const eraseOrgWebhooks: Consumer = async (scope, { payload }) => {
  const { orgId } = z.strictObject({ orgId: OrgId }).parse(payload)
  const { db } = openDb(scope.env.DB, undefined)
  await commit({ ...scope, db }, deleteWebhooksOf(db, { orgId, userId: null }))
}

/** Forgets what was told long ago. */
export async function sweepWebhooks(scope: Scope): Promise<number> {
  const results = (await commit(scope, deleteOldEvents(scope.db, scope.now() - LOG_MS, EVENTS_PER_SWEEP))) as readonly D1Result[]
  return results[1]?.meta.changes ?? 0
}
