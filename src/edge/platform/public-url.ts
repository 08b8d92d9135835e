import ipaddr from 'ipaddr.js'
import * as z from 'zod'

/** Global unicast (RFC 4291): loopback, mapped, NAT64, unique-local, link-local and multicast addresses lie outside it. */
const GLOBAL_UNICAST: readonly [ipaddr.IPv6, number] = [ipaddr.IPv6.parse('2000::'), 3]
/** Names that mean something near the resolver rather than on the Internet (RFC 6761, RFC 6762, RFC 8375, ICANN's `internal`). */
const NEARBY = /(^|\.)(localhost|local|internal|intranet|lan|home|corp|home\.arpa|test|invalid|example|onion)$/
const DNS_TIMEOUT_MS = 5_000
const ADDRESS_TYPES = { A: 1, AAAA: 28 } as const

/** Whether an address is one of the public Internet. */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address) || address.includes('%')) return false
  const ip = ipaddr.process(address)
  if (ip.range() !== 'unicast') return false
  return ip.kind() === 'ipv4' || ip.match(GLOBAL_UNICAST as [ipaddr.IPv6, number])
}

/** The host as an address, or `undefined` when it is a name. `URL` has already spelled out what 127.1 and 0x7f000001 mean. */
function addressIn(hostname: string): string | undefined {
  const bare = hostname.replace(/^\[|\]$/g, '')
  return ipaddr.isValid(bare) ? bare : undefined
}

const isLoopback = (hostname: string): boolean => hostname === 'localhost' || hostname === '127.0.0.1' || hostname === '[::1]'

/**
 * Whether a URL that a stranger chose may be called at all: TLS at its own port, by a public address or by a name that can be one.
 * In dev the own machine may be called too.
 */
export function isPublicUrl(text: string, { isDev, publicOrigin }: { readonly isDev: boolean; readonly publicOrigin: string }): boolean {
  if (!URL.canParse(text)) return false
  const { protocol, hostname, port, username, password, hash } = new URL(text)
  if (username !== '' || password !== '' || hash !== '') return false
  if (isDev && isLoopback(hostname) && (protocol === 'http:' || protocol === 'https:')) return true
  if (protocol !== 'https:' || port !== '') return false
  const address = addressIn(hostname)
  if (address !== undefined) return isPublicAddress(address)
  const name = hostname.replace(/\.$/, '')
  return name.includes('.') && !NEARBY.test(name) && name !== new URL(publicOrigin).hostname
}

const DnsAnswer = z.object({
  Status: z.int(),
  Answer: z.array(z.object({ type: z.int(), data: z.string() })).optional(),
})

async function addressesOf(name: string, type: keyof typeof ADDRESS_TYPES, dnsUrl: string): Promise<readonly string[]> {
  const url = new URL(dnsUrl)
  url.searchParams.set('name', name)
  url.searchParams.set('type', type)
  const answer = await fetch(url, {
    headers: { accept: 'application/dns-json' },
    redirect: 'manual',
    signal: AbortSignal.timeout(DNS_TIMEOUT_MS),
  })
  const { Answer = [] } = DnsAnswer.parse(await answer.json())
  return Answer.filter((record) => record.type === ADDRESS_TYPES[type]).map(({ data }) => data)
}

/**
 * Whether every address of a URL's name is public, asked of a DNS-over-HTTPS resolver. A runtime that connects for itself may be told
 * something else a moment later, so it must refuse private addresses too; Cloudflare's and workerd's do.
 *
 * @throws Error when the resolver does not answer
 */
export async function leadsOutside(
  text: string,
  { isDev, dnsUrl }: { readonly isDev: boolean; readonly dnsUrl: string },
): Promise<boolean> {
  const { hostname } = new URL(text)
  if ((isDev && isLoopback(hostname)) || addressIn(hostname) !== undefined || dnsUrl === '') return true
  const answers = await Promise.all([addressesOf(hostname, 'A', dnsUrl), addressesOf(hostname, 'AAAA', dnsUrl)])
  const addresses = answers.flat()
  return addresses.length > 0 && addresses.every(isPublicAddress)
}
