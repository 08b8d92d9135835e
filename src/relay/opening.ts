import { type ControlBody, type GrantClaims, HostKeyType, type LinkClaims } from '../contract/krp.ts'
import type { AskFor } from './attempt.ts'
import type { ChannelRequest, DriverDeps, HostChannel } from './driver.ts'
import { errorFields, type Log } from './log.ts'
import { type PresentedKey, Refusal } from './refusal.ts'
import type { Registry } from './registry.ts'
import { connectRoute } from './route.ts'
import { createShell, type Shell } from './shell.ts'
import { driveSsh } from './ssh-driver.ts'
import { driveTelnet } from './telnet-driver.ts'
import { type ReplayCache, type TokenTrust, verifyGrantToken } from './tokens.ts'

/** What opening needs of the relay. */
export interface OpeningDeps extends DriverDeps {
  readonly trust: TokenTrust
  readonly replay: ReplayCache
  readonly registry: Registry
  readonly detachSecondsMax: number
  readonly isDraining: () => boolean
  /** `opened`, `scanned`, or the code of a refusal. */
  readonly noteOpening: (outcome: string) => void
}

/** One OPEN of one authenticated link. */
export interface Opening {
  readonly link: LinkClaims
  readonly open: ControlBody<'OPEN'>
  readonly log: Log
  /** Asks whoever opens a shell what its hosts ask. */
  readonly ask: (claims: GrantClaims) => AskFor
  /** Aborted when the dialer closes the stream or the link dies. */
  readonly signal: AbortSignal
}

/** A live shell, or the host keys that a scan found. */
export type Opened = { readonly shell: Shell } | { readonly scanned: readonly PresentedKey[] }

/**
 * From a grant to a live shell. Nothing is dialled before the grant holds; what is sent before a host is known to be the right one is its driver's care.
 *
 * @throws Refusal any of `OPEN_PROBLEMS`
 */
export async function openGrant(opening: Opening, deps: OpeningDeps): Promise<Opened> {
  try {
    const opened = await openChecked(opening, deps)
    deps.noteOpening('scanned' in opened ? 'scanned' : 'opened')
    return opened
  } catch (error) {
    deps.noteOpening(error instanceof Refusal ? error.code : 'internal')
    throw error
  }
}

async function openChecked(opening: Opening, deps: OpeningDeps): Promise<Opened> {
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
      jump: refusal.jump,
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
  const places = [claims.request, ...(claims.request.jumps ?? [])]
  if (!places.every(({ host, port }) => hosts.includes(host) && ports.includes(port))) throw new Refusal('grant-exceeds-link')
  return claims
}

/**
 * A server shows one key per connection, so it is asked once for each type. A scan holds a place like a shell: it costs as much.
 */
async function scanTarget(claims: GrantClaims, opening: Opening, deps: OpeningDeps): Promise<readonly PresentedKey[]> {
  const reservation = deps.registry.reserve({ tenant: claims.tenant, sub: claims.sub, shell: claims.shell })
  try {
    const found: PresentedKey[] = []
    for (const type of HostKeyType.options) {
      const key = await scanType({ ...claims, keyType: type }, opening, deps)
      if (key !== undefined) found.push(key)
    }
    if (found.length === 0) throw new Refusal('no-common-algorithm')
    return found
  } finally {
    reservation.release()
  }
}

interface ScanClaims extends GrantClaims {
  readonly keyType: HostKeyType
}

async function scanType(claims: ScanClaims, opening: Opening, deps: OpeningDeps): Promise<PresentedKey | undefined> {
  const { open, signal } = opening
  // A pin that no key can match: the target shows its key of this type and is refused.
  const pins = [{ type: claims.keyType, fingerprint: '' }]
  const jumpCredentials = open.jumpCredentials ?? []
  try {
    await connectRoute(
      { claims, username: 'scan', pins, isLogin: false, credential: undefined, jumpCredentials, ask: undefined, signal },
      deps,
    )
  } catch (error) {
    if (!(error instanceof Refusal)) throw error
    if (error.code !== 'host-key-mismatch' || error.jump !== undefined) throw error
    return error.presented
  }
  throw new Refusal('internal')
}

interface Checked {
  readonly claims: GrantClaims
  readonly request: ChannelRequest
  readonly log: Log
}

const CONSOLES = { telnet: driveTelnet } as const

async function openShell({ claims, request, log }: Checked, { open, ask, signal }: Opening, deps: OpeningDeps): Promise<Shell> {
  const key = { tenant: claims.tenant, sub: claims.sub, shell: claims.shell }
  const reservation = deps.registry.reserve(key)
  const take = (channel: HostChannel): Shell => {
    const shell = createShell({
      key,
      kind: request.kind,
      channel,
      timeoutSeconds: 'timeoutSeconds' in request ? request.timeoutSeconds : undefined,
      outputBytesMax: 'outputBytesMax' in request ? request.outputBytesMax : undefined,
      detachSeconds: Math.min(request.detachSeconds, deps.detachSecondsMax),
      idleSeconds: 'idleSeconds' in request ? request.idleSeconds : undefined,
      lifeSeconds: 'lifeSeconds' in request ? request.lifeSeconds : undefined,
      log,
      onGone: () => reservation.release(),
    })
    reservation.fill(shell)
    return shell
  }
  try {
    const granted = { claims, secrets: open, ask: ask(claims), log, signal }
    return await (request.kind === 'console'
      ? CONSOLES[request.protocol]({ ...granted, request }, deps, take)
      : driveSsh({ ...granted, request }, deps, take))
  } catch (error) {
    reservation.release()
    throw error
  }
}
