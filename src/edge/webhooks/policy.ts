import { WEBHOOK_ATTEMPTS_MAX } from '../../contract/webhooks.ts'

/** Waits grow fourfold from here to {@link WAIT_MS_MAX}: ten attempts take about a day. */
const WAIT_MS_MIN = 10_000
const WAIT_MS_MAX = 21_600_000
/** A receiver that took nothing for so long is sent nothing more. */
const PATIENCE_MS = 3 * 86_400_000

/** How long to wait after so many attempts: between half of the step and all of it, so that receivers that come back are not hit at once. */
export const waitMs = (attempts: number, chance: number): number =>
  Math.round(Math.min(WAIT_MS_MAX, WAIT_MS_MIN * 4 ** (attempts - 1)) * (0.5 + chance / 2))

/** Whether no further attempt is made. */
export const isLast = (attempts: number, status: number | null): boolean => attempts >= WEBHOOK_ATTEMPTS_MAX || status === 410

/** Why a webhook is to be stopped after an event was given up, or nothing. */
export function reasonToStop(at: {
  readonly now: number
  readonly failingSince: number | null
  readonly status: number | null
}): 'gone' | 'failures' | undefined {
  if (at.status === 410) return 'gone'
  return at.failingSince !== null && at.now - at.failingSince >= PATIENCE_MS ? 'failures' : undefined
}
