import { isLoopback } from './uri.ts'

/**
 * What is wrong with a redirect URI, in one sentence; undefined when nothing is. Complete, without
 * fragment or wildcard, https except on the loopback (RFC 6749 section 3.1.2, RFC 9700 section 2.1).
 */
export function redirectUriProblem(uri: string): string | undefined {
  if (!URL.canParse(uri)) return `The redirect URI ${uri} is not an absolute URL.`
  const url = new URL(uri)
  if (uri.includes('#')) return `The redirect URI ${uri} must not have a fragment.`
  if (uri.includes('*')) return `The redirect URI ${uri} must not have a wildcard.`
  if (url.username || url.password) return `The redirect URI ${uri} must not have a user.`
  if (/[^\x21-\x7e]/.test(uri))
    return `The redirect URI ${uri} has a character that needs encoding.`
  if (url.protocol === 'https:') return undefined
  if (url.protocol === 'http:' && isLoopback(url.hostname)) return undefined
  return `The redirect URI ${uri} must be https, or http on localhost or a loopback address.`
}

/**
 * Whether a requested redirect URI is a registered one: the same string, except that the port of a
 * loopback URI is free (RFC 8252 section 7.3, RFC 9700 section 2.1).
 */
export function matchesRedirectUri(requested: string, registered: string): boolean {
  if (requested === registered) return true
  const [ours, theirs] = [loopbackWithoutPort(registered), loopbackWithoutPort(requested)]
  return ours !== undefined && ours === theirs
}

/** The host that a redirect URI leads to, with its port unless that is the scheme's own. */
export function redirectHost(redirect_uri: string): string {
  return new URL(redirect_uri).host
}

const loopback = /^(http:\/\/(?:localhost|127\.0\.0\.1|\[::1\]))(?::\d{1,5})?(?=[/?]|$)/

function loopbackWithoutPort(uri: string): string | undefined {
  return loopback.test(uri) && URL.canParse(uri) ? uri.replace(loopback, '$1') : undefined
}
