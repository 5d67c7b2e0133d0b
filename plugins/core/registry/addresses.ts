import ipaddr from 'ipaddr.js'
import { isNeverFetched } from '../settings.ts'

/** Special-use ranges (RFC 6890) in which people run services of their own. */
const PRIVATE_RANGES = ['private', 'uniqueLocal', 'carrierGradeNat', 'loopback']

/** Whether an address is on the public internet, without special use (RFC 6890). */
export function isPublicAddress(text: string): boolean {
  const address = parse(text)
  if (address === undefined || isNeverFetched(text) || address.range() !== 'unicast') return false
  return address.kind() === 'ipv4' || address.match(ipaddr.parseCIDR('2000::/3'))
}

/** Whether an address is private (RFC 1918, RFC 4193), carrier-grade (RFC 6598) or a loopback. */
export function isPrivateAddress(text: string): boolean {
  const address = parse(text)
  if (address === undefined || isNeverFetched(text)) return false
  return PRIVATE_RANGES.includes(address.range())
}

/** Parses an address; an IPv4-mapped IPv6 address becomes IPv4. */
function parse(text: string): ipaddr.IPv4 | ipaddr.IPv6 | undefined {
  return ipaddr.isValid(text) ? ipaddr.process(text) : undefined
}
