import type { RefreshCause } from '../../contract/identity.ts'

/** What the session row says when a refresh token did not match the current generation. */
export interface SessionState {
  readonly counter: number
  readonly refreshedAt: number
  readonly isLive: boolean
}

/** How to answer a refresh: with the current tokens, by refusing, or by refusing and ending the session. */
export type RefreshDecision = { readonly converge: RefreshCause } | { readonly refuse: 'session-ended' | 'refresh-reused' }

/**
 * One generation behind is benign at any time: another tab refreshed a moment ago, or the answer got lost.
 * Further behind, someone kept an old token: the session ends, even inside the race window.
 */
export function decideRefresh(
  presented: number,
  state: SessionState,
  at: { readonly now: number; readonly raceSeconds: number },
): RefreshDecision {
  if (!state.isLive) return { refuse: 'session-ended' }
  if (presented === state.counter) return { converge: 'concurrent-refresh' }
  if (presented !== state.counter - 1) return { refuse: 'refresh-reused' }
  const isRace = at.now - state.refreshedAt <= at.raceSeconds * 1000
  return { converge: isRace ? 'concurrent-refresh' : 'fail-to-save' }
}

/** Life of an access token in whole seconds: up to 5 % short, so refreshes do not come in step. */
export const jitteredTtlSeconds = (ttlSeconds: number, random: number): number => Math.floor(ttlSeconds * (1 - 0.05 * random))
