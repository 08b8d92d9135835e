import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { Moment, PageQuery, pageOf, prefixedId } from './id.ts'
import { OrgId } from './orgs.ts'

/** Webhooks of one user or one organisation. */
export const WEBHOOKS_MAX = 20
/** Longest URL of a webhook. */
export const WEBHOOK_URL_CHARS_MAX = 1_024
/** How long the secret before a rotation still signs, in seconds: a day to deploy the new one. */
export const WEBHOOK_ROTATION_SECONDS = 86_400
/** How often one event is tried for one webhook, over about a day. */
export const WEBHOOK_ATTEMPTS_MAX = 10
/** What every secret begins with (Standard Webhooks). */
export const WEBHOOK_SECRET_PREFIX = 'whsec_'

/** Id of a webhook. */
export const WebhookId = prefixedId('whk', 'WebhookId')
/** Id of a webhook. */
export type WebhookId = z.infer<typeof WebhookId>

/** Id of an event, sent as `webhook-id`: the same at every attempt and for every webhook that hears of it. */
export const WebhookEventId = prefixedId('evt', 'WebhookEventId')
/** Id of an event. */
export type WebhookEventId = z.infer<typeof WebhookEventId>

/** What webhooks can be told. */
export const WebhookKind = z
  .enum([
    'room.created',
    'room.renamed',
    'room.archived',
    'room.restored',
    'room.deleted',
    'room.member.added',
    'room.member.removed',
    'room.member.role_changed',
    'room.message.published',
    'room.message.edited',
    'room.message.deleted',
    'room.version.named',
  ])
  .meta({ id: 'WebhookKind' })
/** What webhooks can be told. */
export type WebhookKind = z.infer<typeof WebhookKind>

/** What shell hooks that point at a webhook tell it or ask it; nobody subscribes to these. */
export const HookEventKind = z
  .enum(['shell.before_connect', 'shell.before_exec', 'shell.after_connect', 'shell.on_close', 'shell.on_alert'])
  .meta({ id: 'HookEventKind' })

const EventKind = z.enum([...WebhookKind.options, ...HookEventKind.options]).meta({ id: 'WebhookEventKind' })

/** What is posted to a webhook (Standard Webhooks 1.0). It names things; what they hold is read over REST. */
export const WebhookBody = z
  .object({ type: EventKind, timestamp: Moment, data: z.record(z.string(), z.json()) })
  .meta({ id: 'WebhookBody' })
/** What is posted to a webhook. */
export type WebhookBody = z.infer<typeof WebhookBody>

/** A webhook, without its secret. */
export const Webhook = z
  .object({
    id: WebhookId,
    orgId: OrgId.nullable().meta({ description: 'Whose rooms it hears of; null for the rooms that its user owns.' }),
    url: z.string(),
    kinds: z.array(WebhookKind),
    createdAt: Moment,
    succeededAt: Moment.nullable(),
    failingSince: Moment.nullable().meta({ description: 'The first failure since the last success.' }),
    disabledAt: Moment.nullable().meta({ description: 'Since when nothing is sent; what happens meanwhile is not told later.' }),
    disabledFor: z.enum(['request', 'failures', 'gone']).nullable().meta({ description: '`gone`: the receiver answered 410.' }),
    previousSecretUntil: Moment.nullable().meta({ description: 'Until when the secret before the last rotation signs too.' }),
  })
  .meta({ id: 'Webhook' })
/** A webhook, without its secret. */
export type Webhook = z.infer<typeof Webhook>

const WebhookUrl = z.url().max(WEBHOOK_URL_CHARS_MAX).meta({ example: 'https://app.example.org/parvis' })
const Kinds = z
  .array(WebhookKind)
  .refine((kinds) => new Set(kinds).size === kinds.length, 'names a kind twice')
  .meta({ description: 'None: it hears only what shell hooks point at it.' })

/** What `createWebhook` takes. */
export const CreateWebhook = z
  .strictObject({ url: WebhookUrl, kinds: Kinds, orgId: OrgId.optional().meta({ description: 'For its owners.' }) })
  .meta({ id: 'CreateWebhook' })
/** What `createWebhook` takes. */
export type CreateWebhook = z.output<typeof CreateWebhook>

/** What `updateWebhook` takes: at least one change. */
export const UpdateWebhook = z
  .strictObject({ url: WebhookUrl.optional(), kinds: Kinds.optional(), enabled: z.boolean().optional() })
  .refine((change) => Object.keys(change).length > 0, 'changes nothing')
  .meta({ id: 'UpdateWebhook' })
/** What `updateWebhook` takes. */
export type UpdateWebhook = z.output<typeof UpdateWebhook>

const secret = z.string().meta({ description: 'Verifies signatures. It is shown this once and stored encrypted.' })

/** A new webhook, and the only sight of its secret. */
export const NewWebhook = z.object({ webhook: Webhook, secret }).meta({ id: 'NewWebhook' })
/** A new webhook, and the only sight of its secret. */
export type NewWebhook = z.infer<typeof NewWebhook>

/** How the telling of one event to one webhook stands. */
export const WebhookDelivery = z
  .object({
    eventId: WebhookEventId,
    kind: EventKind,
    state: z.enum(['pending', 'delivered', 'dead']).meta({ description: '`dead`: no further attempt is made unless it is replayed.' }),
    attempts: z.int(),
    status: z.int().nullable().meta({ description: 'What the receiver answered last.' }),
    failure: z
      .enum(['answer', 'redirect', 'timeout', 'connection', 'target-forbidden', 'disabled', 'backlog'])
      .nullable()
      .meta({ description: 'Why the last attempt failed.' }),
    createdAt: Moment,
    attemptedAt: Moment.nullable(),
  })
  .meta({ id: 'WebhookDelivery' })
/** How the telling of one event to one webhook stands. */
export type WebhookDelivery = z.infer<typeof WebhookDelivery>

const WebhookPath = z.strictObject({ webhookId: WebhookId })

/** The operations on webhooks. None of them takes an API key: a key would send what it may not read. */
export const webhookEndpoints = {
  createWebhook: endpoint({
    id: 'createWebhook',
    method: 'POST',
    path: '/v1/webhooks',
    tag: 'webhooks',
    access: 'user',
    isSensitive: true,
    summary: 'Be told of events at a URL: of the rooms you own, or of those of an organisation you own.',
    body: CreateWebhook,
    success: 201,
    response: NewWebhook,
    problems: ['not-found', 'forbidden', 'limit-reached'],
  }),
  listWebhooks: endpoint({
    id: 'listWebhooks',
    method: 'GET',
    path: '/v1/webhooks',
    tag: 'webhooks',
    access: 'user',
    summary: 'Your webhooks, or those of an organisation you own, newest first.',
    query: z.strictObject({ ...PageQuery.shape, orgId: OrgId.optional() }),
    success: 200,
    response: pageOf(Webhook, 'WebhookPage'),
    problems: ['not-found', 'forbidden'],
  }),
  getWebhook: endpoint({
    id: 'getWebhook',
    method: 'GET',
    path: '/v1/webhooks/:webhookId',
    tag: 'webhooks',
    access: 'user',
    summary: 'One webhook.',
    params: WebhookPath,
    success: 200,
    response: Webhook,
    problems: ['not-found', 'forbidden'],
  }),
  updateWebhook: endpoint({
    id: 'updateWebhook',
    method: 'PATCH',
    path: '/v1/webhooks/:webhookId',
    tag: 'webhooks',
    access: 'user',
    isSensitive: true,
    summary: 'Change where it is sent and what, stop it, or start it again.',
    params: WebhookPath,
    body: UpdateWebhook,
    success: 200,
    response: Webhook,
    problems: ['not-found', 'forbidden'],
  }),
  deleteWebhook: endpoint({
    id: 'deleteWebhook',
    method: 'DELETE',
    path: '/v1/webhooks/:webhookId',
    tag: 'webhooks',
    access: 'user',
    summary: 'Delete a webhook and its log.',
    params: WebhookPath,
    success: 204,
    response: z.undefined(),
    problems: ['not-found', 'forbidden'],
  }),
  rotateWebhookSecret: endpoint({
    id: 'rotateWebhookSecret',
    method: 'POST',
    path: '/v1/webhooks/:webhookId/rotate',
    tag: 'webhooks',
    access: 'user',
    isSensitive: true,
    summary: 'Give it a new secret. The one before signs too for a day.',
    params: WebhookPath,
    success: 200,
    response: NewWebhook,
    problems: ['not-found', 'forbidden', 'conflict'],
  }),
  listWebhookDeliveries: endpoint({
    id: 'listWebhookDeliveries',
    method: 'GET',
    path: '/v1/webhooks/:webhookId/deliveries',
    tag: 'webhooks',
    access: 'user',
    summary: 'What was sent and how it went, newest first; with `state=dead` only what was given up.',
    params: WebhookPath,
    query: z.strictObject({ ...PageQuery.shape, state: WebhookDelivery.shape.state.optional() }),
    success: 200,
    response: pageOf(WebhookDelivery, 'WebhookDeliveryPage'),
    problems: ['not-found', 'forbidden'],
  }),
  replayWebhookDelivery: endpoint({
    id: 'replayWebhookDelivery',
    method: 'POST',
    path: '/v1/webhooks/:webhookId/deliveries/:eventId/replay',
    tag: 'webhooks',
    access: 'user',
    summary: 'Send an event again that was delivered or given up, with the same id.',
    params: z.strictObject({ webhookId: WebhookId, eventId: WebhookEventId }),
    success: 202,
    response: WebhookDelivery,
    problems: ['not-found', 'forbidden', 'conflict'],
  }),
}
