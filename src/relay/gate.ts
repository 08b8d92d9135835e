import { Refusal } from './refusal.ts'

/** A few places, and a queue for them. */
export interface Gate {
  /** Waits for a place. @throws Refusal target-timeout after `deadlineMs` */
  enter(deadlineMs: number): Promise<void>
  /** Gives the place back, once. */
  leave(): void
  isIdle(): boolean
}

/** A gate with all places free; first come, first served. */
export function createGate(placesMax: number): Gate {
  let busy = 0
  const waiting: (() => void)[] = []
  return {
    enter(deadlineMs) {
      if (busy < placesMax) {
        busy += 1
        return Promise.resolve()
      }
      return new Promise((resolve, reject) => {
        const enter = (): void => {
          clearTimeout(timer)
          resolve()
        }
        const timer = setTimeout(() => {
          waiting.splice(waiting.indexOf(enter), 1)
          reject(new Refusal('target-timeout'))
        }, deadlineMs)
        waiting.push(enter)
      })
    },
    leave() {
      // The place passes on to the next in line, so `busy` stays as it is then.
      const next = waiting.shift()
      if (next === undefined) busy -= 1
      else next()
    },
    isIdle: () => busy === 0 && waiting.length === 0,
  }
}
