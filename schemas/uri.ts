/**
 * Whether a URL's `hostname` is a loopback: all of 127.0.0.0/8, `[::1]` and `localhost` (RFC 8252
 * section 7.3). The only definition of a loopback in this server.
 */
export function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}

/** The characters of RFC 3986; square brackets only in a host. */
const rfc3986 =
  /^[a-z][a-z0-9+.-]*:(\/\/\[[0-9a-f:.]+\])?(?:[\w.~:/?#@!$&'()*+,;=-]|%[0-9a-f]{2})*$/i

/** A host name that every parser accepts, or an IPv6 address. */
const plainHost = /^([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:]+\])$/

/**
 * Parses an absolute URI that all parsers read in the same way: with the characters of RFC 3986, in the
 * normal form of the WHATWG URL standard (the slash of a bare origin may be left out), without a user.
 * Undefined for any other text, such as `https://shop.example\@evil.example/`, in which some parsers
 * find the first host and others the second.
 */
export function parseUri(text: string): URL | undefined {
  if (text.length > 2048 || !rfc3986.test(text) || !URL.canParse(text)) return undefined
  const url = new URL(text)
  if (url.username !== '' || url.password !== '') return undefined
  if (url.hostname !== '' && !plainHost.test(url.hostname)) return undefined
  return url.href === text || url.href === `${text}/` ? url : undefined
}

/**
 * A host as URLs have it: lower case, IDN as punycode, without the root's dot; a port is kept.
 * Undefined for what is not a host, such as a URL.
 */
export function normalHost(text: string): string | undefined {
  if (/[/\\?#@\s%]/.test(text) || text === '') return undefined
  if (!URL.canParse(`https://${text}/`)) return undefined
  const { host, hostname } = new URL(`https://${text}/`)
  const name = hostname.replace(/\.$/, '')
  if (!name.startsWith('[') && !/^[a-z0-9_-]+(\.[a-z0-9_-]+)*$/.test(name)) return undefined
  return name + host.slice(hostname.length)
}

/**
 * A host, or `*.` and a domain for every host below it, in its normal form and without a port.
 * Undefined for anything else.
 */
export function normalHostPattern(text: string): string | undefined {
  const [, wildcard = '', rest = ''] = text.match(/^(\*\.)?(.*)$/s) ?? []
  const host = normalHost(rest)
  if (host === undefined || rest.replace(/^\[.*\]/, '').includes(':')) return undefined
  // An IP address has no subdomains.
  if (wildcard !== '' && /^\[|^[\d.]+$/.test(host)) return undefined
  return wildcard + host
}

/** Whether a URL's `hostname` matches a pattern of `normalHostPattern`. */
export function matchesHostPattern(hostname: string, pattern: string): boolean {
  const name = hostname.toLowerCase().replace(/\.$/, '')
  return pattern.startsWith('*.') ? name.endsWith(pattern.slice(1)) : name === pattern
}
