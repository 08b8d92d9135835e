import ipaddr from 'ipaddr.js'

/** Where a call comes from, no finer than one subscriber can be told from another. */
export interface Place {
  /** An IPv4 address, or the /64 of an IPv6 address: a household or a host owns all of it. */
  readonly prefix: string
  /** What its owner can hold besides: the /48 of an IPv6 address. For IPv4 the same as `prefix`. */
  readonly network: string
  /** Nobody said where: such calls share one place, and nobody is known to have signed in from it. */
  readonly isUnknown: boolean
}

const UNKNOWN: Place = { prefix: 'unknown', network: 'unknown', isUnknown: true }

const groups = (address: ipaddr.IPv6, count: number): string =>
  address.parts
    .slice(0, count)
    .map((part) => part.toString(16))
    .join(':')

/**
 * The place of a request. Only `CF-Connecting-IP` counts, which the edge writes itself; `X-Forwarded-For` is anybody's word.
 * Every spelling of an address is one place, an IPv4 address in IPv6 clothes included; what is no address is nowhere.
 */
export function placeOf(headers: Headers): Place {
  const text = headers.get('cf-connecting-ip')
  if (text === null || !ipaddr.isValid(text)) return UNKNOWN
  const address = ipaddr.process(text)
  if (!(address instanceof ipaddr.IPv6)) return { prefix: address.toString(), network: address.toString(), isUnknown: false }
  return { prefix: `${groups(address, 4)}::/64`, network: `${groups(address, 3)}::/48`, isUnknown: false }
}
