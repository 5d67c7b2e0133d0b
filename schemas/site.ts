import { PREFIXES } from './identifier.ts'
import type { SignInDescription } from './sign-in-description.ts'
import { normalHost, parseUri } from './uri.ts'

/** Whether two texts name the same host, in any spelling. */
export function isSameHost(one: string, other: string): boolean {
  const host = normalHost(one)
  return host !== undefined && host === normalHost(other)
}

/**
 * Whether a site, given by client_id or by host, is the client of a sign-in. A host means a client whose
 * redirect URI is there, but only if the operator registered the client or its metadata document is on
 * the same host: anybody can register a redirect URI of a host that belongs to somebody else.
 */
export function isSite(
  site: string,
  {
    client_id,
    client_origin,
    client_host = '',
    redirect_host,
  }: Pick<SignInDescription, 'client_id' | 'client_origin' | 'redirect_host'> & {
    client_host?: string | undefined
  },
): boolean {
  if (site === client_id) return true
  if (!isSameHost(site, redirect_host)) return false
  return client_origin === 'operator' || isSameHost(site, client_host)
}

/** A site in the form that is stored; undefined for text that is neither a client_id nor a host. */
export function normalSite(site: string): string | undefined {
  if (site.startsWith(PREFIXES.client_id)) return site
  const url = parseUri(site)
  if (url?.protocol === 'https:' && url.pathname !== '/') return site
  const isOrigin = url !== undefined && [url.origin, `${url.origin}/`].includes(site)
  return normalHost(isOrigin ? url.host : site)
}
