import { type BeforePoint, HookAnswer, type HookNews, type HookPoint, type HookQuestion, type ToldPoint } from '../../contract/hooks.ts'
import type { Env } from '../env.ts'
import type { Log, LogFields } from '../platform/log.ts'
import { unlessAborted } from '../platform/within.ts'

/** What a module may touch. */
export interface ModuleContext {
  readonly env: Env
  readonly log: Log
  /** Unix milliseconds. */
  readonly now: number
  /** Aborted when the time to decide is over. */
  readonly signal: AbortSignal
}

type Decide = (question: HookQuestion, context: ModuleContext) => HookAnswer | Promise<HookAnswer>
type Hear = (news: HookNews, context: ModuleContext) => void | Promise<void>

/** Code of whoever runs this deployment, at the points that it serves. What is thrown where it decides is a failure; where it hears, it is told again. */
export type HookModule = { readonly [P in BeforePoint]?: Decide } & { readonly [P in ToldPoint]?: Hear }

/** A host with this tag is left alone. */
const FROZEN = 'frozen'

/** What there is of it, as a line of the log has it. */
function fieldsOf({ hostKey, ...news }: HookNews): LogFields {
  const key = hostKey && { keyHostId: hostKey.hostId, pinned: hostKey.pinned.join(' '), presented: hostKey.presented ?? undefined }
  return { ...Object.fromEntries(Object.entries(news).map(([name, value]) => [name, value ?? undefined])), ...key }
}

/** The modules that organisations can point hooks at: add yours here. */
const MODULES: Readonly<Record<string, HookModule>> = {
  /** Nothing begins on a host that is tagged `frozen`, whoever asks. */
  'change-freeze': {
    'before-connect': ({ host }) =>
      host.tags.includes(FROZEN)
        ? { decision: 'refuse', reason: `Changes are frozen on ${host.name}: an owner must take the tag \`${FROZEN}\` off first.` }
        : { decision: 'allow' },
  },
  /** Each as a line of the log, for whoever collects that. */
  'log-lines': {
    'after-connect': (news, { log }) => log('hook.after-connect', fieldsOf(news)),
    'on-close': (news, { log }) => log('hook.on-close', fieldsOf(news)),
    'on-alert': (news, { log }) => log('hook.on-alert', fieldsOf(news)),
  },
}

/** The module of this name. */
export const moduleNamed = (name: string): HookModule | undefined => (Object.hasOwn(MODULES, name) ? MODULES[name] : undefined)

/** Every module, with the points that it serves. */
export const listModules = (): { name: string; points: HookPoint[] }[] =>
  Object.entries(MODULES).map(([name, module]) => ({ name, points: Object.keys(module) as HookPoint[] }))

/** What a module decides before its signal says stop; one that is late, throws, or answers what is no answer has not decided. */
export async function decideBy(
  decide: Decide,
  question: HookQuestion,
  context: ModuleContext,
): Promise<HookAnswer | { readonly failure: 'timeout' | 'module'; readonly error?: unknown }> {
  try {
    const answer = await unlessAborted(decide(question, context), context.signal)
    return HookAnswer.safeParse(answer).data ?? { failure: 'module' }
  } catch (error) {
    return context.signal.aborted ? { failure: 'timeout' } : { failure: 'module', error }
  }
}
