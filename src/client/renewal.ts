/** What renewing needs. */
export interface RenewalParts {
  /** A fresh credential to stay with; nothing where none can be had. */
  readonly credential: () => Promise<string | undefined>
  /** Shows it on the socket. */
  readonly show: (token: string) => void
}

/** Keeps a socket past the end of its token by showing the next one. */
export interface Renewal {
  /** Plans for a token that ends then, Unix milliseconds. */
  readonly plan: (expiresAt: number) => void
  /** Shows one again after a while: the last was not looked at. */
  readonly retry: (ms: number) => void
  readonly stop: () => void
}

/** A token is renewed this long before its end: the client draws a new one from half a minute before. */
const RENEW_MS = 25_000
/** Between two renewals, however short the tokens. */
const PAUSE_MS = 1_000
/** By a clock that is ahead every token seems over: it is shown ever more seldom, up to this. */
const PAUSE_MS_MAX = 10_000
/** The longest delay that timers know. */
const TIMER_MS_MAX = 2_147_483_647

/** Starts with nothing planned. */
export function createRenewal({ credential, show }: RenewalParts): Renewal {
  let timer: ReturnType<typeof setTimeout> | undefined
  let pauseMs = 0

  async function renew(planned: typeof timer): Promise<void> {
    // Without one the socket ends with its token, and the next begins with what can be had then.
    const token = await credential().catch(() => undefined)
    if (token !== undefined && timer === planned) show(token)
  }

  function retry(ms: number): void {
    clearTimeout(timer)
    const planned = setTimeout(() => void renew(planned), Math.min(Math.max(ms, PAUSE_MS), TIMER_MS_MAX))
    timer = planned
  }

  return {
    plan(expiresAt) {
      const ms = expiresAt - RENEW_MS - Date.now()
      pauseMs = ms > 0 ? 0 : Math.min(Math.max(PAUSE_MS, pauseMs * 2), PAUSE_MS_MAX)
      retry(Math.max(ms, pauseMs))
    },
    retry,
    stop() {
      clearTimeout(timer)
      timer = undefined
    },
  }
}
