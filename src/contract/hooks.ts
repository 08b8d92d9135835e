import * as z from 'zod'
import { endpoint } from './endpoint.ts'
import { HostId, HostKind, HostTag } from './hosts.ts'
import { lineOf, Moment } from './id.ts'
import { UserId } from './identity.ts'
import { OrgId } from './orgs.ts'
import { ShellId } from './shell.ts'
import { HostUse } from './shell-policy.ts'
import { type HookEventKind, WebhookId } from './webhooks.ts'

/** How long a hook may take to decide, in milliseconds, unless it says otherwise. */
export const HOOK_DEADLINE_MS_DEFAULT = 2_000
/** Shortest time that a hook can be given. */
export const HOOK_DEADLINE_MS_MIN = 100
/** Longest time that a hook can be given: somebody waits. */
export const HOOK_DEADLINE_MS_MAX = 10_000
/** Longest answer of a hook that is read, in bytes. */
export const HOOK_ANSWER_BYTES_MAX = 16_384

/** Points that decide: nothing begins before they have. */
export const BeforePoint = z.enum(['before-connect', 'before-exec']).meta({ id: 'BeforePoint' })
/** A point that decides. */
export type BeforePoint = z.infer<typeof BeforePoint>

/** Points that are told of what happened. */
export const ToldPoint = z.enum(['after-connect', 'on-close', 'on-alert']).meta({ id: 'ToldPoint' })
/** A point that is told. */
export type ToldPoint = z.infer<typeof ToldPoint>

/** Where an organisation can put in a word about its shells. */
export const HookPoint = z.enum([...BeforePoint.options, ...ToldPoint.options]).meta({ id: 'HookPoint' })
/** Where an organisation can put in a word. */
export type HookPoint = z.infer<typeof HookPoint>

/** What a hook at each point is sent as `type`. */
export const HOOK_EVENTS = {
  'before-connect': 'shell.before_connect',
  'before-exec': 'shell.before_exec',
  'after-connect': 'shell.after_connect',
  'on-close': 'shell.on_close',
  'on-alert': 'shell.on_alert',
} as const satisfies Readonly<Record<HookPoint, z.infer<typeof HookEventKind>>>

/** What a hook that decides is asked, as `data`: who is about to do what, where. */
export const HookQuestion = z
  .object({
    shellId: ShellId.meta({ description: 'What begins will have this id.' }),
    orgId: OrgId,
    userId: UserId,
    use: HostUse,
    host: z.object({ id: HostId, kind: HostKind, name: z.string(), address: z.string(), port: z.int(), tags: z.array(HostTag) }),
    command: z.string().optional().meta({ description: 'With `before-exec`, of a command: as it goes to the host.' }),
    stdinBytes: z
      .int()
      .optional()
      .meta({ description: 'With `before-exec`, of a command: how much it is given to read, in bytes of UTF-8.' }),
    envNames: z
      .array(z.string())
      .optional()
      .meta({ description: 'With `before-exec`, of a command: the names of the variables that it is given.' }),
    file: z
      .object({ op: z.enum(['list', 'read', 'write']), path: z.string() })
      .optional()
      .meta({ description: 'With `before-exec`, of a transfer.' }),
  })
  .meta({ id: 'HookQuestion' })
/** What a hook that decides is asked. */
export type HookQuestion = z.infer<typeof HookQuestion>

/** What a hook that decides answers. The reason is shown to whoever is refused. */
export const HookAnswer = z
  .discriminatedUnion('decision', [
    z.object({ decision: z.literal('allow') }),
    z.object({ decision: z.literal('refuse'), reason: lineOf(300).meta({ override: { type: 'string', minLength: 1, maxLength: 300 } }) }),
  ])
  .meta({ id: 'HookAnswer' })
/** What a hook that decides answers. */
export type HookAnswer = z.output<typeof HookAnswer>

/** A host that presents another key than those that people accepted: it was set up anew, or somebody stands in between. */
export const ChangedHostKey = z
  .object({
    hostId: HostId.meta({ description: 'The host itself, or one on the way there.' }),
    pinned: z.array(z.string()).meta({ description: 'The fingerprints that were accepted.' }),
    presented: z.string().nullable().meta({ description: 'The one that it presents; null when it has no key of an accepted type.' }),
  })
  .meta({ id: 'ChangedHostKey' })
/** A host that presents another key than those that people accepted. */
export type ChangedHostKey = z.infer<typeof ChangedHostKey>

/** What a hook is told of something that happened, as `data`; what is absent does not apply. */
export const HookNews = z
  .object({
    shellId: ShellId,
    orgId: OrgId,
    hostId: HostId,
    userId: UserId.nullable(),
    use: HostUse,
    state: z.string().optional().meta({ description: 'With `on-close`: how a shell or a command ended.' }),
    reason: z.string().optional().meta({ description: 'With `on-close`: why, in our words; of a command the problem that it met.' }),
    exitCode: z.int().nullable().optional(),
    signal: z.string().nullable().optional(),
    rule: z.string().optional().meta({ description: 'With `on-alert`: the name of the rule that was met.' }),
    hostKey: ChangedHostKey.optional().meta({ description: 'With `on-alert`: nothing was begun, for a host presents another key.' }),
  })
  .meta({ id: 'HookNews' })
/** What a hook is told of something that happened. */
export type HookNews = z.infer<typeof HookNews>

/** What happens when a hook does not decide: `closed` begins nothing, `open` goes on. Either goes on record. */
export const FailMode = z.enum(['open', 'closed']).meta({ id: 'FailMode' })
/** What happens when a hook does not decide. */
export type FailMode = z.infer<typeof FailMode>

const HookTarget = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('webhook'), webhookId: WebhookId }),
    z.strictObject({ kind: z.literal('module'), module: z.string().min(1).max(64) }),
  ])
  .meta({ id: 'HookTarget', description: 'A webhook of the organisation, whatever kinds it hears of, or a module of the deployment.' })

/** Whom an organisation asks or tells at one point. */
export const Hook = z
  .object({
    point: HookPoint,
    target: HookTarget,
    deadlineMs: z.int().nullable().meta({ description: 'Null of points that are told.' }),
    failMode: FailMode.nullable().meta({ description: 'Null of points that are told.' }),
    updatedAt: Moment,
  })
  .meta({ id: 'Hook' })
/** Whom an organisation asks or tells at one point. */
export type Hook = z.infer<typeof Hook>

/** What `putHook` takes. Only points that decide have a deadline and a fail mode. */
export const PutHook = z
  .strictObject({
    target: HookTarget,
    deadlineMs: z.int().min(HOOK_DEADLINE_MS_MIN).max(HOOK_DEADLINE_MS_MAX).optional(),
    failMode: FailMode.optional().meta({ description: '`closed` unless it is said.' }),
  })
  .meta({ id: 'PutHook' })
/** What `putHook` takes. */
export type PutHook = z.output<typeof PutHook>

/** The hooks of an organisation, and the modules that a hook can point at. */
export const HookList = z
  .object({ items: z.array(Hook), modules: z.array(z.object({ name: z.string(), points: z.array(HookPoint) })) })
  .meta({ id: 'HookList' })
/** The hooks of an organisation. */
export type HookList = z.infer<typeof HookList>

const OrgPath = z.strictObject({ orgId: OrgId })
const HookPath = z.strictObject({ orgId: OrgId, point: HookPoint })

/** The operations on hooks. None of them takes an API key, as none on webhooks does. */
export const hookEndpoints = {
  listHooks: endpoint({
    id: 'listHooks',
    method: 'GET',
    path: '/v1/orgs/:orgId/hooks',
    tag: 'shells',
    access: 'user',
    summary: 'Whom the organisation asks or tells about its shells, and which modules there are. Owners only.',
    params: OrgPath,
    success: 200,
    response: HookList,
    problems: ['not-found', 'forbidden'],
  }),
  putHook: endpoint({
    id: 'putHook',
    method: 'PUT',
    path: '/v1/orgs/:orgId/hooks/:point',
    tag: 'shells',
    access: 'user',
    isSensitive: true,
    summary: 'Point a hook at a webhook of the organisation or at a module. It holds from the next thing that begins. Owners only.',
    params: HookPath,
    body: PutHook,
    success: 200,
    response: Hook,
    problems: ['not-found', 'forbidden'],
  }),
  deleteHook: endpoint({
    id: 'deleteHook',
    method: 'DELETE',
    path: '/v1/orgs/:orgId/hooks/:point',
    tag: 'shells',
    access: 'user',
    isSensitive: true,
    summary: 'Ask or tell nobody there any more. Owners only; again is fine.',
    params: HookPath,
    success: 204,
    response: z.undefined(),
    problems: ['not-found', 'forbidden'],
  }),
}
