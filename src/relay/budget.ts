import { createGate, type Gate } from './gate.ts'
import { Refusal } from './refusal.ts'

/** sshd refuses strangers from MaxStartups on (10 by default), and notices a moment late that one has logged in: as many again still count. */
const HANDSHAKES_PER_TARGET_MAX = 5
/** So that a tenant whose logins take long, or whose people think, leaves places to others. */
const HANDSHAKES_PER_TENANT_MAX = 4
const FAILURE_WINDOW_MS = 60_000
/** What an end costs of a budget of so many points per failure: OpenSSH counts 5 s for a wrong login and 1 s for none at all. */
const POINTS = { 'login-refused': 5, unauthenticated: 1, ready: 0, other: 0 } as const
/** Tenants that may use up their failures at one target before it rests for all who were never let in. */
const TENANTS_FAILING_MAX = 2
/** A login that was let in this recently is known to be good, so it does not wait for the failures of others. */
const PROVEN_MS = 86_400_000
/** Forgets the oldest beyond this, so that a scan over many targets cannot fill memory. */
const ENTRIES_MAX = 10_000

/** Whose login, as whom, and where. */
export interface LoginName {
  readonly tenant: string
  readonly target: string
  readonly username: string
}

/**
 * Care for targets: few handshakes at once, and a pause after failed logins. sshd counts failures by address, which is the relay's for every
 * tenant. So each login (tenant, target, user) has a budget of its own; those that were never let in draw on one of their tenant besides, and
 * on one that all tenants share at the target. One tenant's bad passwords neither ban the relay nor hold up a login that works.
 */
export interface TargetBudget {
  /** Waits for a place among the handshakes at this target. @throws Refusal target-backoff, target-timeout */
  enter(name: LoginName, deadlineMs: number): Promise<HandshakePlace>
}

/**
 * How a handshake ended; `unauthenticated`: the target spoke SSH, and no login was tried to its end. A look at its keys, of which an organisation
 * has so many an hour, is `other`.
 */
export type Outcome = keyof typeof POINTS

interface Failure {
  readonly at: number
  readonly points: number
}

/** A place among the handshakes at one target. */
export interface HandshakePlace {
  leave(outcome: Outcome): void
}

/** An empty budget on the given clock, milliseconds. */
export function createTargetBudget(failuresPerMinuteMax: number, now: () => number = () => performance.now()): TargetBudget {
  const gates = new Map<string, Gate>()
  const failures = new Map<string, readonly Failure[]>()
  const proven = new Map<string, number>()

  const recent = (name: string): readonly Failure[] => (failures.get(name) ?? []).filter(({ at }) => now() - at < FAILURE_WINDOW_MS)
  const pointsOf = (name: string): number => recent(name).reduce((sum, { points }) => sum + points, 0)
  const budgetsOf = (login: string, own: string, target: string): readonly (readonly [name: string, max: number])[] => [
    [login, failuresPerMinuteMax],
    [own, failuresPerMinuteMax],
    [target, TENANTS_FAILING_MAX * failuresPerMinuteMax],
  ]
  const gateFor = (name: string, places: number): Gate => {
    const gate = gates.get(name) ?? createGate(places)
    gates.set(name, gate)
    return gate
  }
  const demandBudget = (budgets: ReturnType<typeof budgetsOf>): void => {
    if (budgets.some(([name, max]) => pointsOf(name) >= max * POINTS['login-refused'])) throw new Refusal('target-backoff')
  }
  const leave = (name: string, gate: Gate): void => {
    gate.leave()
    if (gate.isIdle()) gates.delete(name)
  }
  return {
    async enter({ tenant, target, username }, deadlineMs) {
      const own = `${tenant}\0${target}`
      const login = `${own}\0${username}`
      const isProven = now() - (proven.get(login) ?? Number.NEGATIVE_INFINITY) < PROVEN_MS
      const budgets = budgetsOf(login, own, target).slice(0, isProven ? 1 : undefined)
      demandBudget(budgets)
      const deadlineAt = performance.now() + deadlineMs
      const ownGate = gateFor(own, HANDSHAKES_PER_TENANT_MAX)
      await ownGate.enter(deadlineMs)
      const gate = gateFor(target, HANDSHAKES_PER_TARGET_MAX)
      try {
        await gate.enter(Math.max(1, deadlineAt - performance.now()))
      } catch (error) {
        leave(own, ownGate)
        throw error
      }
      try {
        // Those before it in the queue may have failed meanwhile.
        demandBudget(budgets)
      } catch (error) {
        leave(target, gate)
        leave(own, ownGate)
        throw error
      }
      return {
        leave(outcome) {
          const points = POINTS[outcome]
          if (points > 0) for (const [name] of budgets) keep(failures, name, [...recent(name), { at: now(), points }])
          if (outcome === 'ready') keep(proven, login, now())
          leave(target, gate)
          leave(own, ownGate)
        },
      }
    },
  }
}

function keep<T>(map: Map<string, T>, name: string, value: T): void {
  map.delete(name)
  map.set(name, value)
  const oldest = map.keys().next().value
  if (map.size > ENTRIES_MAX && oldest !== undefined) map.delete(oldest)
}
