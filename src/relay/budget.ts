import { createGate, type Gate } from './gate.ts'
import { Refusal } from './refusal.ts'

/** sshd refuses strangers above MaxStartups (10 by default), which would hit every tenant of the relay. */
const HANDSHAKES_PER_TARGET_MAX = 8
const FAILURE_WINDOW_MS = 60_000
/** Forgets the oldest beyond this, so that a scan over many targets cannot fill memory. */
const FAILURE_ENTRIES_MAX = 10_000

/** Care for targets: few handshakes at once, and a pause for a tenant whose logins fail, before the target bars the relay for all. */
export interface TargetBudget {
  /** Waits for a place among the handshakes at this target. @throws Refusal target-backoff, target-timeout */
  enter(tenant: string, target: string, deadlineMs: number): Promise<HandshakePlace>
}

/** A place among the handshakes at one target. */
export interface HandshakePlace {
  leave(outcome: 'login-refused' | 'other'): void
}

/** An empty budget on the given clock, milliseconds. */
export function createTargetBudget(failuresPerMinuteMax: number, now: () => number = () => performance.now()): TargetBudget {
  const gates = new Map<string, Gate>()
  const failures = new Map<string, number[]>()

  const recent = (name: string): number[] => (failures.get(name) ?? []).filter((at) => now() - at < FAILURE_WINDOW_MS)
  const countFailure = (name: string): void => {
    const list = [...recent(name), now()].slice(-failuresPerMinuteMax)
    failures.delete(name)
    failures.set(name, list)
    const oldest = failures.keys().next().value
    if (failures.size > FAILURE_ENTRIES_MAX && oldest !== undefined) failures.delete(oldest)
  }
  return {
    async enter(tenant, target, deadlineMs) {
      const name = `${tenant}\0${target}`
      if (recent(name).length >= failuresPerMinuteMax) throw new Refusal('target-backoff')
      const gate = gates.get(target) ?? createGate(HANDSHAKES_PER_TARGET_MAX)
      gates.set(target, gate)
      await gate.enter(deadlineMs)
      return {
        leave(outcome) {
          if (outcome === 'login-refused') countFailure(name)
          gate.leave()
          if (gate.isIdle()) gates.delete(target)
        },
      }
    },
  }
}
