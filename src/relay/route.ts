import type { Duplex } from 'node:stream'
import { type GrantClaims, type HostKeyPin, type Jump, KEEPALIVE_SECONDS_DEFAULT } from '../contract/krp.ts'
import type { SealedCredential } from '../contract/krp-secret.ts'
import { type SealingPrivateJwk, viaOf } from '../contract/seal.ts'
import type { Ask, AskFor, Login } from './attempt.ts'
import type { HandshakePlace, Outcome, TargetBudget } from './budget.ts'
import { dialTarget } from './dial.ts'
import { checkForwarded, type EgressPolicy, type ResolveAddresses, resolveTarget } from './egress.ts'
import { createGuard, type Guard } from './guard.ts'
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

/** A target, and what opens the hosts before it. */
export interface Way {
  readonly claims: GrantClaims
  readonly jumpCredentials: readonly SealedCredential[]
  readonly signal: AbortSignal
}

interface Passing extends Way {
  readonly ask: AskFor | undefined
}

/** A way to a target that speaks SSH, and what opens that. */
export interface Route extends Passing {
  readonly username: string
  readonly pins: readonly HostKeyPin[]
  /** Otherwise only the host key is asked for. */
  readonly isLogin: boolean
  readonly credential: SealedCredential | undefined
}

interface Step extends Pick<Jump, 'host' | 'port' | 'username' | 'pins' | 'algorithms' | 'keepaliveSeconds'> {
  readonly credential: SealedCredential | undefined
  readonly isLoggingIn: boolean
  readonly via: readonly string[]
  /** Asks in the name of this host, so that a person knows who reads the answer. */
  readonly ask: Ask | undefined
}

/**
 * Goes to the target over its jump hosts, one after the other. Each is verified against its own pins before its own secret leaves; the end of
 * one ends all behind it.
 *
 * @throws Refusal with the index of the jump at which it went wrong
 */
export async function connectRoute(route: Route, deps: RouteDeps): Promise<SshConnection> {
  const { request } = route.claims
  const { username, pins, credential } = route
  // Without a pin the target will be refused, so the secret stays sealed.
  const isLoggingIn = route.isLogin && pins.length > 0
  const target: Step = {
    ...request,
    username,
    pins: [...pins],
    credential,
    isLoggingIn,
    via: viaOf(request.jumps ?? []),
    ask: route.ask?.(),
  }
  return goOn(await passJumps(route, deps), (before) => takeStep(target, { before, route, deps }))
}

/** The same for a target that does not speak SSH: a bare connection. @throws Refusal as {@link connectRoute} */
export async function connectPlain(way: Way, deps: RouteDeps): Promise<Duplex> {
  const { request } = way.claims
  const target = { ...request, username: '', via: viaOf(request.jumps ?? []) }
  const before = await passJumps({ ...way, ask: undefined }, deps)
  return goOn(before, async () => {
    const { place, dial } = await enterStep(target, { before, route: way, deps })
    try {
      const socket = await dial()
      if (before !== undefined) socket.once('close', () => closeConnection(before))
      return socket
    } finally {
      place.leave('other')
    }
  })
}

/** Where the next step fails, what was passed has nothing to carry. */
async function goOn<T>(before: SshConnection | undefined, go: (before: SshConnection | undefined) => Promise<T>): Promise<T> {
  try {
    return await go(before)
  } catch (error) {
    if (before) closeConnection(before)
    throw error
  }
}

async function passJumps(route: Passing, deps: RouteDeps): Promise<SshConnection | undefined> {
  const { jumps = [] } = route.claims.request
  let passed: SshConnection | undefined
  for (const [i, jump] of jumps.entries()) {
    const step: Step = { ...jump, credential: route.jumpCredentials[i], isLoggingIn: true, via: viaOf(jumps, i), ask: route.ask?.(i) }
    passed = await goOn(passed, (before) => takeStep(step, { before, route, deps })).catch((error: unknown) => {
      throw error instanceof Refusal ? error.at(i) : error
    })
  }
  return passed
}

interface Stepping<R extends Way> {
  readonly before: SshConnection | undefined
  readonly route: R
  readonly deps: RouteDeps
}

interface Entered {
  readonly place: HandshakePlace
  readonly leftMs: () => number
  readonly dial: () => Promise<Duplex>
}

/** A place at a target that may be reached; nothing is dialled yet. */
async function enterStep(step: Pick<Step, 'host' | 'port' | 'username' | 'via'>, { before, route, deps }: Stepping<Way>): Promise<Entered> {
  const { claims, signal } = route
  const deadlineAt = performance.now() + deps.connectSeconds * 1000
  const leftMs = (): number => Math.max(1, deadlineAt - performance.now())
  const addresses = before === undefined ? await resolveTarget(step, deps.egress, deps.resolve) : checkForwarded(step, deps.egress)
  const name = [...step.via, `${addresses[0]} ${step.port}`].join(' > ')
  const place = await deps.budget.enter({ tenant: claims.tenant, target: name, username: step.username }, leftMs())
  const dial = (): Promise<Duplex> =>
    before === undefined ? dialTarget(addresses, step.port, { deadlineMs: leftMs(), signal }) : openTunnel(before, step)
  return { place, leftMs, dial }
}

async function takeStep(step: Step, stepping: Stepping<Way>): Promise<SshConnection> {
  const { before, route, deps } = stepping
  const { place, leftMs, dial } = await enterStep(step, stepping)
  const algorithms = step.algorithms ?? 'modern'
  let login: Login | undefined
  let guard: Guard | undefined
  let outcome: Outcome = 'other'
  try {
    const { shell, jti } = route.claims
    if (step.isLoggingIn) login = await openLogin({ ...step, shell, jti }, step.credential, { key: deps.sealing, algorithms })
    guard = createGuard(await dial())
    const { username, pins, ask, keepaliveSeconds = KEEPALIVE_SECONDS_DEFAULT } = step
    const who = { username, pins, login, algorithms, keepaliveSeconds, ask }
    const connection = await connectSsh({ guard, ...who, deadlineMs: leftMs() }, route.signal)
    if (before !== undefined) endTogether(connection, before)
    outcome = 'ready'
    return connection
  } catch (error) {
    if (error instanceof Refusal && error.code === 'login-refused') outcome = 'login-refused'
    else if (step.isLoggingIn && guard?.isSsh()) outcome = 'unauthenticated'
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
