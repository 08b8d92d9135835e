import { Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import { networkInterfaces } from 'node:os'
import ipaddr from 'ipaddr.js'
import { Refusal } from './refusal.ts'

/** One address and port, as in `127.0.0.1:2222` or `[fd00::7]:22`. */
export interface ExactTarget {
  readonly address: string
  readonly port: number
}

/** Where the relay may connect: public unicast on the allowed ports, plus what operators allow, minus what they deny. */
export interface EgressPolicy {
  /** Allowed as they are, whatever their range and port; an address that is denied stays so. */
  readonly allowTargets: readonly ExactTarget[]
  readonly allowCidrs: readonly string[]
  readonly denyCidrs: readonly string[]
  readonly allowPorts: readonly number[]
}

/** All addresses of a name, one resolution. */
export type ResolveAddresses = (host: string) => Promise<readonly string[]>

const ADDRESSES_MAX = 16
const GLOBAL_UNICAST: readonly [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3]

/**
 * The addresses of a target, every one of them checked; the caller connects to these and never to the name, so a second, different DNS answer
 * has no effect. One forbidden address refuses the whole set.
 *
 * @throws Refusal target-forbidden, target-unresolved
 */
export async function resolveTarget(
  target: { host: string; port: number },
  policy: EgressPolicy,
  resolve: ResolveAddresses,
): Promise<readonly string[]> {
  const isPortAllowed = policy.allowPorts.includes(target.port)
  if (!isPortAllowed && !policy.allowTargets.some(({ port }) => port === target.port)) throw new Refusal('target-forbidden')
  if (isIP(target.host) === 0 && looksNumeric(target.host)) throw new Refusal('target-forbidden')
  const addresses = isIP(target.host) === 0 ? await resolve(target.host) : [target.host]
  if (addresses.length === 0) throw new Refusal('target-unresolved')
  const own = ownAddresses()
  const isAllowed = (address: string): boolean =>
    isExactlyAllowed({ address, port: target.port }, policy) || (isPortAllowed && isAddressAllowed(address, policy, own))
  if (addresses.length > ADDRESSES_MAX || !addresses.every(isAllowed)) throw new Refusal('target-forbidden')
  return addresses
}

/** Ranges of a private network, which a jump host is there to reach (RFC 1918, RFC 6598, RFC 4193). */
const PRIVATE_RANGES: readonly string[] = ['private', 'carrierGradeNat', 'uniqueLocal']

/** Metadata services of clouds that lie in a private range (AWS and Alibaba Cloud); the others are link-local. */
const METADATA_ADDRESSES: readonly string[] = ['fd00:ec2::254', '100.100.100.200']

/**
 * A target behind a jump host: the port must be allowed, and a literal address public, private or allowed by the operator; neither the jump host
 * itself nor a cloud's metadata service. A name is the jump host's to resolve, so where it leads is that host's to guard.
 *
 * @throws Refusal target-forbidden
 */
export function checkForwarded(target: { host: string; port: number }, policy: EgressPolicy): readonly string[] {
  const { host, port } = target
  if (policy.allowTargets.length > 0 && isExactlyAllowed({ address: host, port }, policy)) return [host]
  if (!policy.allowPorts.includes(port)) throw new Refusal('target-forbidden')
  if (isIP(host) === 0) {
    if (looksNumeric(host) || /^localhost\.?$|\.localhost\.?$/i.test(host)) throw new Refusal('target-forbidden')
    return [host]
  }
  const ip = ipaddr.process(host)
  const isMetadata = METADATA_ADDRESSES.includes(ip.toString())
  const isPrivate = PRIVATE_RANGES.includes(ip.range()) && !isMetadata && !isInside(ip, policy.denyCidrs)
  if (!isPrivate && !isAddressAllowed(host, policy, new Set())) throw new Refusal('target-forbidden')
  return [host]
}

function isExactlyAllowed({ address, port }: ExactTarget, policy: EgressPolicy): boolean {
  if (isIP(address) === 0 || address.includes('%')) return false
  const ip = ipaddr.process(address)
  if (isInside(ip, policy.denyCidrs)) return false
  return policy.allowTargets.some((named) => named.port === port && ipaddr.process(named.address).toString() === ip.toString())
}

/** Whether one resolved address may be dialled. A mapped IPv4 address is judged as the IPv4 address it reaches. */
export function isAddressAllowed(address: string, policy: EgressPolicy, ownAddresses: ReadonlySet<string>): boolean {
  // `ipaddr` alone would also read 127.1 and 2130706433 as addresses.
  if (isIP(address) === 0 || address.includes('%')) return false
  const ip = ipaddr.process(address)
  if (isInside(ip, policy.denyCidrs)) return false
  if (isInside(ip, policy.allowCidrs)) return true
  return isPublic(ip) && !ownAddresses.has(ip.toString())
}

/** The relay's own addresses: a target that is the relay itself would reach ports the firewall closes to others. */
export function ownAddresses(): ReadonlySet<string> {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  return new Set(all.map(({ address }) => ipaddr.process(address.split('%', 1)[0] ?? address).toString()))
}

/**
 * Resolves over DNS alone: no hosts file, no search list, so a name means the same here as for everyone.
 *
 * @throws Refusal target-unresolved when no answer comes at all
 */
export function createResolver(servers: readonly string[], timeoutSeconds: number): ResolveAddresses {
  return async (host) => {
    const resolver = new Resolver({ timeout: (timeoutSeconds * 1000) / 2, tries: 2 })
    if (servers.length > 0) resolver.setServers(servers)
    const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)])
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
  }
}

// Beyond 2000::/3 lie loopback, mapped, NAT64, unique-local, link-local, multicast; inside it, `range` names 6to4, Teredo, ORCHID and documentation.
function isPublic(ip: ipaddr.IPv4 | ipaddr.IPv6): boolean {
  if (ip.range() !== 'unicast') return false
  return ip.kind() === 'ipv4' || ip.match(GLOBAL_UNICAST as [ipaddr.IPv6, number])
}

function isInside(ip: ipaddr.IPv4 | ipaddr.IPv6, cidrs: readonly string[]): boolean {
  return cidrs.some((cidr) => {
    const [network, bits] = ipaddr.parseCIDR(cidr)
    return network.kind() === ip.kind() && ip.match(network, bits)
  })
}

// The C library reads 2130706433, 0x7f.1 and 127.1 as IPv4 addresses; WHATWG URL calls a host whose last label is a number the same.
function looksNumeric(host: string): boolean {
  const last = host.split('.').at(-1) ?? ''
  return host.includes(':') || /^([0-9]+|0[xX][0-9a-fA-F]*)$/.test(last)
}
