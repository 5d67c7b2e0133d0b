import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'

/** The network of all callers whose address is unknown. */
export const UNKNOWN_ADDRESS = 'unknown'

/** The networks of an address that are counted, narrowest first, as lengths of their prefix. */
const PREFIXES = { ipv4: [32, 24], ipv6: [64, 56, 48] } as const

/** The share of a wider network, as a multiple of the share of one address (IPv4) or one /64 (IPv6). */
const SHARES: Record<string, number> = { '/24': 8, '/56': 2, '/48': 4 }

/** IPv6 ranges that carry an IPv4 address in their last 32 bits: RFC 4291, RFC 6052, RFC 6145. */
const CARRIERS = ['ipv4Mapped', 'rfc6052', 'rfc6145']

/**
 * The normal form of an address: without port, brackets or zone, and an IPv4 address that is mapped to
 * IPv6 as IPv4. `unknown` for any other text.
 */
export function normalAddress(text: string | undefined): string {
  if (text !== undefined && isIP(text) === 4) return text
  return parseAddress(text)?.toString() ?? UNKNOWN_ADDRESS
}

/**
 * The networks that an address belongs to, narrowest first: an IPv4 address and its /24; the /64, /56
 * and /48 of an IPv6 address, since one household or host can have a whole one. All texts that are not
 * addresses belong to one network.
 */
export function networksOf(text: string | undefined): [narrowest: string, ...wider: string[]] {
  const address = parseAddress(text)
  if (address === undefined) return [UNKNOWN_ADDRESS]
  const [first, ...others] = PREFIXES[address.kind()]
  return [prefixOf(address, first), ...others.map((length) => prefixOf(address, length))]
}

/** The share of a network, as a multiple of the share of one address. */
export function shareOf(network: string): number {
  return SHARES[network.slice(network.lastIndexOf('/'))] ?? 1
}

function parseAddress(text = ''): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  const bare = withoutPort(text.trim().replace(/^"(.*)"$/, '$1')).replace(/%.*$/, '')
  if (isIP(bare) === 0) return undefined
  const address = ipaddr.parse(bare)
  if (address instanceof ipaddr.IPv6 && CARRIERS.includes(address.range())) {
    return new ipaddr.IPv4(address.toByteArray().slice(-4))
  }
  return address
}

/** Proxies write `192.0.2.1:80`, `[2001:db8::1]:80` (RFC 7239 section 6) and `[2001:db8::1]`. */
function withoutPort(text: string): string {
  const [, bracketed] = text.match(/^\[([^\]]*)\](?::\d{1,5})?$/) ?? []
  if (bracketed !== undefined) return bracketed
  return isIP(text) === 0 ? text.replace(/:\d{1,5}$/, '') : text
}

function prefixOf(address: ipaddr.IPv4 | ipaddr.IPv6, length: number): string {
  const kind = address.kind() === 'ipv4' ? ipaddr.IPv4 : ipaddr.IPv6
  return `${kind.networkAddressFromCIDR(`${address.toNormalizedString()}/${length}`)}/${length}`
}
