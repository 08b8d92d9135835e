/** Something that ends a shell when its time has come. */
export interface Clock {
  stop(): void
}

/** Longest that a timer of Node can wait. */
const TIMER_MS_MAX = 2 ** 31 - 1

/** Calls `ring` once `seconds` have passed since the moment that `since` names, which may move on meanwhile; without seconds never. */
export function createClock(seconds: number | undefined, since: () => number, ring: () => void): Clock {
  let timer: NodeJS.Timeout | undefined
  const look = (): void => {
    const leftMs = since() + (seconds ?? 0) * 1000 - performance.now()
    if (leftMs <= 0) ring()
    else timer = setTimeout(look, Math.min(Math.ceil(leftMs), TIMER_MS_MAX))
  }
  if (seconds !== undefined) timer = setTimeout(look, Math.min(seconds * 1000, TIMER_MS_MAX))
  return { stop: () => clearTimeout(timer) }
}
