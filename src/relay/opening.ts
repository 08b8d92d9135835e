import type { ClientChannel } from 'ssh2'
import type { ControlBody, GrantClaims, GrantRequest, HostKeyPin, LinkClaims } from '../contract/krp.ts'
import type { SealingPrivateJwk } from '../contract/seal.ts'
import type { TargetBudget } from './budget.ts'
import { dialTarget } from './dial.ts'
import { type EgressPolicy, type ResolveAddresses, resolveTarget } from './egress.ts'
import { createGuard } from './guard.ts'
import { errorFields, type Log } from './log.ts'
import { type Login, openLogin } from './login.ts'
import { type PresentedKey, Refusal } from './refusal.ts'
import type { Registry, Reservation } from './registry.ts'
import { createShell, type Shell } from './shell.ts'
import { connectSsh, openChannel, type SshConnection } from './ssh.ts'
import { type ReplayCache, type TokenTrust, verifyGrantToken } from './tokens.ts'

/** What opening needs of the relay. */
export interface OpeningDeps {
  readonly trust: TokenTrust
  readonly replay: ReplayCache
  readonly registry: Registry
  readonly sealing: SealingPrivateJwk
  readonly egress: EgressPolicy
  readonly resolve: ResolveAddresses
  readonly budget: TargetBudget
  readonly connectSeconds: number
  readonly detachSecondsMax: number
  readonly isDraining: () => boolean
}

/** One OPEN of one authenticated link. */
export interface Opening {
  readonly link: LinkClaims
  readonly open: ControlBody<'OPEN'>
  readonly log: Log
  /** Aborted when the dialer closes the stream or the link dies. */
  readonly signal: AbortSignal
}

/** A live shell, or the host key that a scan found. */
export type Opened = { readonly shell: Shell } | { readonly scanned: PresentedKey }

type LoginRequest = Exclude<GrantRequest, { kind: 'scan' }>

/**
 * From a grant to a live shell. Nothing is dialled before the grant holds; no secret is sent before the host key matches.
 *
 * @throws Refusal any of `OPEN_PROBLEMS`
 */
export async function openGrant(opening: Opening, deps: OpeningDeps): Promise<Opened> {
  if (deps.isDraining()) throw new Refusal('draining')
  const claims = await checkGrant(opening, deps)
  const { request } = claims
  const log = opening.log.child({ shell: claims.shell, kind: request.kind, host: request.host, port: request.port })
  try {
    return request.kind === 'scan'
      ? { scanned: await scanTarget(claims, opening, deps) }
      : { shell: await openShell({ claims, request, log }, opening, deps) }
  } catch (error) {
    const refusal = error instanceof Refusal ? error : new Refusal('internal')
    log.warn('shell-refused', {
      code: refusal.code,
      presented: refusal.presented?.fingerprint,
      ...(error instanceof Refusal ? {} : errorFields(error)),
    })
    throw refusal
  }
}

async function checkGrant({ open, link, log }: Opening, deps: OpeningDeps): Promise<GrantClaims> {
  const claims = await verifyGrantToken(open.grant, deps.trust).catch((error: unknown) => {
    log.warn('grant-refused', errorFields(error))
    throw new Refusal('grant-invalid')
  })
  const isOfLink = claims.nonce === link.nonce && claims.sub === link.sub && claims.tenant === link.tenant && claims.epoch === link.epoch
  if (!isOfLink) throw new Refusal('grant-invalid')
  if (!deps.replay.take(claims.jti, claims.exp)) throw new Refusal('grant-replayed')
  const { hosts, ports } = link.caps
  if (!hosts.includes(claims.request.host) || !ports.includes(claims.request.port)) throw new Refusal('grant-exceeds-link')
  return claims
}

async function scanTarget(claims: GrantClaims, opening: Opening, deps: OpeningDeps): Promise<PresentedKey> {
  try {
    const connection = await connectTarget({ claims, username: 'scan', pins: [], login: undefined }, opening, deps)
    connection.guard.sock.destroy()
  } catch (error) {
    if (error instanceof Refusal && error.code === 'host-key-unknown' && error.presented !== undefined) return error.presented
    throw error
  }
  throw new Refusal('internal')
}

interface Granted {
  readonly claims: GrantClaims
  readonly request: LoginRequest
  readonly log: Log
}

async function openShell(granted: Granted, opening: Opening, deps: OpeningDeps): Promise<Shell> {
  const { claims, request } = granted
  const reservation = deps.registry.reserve({ tenant: claims.tenant, sub: claims.sub, shell: claims.shell })
  let login: Login | undefined
  try {
    // Without a pin the target will be refused, so the secret stays sealed.
    login = request.pins.length === 0 ? undefined : await openLogin(claims, opening.open.credential, deps.sealing)
    const connection = await connectTarget({ claims, username: request.username, pins: request.pins, login }, opening, deps)
    return await startShell(granted, { connection, reservation, signal: opening.signal }, deps)
  } catch (error) {
    reservation.release()
    throw error
  } finally {
    login?.wipe()
  }
}

interface Starting {
  readonly connection: SshConnection
  readonly reservation: Reservation
  readonly signal: AbortSignal
}

async function startShell({ claims, request, log }: Granted, starting: Starting, deps: OpeningDeps): Promise<Shell> {
  const { connection, reservation, signal } = starting
  const start = (channel: ClientChannel): Shell => {
    const shell = createShell({
      key: { tenant: claims.tenant, sub: claims.sub, shell: claims.shell },
      kind: request.kind,
      connection,
      channel,
      timeoutSeconds: request.kind === 'exec' ? request.timeoutSeconds : undefined,
      outputBytesMax: request.kind === 'exec' ? request.outputBytesMax : undefined,
      detachSeconds: Math.min(request.detachSeconds, deps.detachSecondsMax),
      log,
      onGone: () => reservation.release(),
    })
    reservation.fill(shell)
    return shell
  }
  const cut = (): void => void connection.guard.sock.destroy()
  const timer = setTimeout(cut, deps.connectSeconds * 1000)
  signal.addEventListener('abort', cut)
  try {
    const shell = await openChannel(connection.client, request, start)
    const { kex, cs } = connection.algorithms
    log.info('shell-opened', { user: request.username, hostKey: connection.hostKey.fingerprint, kex, cipher: cs.cipher })
    return shell
  } catch (error) {
    cut()
    throw error
  } finally {
    clearTimeout(timer)
    signal.removeEventListener('abort', cut)
  }
}

interface Connecting {
  readonly claims: GrantClaims
  readonly username: string
  readonly pins: readonly HostKeyPin[]
  readonly login: Login | undefined
}

async function connectTarget({ claims, ...who }: Connecting, { signal }: Opening, deps: OpeningDeps): Promise<SshConnection> {
  const { host, port } = claims.request
  const deadlineAt = performance.now() + deps.connectSeconds * 1000
  const leftMs = (): number => Math.max(1, deadlineAt - performance.now())
  const addresses = await resolveTarget({ host, port }, deps.egress, deps.resolve)
  const place = await deps.budget.enter(claims.tenant, `${addresses[0]} ${port}`, leftMs())
  let outcome: 'login-refused' | 'other' = 'other'
  try {
    const socket = await dialTarget(addresses, port, { deadlineMs: leftMs(), signal })
    return await connectSsh({ guard: createGuard(socket), ...who, deadlineMs: leftMs() }, signal)
  } catch (error) {
    if (error instanceof Refusal && error.code === 'login-refused') outcome = 'login-refused'
    throw error
  } finally {
    place.leave(outcome)
  }
}
