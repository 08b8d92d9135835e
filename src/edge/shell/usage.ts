import type { OrgId } from '../../contract/orgs.ts'
import type { ShellUsage } from '../../contract/shell-usage.ts'
import type { Metrics } from '../http/feature.ts'
import { orgRoleOf } from '../orgs/service.ts'
import { openDb } from '../platform/db.ts'
import { dayOf, sample } from '../platform/metrics.ts'
import type { Actor, Scope } from '../platform/scope.ts'
import { answersOf, monthOf, standing, usageOf } from './usage-store.ts'

/** States in which a shell lives, so that none is missing where it is 0. */
const LIVE_STATES = ['connecting', 'open', 'detached'] as const

async function usageIn(scope: Scope, orgId: OrgId) {
  const [used] = await usageOf(openDb(scope.env.DB, undefined).db, orgId, scope.now())
  return used ?? { live: 0, seconds: 0, bytes: 0 }
}

/** What an organisation uses of shells, for its members. @throws Problem `not-found` */
export async function getShellUsage(scope: Scope, actor: Actor, orgId: OrgId): Promise<ShellUsage> {
  await orgRoleOf(scope, actor, orgId)
  const { live, seconds, bytes } = await usageIn(scope, orgId)
  const { liveMax, minutesMax = null, bytesMax = null } = scope.config.shellQuotas
  const month = new Date(scope.now()).toISOString().slice(0, 7)
  return { live, liveMax, month, minutes: Math.floor(seconds / 60), minutesMax, bytes, bytesMax }
}

/** Whether an organisation has used up what it may in a month: then waiting helps nobody. */
export async function isMonthUsedUp(scope: Scope, orgId: OrgId): Promise<boolean> {
  const { minutesMax = Number.POSITIVE_INFINITY, bytesMax = Number.POSITIVE_INFINITY } = scope.config.shellQuotas
  const { seconds, bytes } = await usageIn(scope, orgId)
  return seconds >= minutesMax * 60 || bytes >= bytesMax
}

/** Shells by state, what runs, what was used this month, and what hooks answered today. No label names anybody. */
export const shellMetrics: Metrics = async ({ db, now }) => {
  const [states, whole] = standing(db, monthOf(now()))
  const [byState, [all], answers] = await Promise.all([states, whole, answersOf(db, dayOf(now()))])
  const count = (state: string): number => byState.find((row) => row.state === state)?.n ?? 0
  return [
    ...LIVE_STATES.map((state) => sample('parvis_shells', count(state), { state })),
    sample('parvis_shell_commands_running', all?.commands ?? 0, {}),
    sample('parvis_shell_runs', all?.runs ?? 0, {}),
    sample('parvis_shell_seconds_month', all?.seconds ?? 0, {}),
    sample('parvis_shell_output_bytes_month', all?.bytes ?? 0, {}),
    ...answers.map(({ point, outcome, asked }) => sample('parvis_shell_hook_answers_today', asked, { point, outcome })),
  ]
}
