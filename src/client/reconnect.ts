import { isProblem, PROBLEMS, type Problem } from '../contract/problem.ts'
import { backoffMs, RECONNECT } from './backoff.ts'
import { NetworkError, problemOfClose } from './failure.ts'

/** Attempts that came to nothing since a connection last proved itself. */
export interface History {
  readonly failures: number
  /** Those of them that ended because the credential was refused. */
  readonly refusals: number
}

/** No failures yet. */
export const FRESH: History = { failures: 0, refusals: 0 }

/** What to do after a connection or an attempt has ended. */
export type Next =
  | { readonly kind: 'end'; readonly cause: Error | undefined }
  | { readonly kind: 'retry'; readonly history: History; readonly delayMs: number; readonly isRefused: boolean }

/** A peer that asks for calm is left alone this long at least. */
const CALM_MS = 5_000
/** A credential is replaced once; a second refusal in a row is meant. */
const REFUSALS_MAX = 1
/** A connection that held this long shows that its credential was good. */
const HELD_MS = 10_000

function later(history: History, atLeastMs = 0): Next {
  const failures = history.failures + 1
  return { kind: 'retry', history: { ...history, failures }, delayMs: atLeastMs + backoffMs(failures, RECONNECT), isRefused: false }
}

/** After a failed attempt: an outage passes, any other problem does not. */
export function afterFailure(error: unknown, history: History): Next {
  if (error instanceof NetworkError) return later(history)
  if (!isProblem(error)) return { kind: 'end', cause: error instanceof Error ? error : new Error(String(error)) }
  return afterProblem(error, history)
}

function afterProblem(problem: Problem, history: History): Next {
  const { status } = PROBLEMS[problem.slug]
  const askedMs = (problem.extras.retryAfterSeconds ?? 0) * 1000
  if (status === 429) return later(history, Math.max(askedMs, CALM_MS))
  return status >= 500 ? later(history, askedMs) : { kind: 'end', cause: problem }
}

/** How a connection ended that had been open. */
export interface Closing {
  readonly code: number
  readonly reason: string
  readonly openMs: number
}

/** After a connection that had been open was closed. */
export function afterClose({ code, reason, openMs }: Closing, history: History): Next {
  const problem = problemOfClose(code, reason)
  if (!problem) return later(history)
  const refusals = openMs >= HELD_MS ? 0 : history.refusals
  const isCredential = problem.slug === 'unauthenticated' || problem.slug === 'ticket-invalid'
  if (!isCredential || refusals >= REFUSALS_MAX) return afterProblem(problem, history)
  return { kind: 'retry', history: { ...history, refusals: refusals + 1 }, delayMs: 0, isRefused: true }
}
