import { type Static, Type } from '@sinclair/typebox'

/** RFC 8707 section 2: the only parameter that may be repeated. */
export const ResourceParameter = Type.Union([Type.String(), Type.Array(Type.String())], {
  description: 'The URI of the API that the access token is for; may be repeated',
})
export type ResourceParameter = Static<typeof ResourceParameter>

/** Who may ask for an API: clients that the operator registered, or strangers too. */
export const OPEN_TO = ['registered', 'anyone'] as const
export type OpenTo = (typeof OPEN_TO)[number]

/**
 * The form in which resource URIs are compared: that of the WHATWG URL standard, with the rest of the
 * syntax-based normalization of RFC 3986 section 6.2.2, so that a bare origin is the same with and
 * without its slash. Undefined for text that is not an absolute URI or has a fragment (RFC 8707 section 2).
 */
export function normalResourceUri(uri: string): string | undefined {
  if (uri.length > 2048 || uri.includes('#') || /[^\x21-\x7e]/.test(uri)) return undefined
  if (!URL.canParse(uri)) return undefined
  return withLowerCaseHost(new URL(uri).href).replace(/%[0-9a-f]{2}/gi, normalOctet)
}

/**
 * The URI with a slash added or removed at its end, since hosts misspell resources in this way.
 * Undefined if a slash is data: in a query, and in a URI without a host.
 */
export function slashTwin(normal_uri: string): string | undefined {
  if (!normal_uri.includes('://') || normal_uri.includes('?')) return undefined
  return normal_uri.endsWith('/') ? normal_uri.slice(0, -1) : `${normal_uri}/`
}

/** RFC 3986 section 6.2.2.1, for the schemes whose hosts the URL standard leaves as they are. */
function withLowerCaseHost(uri: string): string {
  return uri.replace(
    /^([^/?]+:\/\/(?:[^/?@]*@)?)([^/?]*)/,
    (_, before, host) => before + host.toLowerCase(),
  )
}

/** RFC 3986 sections 6.2.2.1 and 6.2.2.2: upper-case digits, and unreserved characters as they are. */
function normalOctet(encoded: string): string {
  const character = String.fromCharCode(Number.parseInt(encoded.slice(1), 16))
  return /[\w.~-]/.test(character) ? character : encoded.toUpperCase()
}
