import type { Hook, HookList, HookPoint } from '../../contract/hooks.ts'
import type { Webhook } from '../../contract/webhooks.ts'

/** When each point has its turn, and what its word is good for. */
export const POINTS: Readonly<Record<HookPoint, string>> = {
  'before-connect': 'Asked before a shell, a command, a transfer or each host of a run begins: it allows, or refuses with a reason.',
  'before-exec': 'Asked then about the command or the file: it allows, or refuses with a reason.',
  'after-connect': 'Told when a host has let somebody in.',
  'on-close': 'Told when it is over, and how it ended.',
  'on-alert': 'Told when a terminal met an alert rule, or a host has another key.',
}

/** Whether a point decides; the others are told. */
export const isAsked = (point: HookPoint): boolean => point.startsWith('before-')

interface Standing {
  readonly state: string
  readonly tone: 'live' | 'past' | 'bad'
  readonly target: string
}

/** Whom a hook points at, and whether somebody hears it there. */
export function standingOf(hook: Hook | undefined, webhooks: readonly Webhook[]): Standing {
  if (!hook) return { state: 'nobody', tone: 'past', target: '' }
  const { point, target } = hook
  const live = { state: isAsked(point) ? 'asked' : 'told', tone: 'live' } as const
  if (target.kind === 'module') return { ...live, target: `module ${target.module}` }
  const webhook = webhooks.find(({ id }) => id === target.webhookId)
  if (!webhook) return { state: 'deleted', tone: 'bad', target: target.webhookId }
  return webhook.disabledAt === null ? { ...live, target: webhook.url } : { state: 'stopped', tone: 'bad', target: webhook.url }
}

/** What holds where a hook does not decide. */
export const termsOf = ({ deadlineMs, failMode }: Hook): string =>
  deadlineMs === null ? '' : `${deadlineMs} ms to decide, else ${failMode === 'open' ? 'it goes on' : 'nothing begins'}`

/** Everybody whom a hook at this point could point at. */
export function choicesAt(
  point: HookPoint,
  { webhooks, modules }: { readonly webhooks: readonly Webhook[]; readonly modules: HookList['modules'] },
): readonly (readonly [label: string, target: Hook['target']])[] {
  return [
    ...webhooks.map(({ id, url }) => [url, { kind: 'webhook', webhookId: id }] as const),
    ...modules
      .filter(({ points }) => points.includes(point))
      .map(({ name }) => [`module ${name}`, { kind: 'module', module: name }] as const),
  ]
}
