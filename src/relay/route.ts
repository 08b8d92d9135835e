import type { Duplex } from 'node:stream'
import { type GrantClaims, type HostKeyPin, type Jump, KEEPALIVE_SECONDS_DEFAULT } from '../contract/krp.ts'
import type { SealedCredential } from '../contract/krp-secret.ts'
import { type SealingPrivateJwk, viaOf } from '../contract/seal.ts'
import type { Ask, Login } from './attempt.ts'
import type { TargetBudget } from './budget.ts'
import { dialTarget } from './dial.ts'
import { checkForwarded, type EgressPolicy, type ResolveAddresses, resolveTarget } from './egress.ts'
import { createGuard } from './guard.ts'
import { openLogin } from './login.ts'
import { Refusal } from './refusal.ts'
import { closeConnection, connectSsh, openTunnel, type SshConnection } from './ssh.ts'

/** What the way to a target needs of the relay. */
export interface RouteDeps {
  readonly sealing: SealingPrivateJwk
  readonly egress: EgressPolicy
  readonly resolve: ResolveAddresses
  readonly budget: TargetBudget
  readonly connectSeconds: number
}

/** A target, the hosts before it, and what opens them. */
export interface Route {
  readonly claims: GrantClaims
  readonly username: string
  readonly pins: readonly HostKeyPin[]
  /** Otherwise only the host key is asked for. */
  readonly isLogin: boolean
  readonly credential: SealedCredential | undefined
  readonly jumpCredentials: readonly SealedCredential[]
  readonly ask: Ask | undefined
  readonly signal: AbortSignal
}

interface Step extends Pick<Jump, 'host' | 'port' | 'username' | 'pins' | 'algorithms' | 'keepaliveSeconds'> {
  readonly credential: SealedCredential | undefined
  readonly isLoggingIn: boolean
  readonly via: readonly string[]
}

/**
 * Goes to the target over its jump hosts, one after the other. Each is verified against its own pins before its own secret leaves; the end of
 * one ends all behind it.
 *
 * @throws Refusal with the index of the jump at which it went wrong
 */
export async function connectRoute(route: Route, deps: RouteDeps): Promise<SshConnection> {
  const { request } = route.claims
  const jumps = request.jumps ?? []
  const { username, pins, credential } = route
  // Without a pin the target will be refused, so the secret stays sealed.
  const target: Step = {
    ...request,
    username,
    pins: [...pins],
    credential,
    isLoggingIn: route.isLogin && pins.length > 0,
    via: viaOf(jumps),
  }
  const steps: readonly Step[] = [
    ...jumps.map((jump, i) => ({ ...jump, credential: route.jumpCredentials[i], isLoggingIn: true, via: viaOf(jumps, i) })),
    target,
  ]
  let before: SshConnection | undefined
  for (const [i, step] of steps.entries()) {
    try {
      before = await takeStep(step, { before, route, deps })
    } catch (error) {
      if (before) closeConnection(before)
      throw error instanceof Refusal && i < jumps.length ? error.at(i) : error
    }
  }
  if (before === undefined) throw new Refusal('internal')
  return before
}

interface Stepping {
  readonly before: SshConnection | undefined
  readonly route: Route
  readonly deps: RouteDeps
}

async function takeStep(step: Step, { before, route, deps }: Stepping): Promise<SshConnection> {
  const { claims, signal } = route
  const deadlineAt = performance.now() + deps.connectSeconds * 1000
  const leftMs = (): number => Math.max(1, deadlineAt - performance.now())
  const algorithms = step.algorithms ?? 'modern'
  const addresses = before === undefined ? await resolveTarget(step, deps.egress, deps.resolve) : checkForwarded(step, deps.egress)
  const name = [...step.via, `${addresses[0]} ${step.port}`].join(' > ')
  const place = await deps.budget.enter({ tenant: claims.tenant, target: name, username: step.username }, leftMs())
  let login: Login | undefined
  let outcome: 'login-refused' | 'ready' | 'other' = 'other'
  try {
    const { shell, jti } = claims
    if (step.isLoggingIn) login = await openLogin({ ...step, shell, jti }, step.credential, { key: deps.sealing, algorithms })
    const socket: Duplex =
      before === undefined ? await dialTarget(addresses, step.port, { deadlineMs: leftMs(), signal }) : await openTunnel(before, step)
    const guard = createGuard(socket)
    const { username, pins, keepaliveSeconds = KEEPALIVE_SECONDS_DEFAULT } = step
    const who = { username, pins, login, algorithms, keepaliveSeconds, ask: route.ask }
    const connection = await connectSsh({ guard, ...who, deadlineMs: leftMs() }, signal)
    if (before !== undefined) endTogether(connection, before)
    outcome = 'ready'
    return connection
  } catch (error) {
    if (error instanceof Refusal && error.code === 'login-refused') outcome = 'login-refused'
    throw error
  } finally {
    login?.wipe()
    place.leave(outcome)
  }
}

/** A jump host has nothing more to carry when what it carried is over. */
function endTogether(connection: SshConnection, before: SshConnection): void {
  connection.guard.sock.once('close', () => closeConnection(before))
}
