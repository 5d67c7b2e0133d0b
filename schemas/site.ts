import { PREFIXES } from './identifier.ts'
import type { SignInDescription } from './sign-in-description.ts'
import { normalHost, parseUri } from './uri.ts'

/** Whether two texts name one host, however they spell it. */
export function isSameHost(one: string, other: string): boolean {
  const host = normalHost(one)
  return host !== undefined && host === normalHost(other)
}

/**
 * Whether a site, by client_id or by host, means the client of a sign-in. A client_id stands for
 * itself. A host stands for a client that leads there and that the operator registered, or whose
 * metadata document lies on that very host: anybody can register a redirect URI of a host that he
 * does not own.
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

/** A site in the form in which it is stored; undefined for what is neither client_id nor host. */
export function normalSite(site: string): string | undefined {
  if (site.startsWith(PREFIXES.client_id)) return site
  const url = parseUri(site)
  if (url?.protocol === 'https:' && url.pathname !== '/') return site
  const isOrigin = url !== undefined && [url.origin, `${url.origin}/`].includes(site)
  return normalHost(isOrigin ? url.host : site)
}
