import { OPEN_PROBLEMS, type OpenProblem } from '../../contract/krp-problem.ts'
import type { OrgRole } from '../../contract/orgs.ts'
import { Problem, type ProblemSlug } from '../../contract/problem.ts'

/** A relay that restarts, or a burst that passes. */
const RELAY_RETRY_SECONDS = 5
/** The relay counts failed sign-ins per minute. */
const BACKOFF_RETRY_SECONDS = 60

/** Whether a role may act on hosts; readers only watch. */
export const mayOperate = (role: OrgRole | null): boolean => role === 'owner' || role === 'operator'

/** Why a caller may not start anything on a host, when a conditional insert took no row. */
export function refusalOfStart(role: OrgRole | undefined): ProblemSlug {
  if (role === undefined) return 'not-found'
  return mayOperate(role) ? 'limit-reached' : 'forbidden'
}

const SLUGS: Readonly<Record<OpenProblem, ProblemSlug>> = {
  'grant-invalid': 'unavailable',
  'grant-replayed': 'unavailable',
  'grant-exceeds-link': 'unavailable',
  'shell-exists': 'unavailable',
  'shell-unknown': 'unavailable',
  'offset-unknown': 'unavailable',
  'too-many-streams': 'unavailable',
  'too-many-shells': 'unavailable',
  draining: 'unavailable',
  internal: 'unavailable',
  'target-forbidden': 'target-forbidden',
  'target-unresolved': 'host-unreachable',
  'target-unreachable': 'host-unreachable',
  'target-timeout': 'host-unreachable',
  'target-not-ssh': 'host-unreachable',
  'no-common-algorithm': 'host-unreachable',
  'target-backoff': 'rate-limited',
  'host-key-unknown': 'host-key-unknown',
  'host-key-mismatch': 'host-key-mismatch',
  'credential-invalid': 'host-refused',
  'login-refused': 'host-refused',
  'prompt-unanswered': 'host-refused',
  'jump-refused': 'host-unreachable',
  'request-refused': 'host-refused',
  'file-not-found': 'file-not-found',
  'file-denied': 'file-denied',
  'file-outside': 'file-denied',
  'file-exists': 'file-exists',
  'file-wrong-kind': 'file-failed',
  'file-too-large': 'payload-too-large',
  'file-unsupported': 'file-failed',
  'file-failed': 'file-failed',
}

/** What a caller meets when the relay refuses. The words are ours: no byte of the target is in them. */
export function problemOfRefusal(code: OpenProblem, jump?: number): Problem {
  const slug = SLUGS[code]
  const detail = jump === undefined ? OPEN_PROBLEMS[code] : `At jump host ${jump + 1}: ${OPEN_PROBLEMS[code]}`
  if (slug === 'unavailable') return new Problem(slug, { detail, retryAfterSeconds: RELAY_RETRY_SECONDS })
  return new Problem(slug, slug === 'rate-limited' ? { detail, retryAfterSeconds: BACKOFF_RETRY_SECONDS } : { detail })
}

/** The relay is not there, or not the one we know. */
export const relayUnavailable = (detail: string, cause?: unknown): Problem =>
  new Problem('unavailable', { detail, retryAfterSeconds: RELAY_RETRY_SECONDS }, { cause })

/** A command whose end nobody saw. Not `unavailable`, for that invites to try again, and it may have run. */
export const commandLost = (cause: unknown): Problem =>
  new Problem('host-unreachable', { detail: 'The connection broke while the command ran; whether it ended is not known.' }, { cause })

/** Doubling waits, so a relay that is down is not hammered and one that is back is found soon. */
export const redialAfterMs = (attempts: number): number => Math.min(15_000, 500 * 2 ** Math.min(attempts, 5))
