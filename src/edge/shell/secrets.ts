import type { Jump } from '../../contract/krp.ts'
import { Problem } from '../../contract/problem.ts'
import { toBase64 } from '../platform/base64.ts'
import type { RelayConfig } from '../platform/relays.ts'
import type { Scope } from '../platform/scope.ts'
import { unwrapCredential } from './credential.ts'
import type { HostHop, HostTarget, Order } from './rpc.ts'
import { type Certificand, issueCertificate, NoAuthority } from './ssh-ca.ts'

/** What opens a target and the hosts before it, as the relay reads it. Each is overwritten once it is sealed. */
export interface Secrets {
  /** Absent of a host that has no login of ours. */
  readonly credential?: Uint8Array<ArrayBuffer>
  readonly jumpCredentials: readonly Uint8Array<ArrayBuffer>[]
}

type Certifier = Pick<Scope, 'db' | 'config' | 'now'>
type Certified = Pick<Order, 'orgId' | 'userId' | 'shellId'>

/**
 * Opens what is stored, and makes certificates, for one connection through this relay.
 *
 * @throws Problem `host-refused` when the organisation has no authority; Error when a secret cannot be opened
 */
export async function openSecrets(
  scope: Certifier,
  order: Certified & { readonly target: HostTarget },
  relay: RelayConfig,
): Promise<Secrets> {
  const { target } = order
  const jumpCredentials = await openJumps(scope, { ...order, jumps: target.jumps }, relay)
  // Behind a jump host the target sees that one's address, not the relay's.
  const sourceAddresses = target.jumps.length > 0 ? [] : relay.egress
  return { credential: await openSecret(scope, target, { of: order, permits: 'permit-pty', sourceAddresses }), jumpCredentials }
}

/** What opens the hosts on the way to a target that has no login of ours. @throws as {@link openSecrets} */
export const openWay = async (
  scope: Certifier,
  order: Certified & { readonly target: HostTarget },
  relay: RelayConfig,
): Promise<Secrets> => ({ jumpCredentials: await openJumps(scope, { ...order, jumps: order.target.jumps }, relay) })

/** What opens the hosts on the way. @throws as {@link openSecrets} */
export function openJumps(
  scope: Certifier,
  order: Certified & { readonly jumps: readonly HostHop[] },
  { egress }: RelayConfig,
): Promise<Uint8Array<ArrayBuffer>[]> {
  const permits = 'permit-port-forwarding'
  return Promise.all(order.jumps.map((hop, i) => openSecret(scope, hop, { of: order, permits, sourceAddresses: i === 0 ? egress : [] })))
}

interface Use extends Pick<Certificand, 'permits' | 'sourceAddresses'> {
  readonly of: Certified
}

async function openSecret(scope: Certifier, hop: HostHop, { of, ...use }: Use): Promise<Uint8Array<ArrayBuffer>> {
  if (hop.credentialKind !== 'certificate') return unwrapCredential(scope.config.keyring, hop.hostId, hop.credential)
  try {
    const whom = { keyId: `parvis ${of.userId} ${of.shellId}`, principal: hop.user, ...use }
    const { certificate, privateKey } = await issueCertificate(scope, of.orgId, whom)
    const credential = { kind: 'certificate', certificate: toBase64(certificate), privateKey: toBase64(privateKey) }
    privateKey.fill(0)
    return new Uint8Array(new TextEncoder().encode(JSON.stringify(credential)))
  } catch (error) {
    if (error instanceof NoAuthority)
      throw new Problem('host-refused', { detail: 'The organisation has no SSH authority yet.' }, { cause: error })
    throw error
  }
}

/** The hosts on the way as a grant names them. */
export const jumpsOf = (hops: readonly HostHop[]): Jump[] =>
  hops.map(({ address, port, user, pins, algorithms, keepaliveSeconds }) => ({
    host: address,
    port,
    username: user,
    pins: [...pins],
    algorithms,
    keepaliveSeconds,
  }))

/** On whose behalf the relay may keep the connection: the next command of the same person on the same host finds it logged in. */
export const keptForOf = ({ userId, target }: Pick<Order, 'userId'> & { readonly target: HostTarget }): string =>
  `${userId}:${target.hostId}`
