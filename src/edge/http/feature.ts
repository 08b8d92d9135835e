import type { Dependency } from '../../contract/health.ts'
import type { UserId } from '../../contract/identity.ts'
import type { Sample } from '../platform/metrics.ts'
import type { Consumers } from '../platform/outbox/outbox.ts'
import type { UnderSecret } from '../platform/root-secrets.ts'
import type { Scope } from '../platform/scope.ts'
import type { EdgeApp } from './implement.ts'

/** Checks one dependency; answers a short reason when it is not well. */
export interface Probe {
  readonly isHard: boolean
  readonly check: (scope: Scope) => Promise<Pick<Dependency, 'ok' | 'detail'>>
}

/** Says how a part stands; the names are those of `platform/metrics.ts`. */
export type Metrics = (scope: Scope) => Promise<readonly Sample[]>

/** What a feature offers to the program: its routes, and its duties for privacy, cron, outbox, health and metrics. */
export interface Feature {
  readonly name: string
  readonly mount: (app: EdgeApp) => void
  readonly personalData?: {
    readonly export: (scope: Scope, userId: UserId) => Promise<object>
    readonly erase: (scope: Scope, userId: UserId) => Promise<void>
  }
  /** Bounded cron work; answers how many things it did. */
  readonly sweeps?: Readonly<Record<string, (scope: Scope) => Promise<number>>>
  readonly consumers?: Consumers
  /** What it stores that works under one root secret: moved under the newest, and counted by health. */
  readonly underSecrets?: readonly UnderSecret[]
  readonly probes?: Readonly<Record<string, Probe>>
  readonly metrics?: Metrics
}
