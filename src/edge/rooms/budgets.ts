import type { UserId } from '../../contract/identity.ts'
import { Problem } from '../../contract/problem.ts'
import { chargeFor, spend } from '../platform/limiter/limiter.ts'
import { describeError } from '../platform/log.ts'
import type { Scope } from '../platform/scope.ts'
import type { Peer } from './peer.ts'

/** What one socket may do: bursts of a person pass, a loop does not. */
const BUDGETS = {
  frames: { burst: 300, perSecond: 60 },
  chars: { burst: 2_000_000, perSecond: 200_000 },
  publish: { burst: 30, perSecond: 5 },
  presence: { burst: 30, perSecond: 10 },
  signal: { burst: 100, perSecond: 30 },
} as const

/** What a frame may cost. */
export type SocketBudget = keyof typeof BUDGETS

/** Refusals beyond what was taken meanwhile after which a socket is closed: it does not listen. */
export const REFUSALS_MAX = 50

interface Bucket {
  left: number
  at: number
}

interface Ledger {
  readonly buckets: Map<SocketBudget, Bucket>
  refusals: number
}

/** Refilled by hibernation, which takes ten quiet seconds. */
const ledgers = new WeakMap<Peer, Ledger>()

function ledgerOf(socket: Peer): Ledger {
  const ledger = ledgers.get(socket) ?? { buckets: new Map(), refusals: 0 }
  ledgers.set(socket, ledger)
  return ledger
}

/** Takes from a socket's budget. @throws Problem `rate-limited` that says when to try again */
export function take(socket: Peer, budget: SocketBudget, amount = 1): void {
  const ledger = ledgerOf(socket)
  const { burst, perSecond } = BUDGETS[budget]
  const now = Date.now()
  const bucket = ledger.buckets.get(budget) ?? { left: burst, at: now }
  ledger.buckets.set(budget, bucket)
  const left = Math.min(burst, bucket.left + (Math.max(0, now - bucket.at) / 1000) * perSecond)
  bucket.at = now
  bucket.left = left >= amount ? left - amount : left
  if (left >= amount) return
  ledger.refusals += 1
  throw new Problem('rate-limited', { retryAfterSeconds: (amount - left) / perSecond })
}

/** Whether a socket goes on in spite of its refusals. */
export const isObstinate = (socket: Peer): boolean => ledgerOf(socket).refusals > REFUSALS_MAX

/** A frame was taken, which makes up for a refusal. */
export function forgive(socket: Peer): void {
  const ledger = ledgerOf(socket)
  ledger.refusals = Math.max(0, ledger.refusals - 1)
}

/** Messages that a user's object is asked for at once: one call for many messages, whatever rooms they go to. */
const LEASE = 20

interface Lease {
  left: number
  isAsking: boolean
  blockedUntil: number
}

/** What users may still publish here before the object that counts for all rooms is asked again. */
export type Leases = Map<UserId, Lease>

/** Users whose lease is remembered. */
const LEASES_MAX = 2_000

/** Takes one message from what a user may publish across all rooms. @throws Problem `rate-limited` */
export function takeFromUser(leases: Leases, scope: () => Scope, userId: UserId): void {
  const lease = leases.get(userId) ?? { left: 0, isAsking: false, blockedUntil: 0 }
  leases.set(userId, lease)
  const [oldest] = leases.keys()
  if (leases.size > LEASES_MAX && oldest !== undefined) leases.delete(oldest)
  const waitMs = lease.blockedUntil - Date.now()
  if (waitMs > 0) throw new Problem('rate-limited', { retryAfterSeconds: waitMs / 1000 })
  lease.left -= 1
  if (lease.left >= 0 || lease.isAsking) return
  lease.isAsking = true
  const asking = scope()
  asking.waitUntil(renew(asking, userId, lease))
}

async function renew(scope: Scope, userId: UserId, lease: Lease): Promise<void> {
  try {
    const receipt = await spend(scope, { userId }, [await chargeFor(scope, 'messages', { subject: [userId] })])
    if (receipt.isAdmitted) lease.left = LEASE
    else lease.blockedUntil = Date.now() + Math.max(1_000, ...receipt.standings.map(({ waitMs }) => waitMs))
  } catch (error) {
    scope.log('limit.unknown', describeError(error))
  } finally {
    lease.isAsking = false
  }
}
