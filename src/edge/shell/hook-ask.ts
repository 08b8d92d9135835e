import { type BeforePoint, HOOK_ANSWER_BYTES_MAX, HOOK_EVENTS, HookAnswer, type HookQuestion } from '../../contract/hooks.ts'
import { Problem } from '../../contract/problem.ts'
import { auditEntry } from '../audit/service.ts'
import { describeError } from '../platform/log.ts'
import { dayOf } from '../platform/metrics.ts'
import type { Scope } from '../platform/scope.ts'
import { askWebhook } from '../webhooks/service.ts'
import { decideBy, moduleNamed } from './hook-modules.ts'
import type { HookRow } from './hook-store.ts'
import type { HostRow } from './host-store.ts'
import { requireStart } from './starting.ts'
import { countAnswer } from './usage-store.ts'

/** What is about to begin. */
export interface Beginner extends Pick<HookQuestion, 'shellId' | 'userId' | 'use'> {
  readonly host: HostRow
  /** What hooks before a command or a transfer are told beside. */
  readonly what?: Pick<HookQuestion, 'command' | 'stdinBytes' | 'envNames' | 'file'>
}

/** What hooks have said. */
export interface Hooked {
  /** Somebody wants to hear when the host has let us in. */
  readonly isConnectTold: boolean
}

/** Why a hook did not decide; `module` is one that threw, answered what is no answer, or is not there. */
type NoDecision = { readonly failure: string; readonly error?: unknown }

/**
 * Asks who has a say before anything begins: whoever comes, once it could begin otherwise. What is not decided begins only where the
 * organisation has said so.
 *
 * @throws Problem `hook-refused` or `hook-failed`, or as `requireStart`
 */
export async function askHooks(scope: Scope, hooks: readonly HookRow[], beginner: Beginner): Promise<Hooked> {
  const { use, userId, host } = beginner
  const points: readonly BeforePoint[] = use === 'shell' ? ['before-connect'] : ['before-connect', 'before-exec']
  const asked = points.flatMap((point) => hooks.filter((hook) => hook.point === point).map((hook) => ({ hook, point })))
  if (asked.length > 0) await requireStart(scope, { userId, hostId: host.id })
  for (const { hook, point } of asked) await decide(scope, { hook, point, question: questionOf(beginner, point) })
  return { isConnectTold: hooks.some(({ point }) => point === 'after-connect') }
}

function questionOf({ shellId, userId, use, host, what }: Beginner, point: BeforePoint): HookQuestion {
  const { id, orgId, kind, name, address, port, tags } = host
  return { shellId, orgId, userId, use, host: { id, kind, name, address, port, tags }, ...(point === 'before-exec' ? what : {}) }
}

interface Asking {
  readonly hook: HookRow
  readonly point: BeforePoint
  readonly question: HookQuestion
}

async function decide(scope: Scope, asking: Asking): Promise<void> {
  const { hook, point, question } = asking
  const startedAt = scope.now()
  const decision = await (hook.module === null ? askOutside(scope, asking) : askModule(scope, asking))
  const outcome = 'failure' in decision ? decision.failure : decision.decision
  count(scope, { day: dayOf(scope.now()), point, outcome })
  scope.log('hook.asked', { orgId: hook.orgId, point, shellId: question.shellId, outcome, durationMs: scope.now() - startedAt })
  if ('failure' in decision) {
    await record(scope, asking, { action: 'hook.fail', word: `${decision.failure}, ${hook.failMode}` })
    if (hook.failMode === 'closed') throw new Problem('hook-failed')
  } else if (decision.decision === 'refuse') {
    await record(scope, asking, { action: 'hook.refuse', word: decision.reason })
    throw new Problem('hook-refused', { detail: decision.reason })
  }
}

/** For whoever looks after the deployment; nobody waits for it. */
function count(scope: Scope, answer: Parameters<typeof countAnswer>[1]): void {
  const counted = countAnswer(scope.db, answer).then(undefined, (error: unknown) => scope.log('hook.uncounted', describeError(error)))
  scope.waitUntil(counted)
}

/** Who was refused what, where, and why: of this there is no other trace, for nothing began. */
async function record(
  scope: Scope,
  { point, question }: Asking,
  { action, word }: { readonly action: 'hook.fail' | 'hook.refuse'; readonly word: string },
): Promise<void> {
  const { shellId: subject, orgId, userId: actorId, host, use } = question
  await auditEntry(scope, { action, subject, orgId, actorId, cause: `${point} ${use} ${host.id}: ${word}` })
}

async function askOutside(scope: Scope, { hook, point, question }: Asking): Promise<HookAnswer | NoDecision> {
  const { orgId, webhookId, deadlineMs } = hook
  if (webhookId === null || deadlineMs === null) return { failure: 'disabled' }
  const asked = { orgId, webhookId, kind: HOOK_EVENTS[point], data: question, deadlineMs, answerBytesMax: HOOK_ANSWER_BYTES_MAX }
  const came = await askWebhook(scope, asked)
  if ('failure' in came) return came
  return HookAnswer.safeParse(came.answer).data ?? { failure: 'answer' }
}

async function askModule(scope: Scope, { hook, point, question }: Asking): Promise<HookAnswer | NoDecision> {
  const decide = hook.module === null ? undefined : moduleNamed(hook.module)?.[point]
  if (!decide) return { failure: 'module' }
  const { env, log } = scope
  const signal = AbortSignal.timeout(hook.deadlineMs ?? 0)
  const came = await decideBy(decide, question, { env, log, now: scope.now(), signal })
  if ('error' in came) log('hook.module-failed', { module: hook.module ?? '', point, ...describeError(came.error) })
  return came
}
