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
 * The form in which resource URIs are compared: that of the WHATWG URL standard, so that a bare
 * origin is the same with and without its slash. Undefined for what is no absolute URI or has a
 * fragment (RFC 8707 section 2).
 */
export function normalResourceUri(uri: string): string | undefined {
  if (uri.length > 2048 || uri.includes('#') || /[^\x21-\x7e]/.test(uri)) return undefined
  return URL.canParse(uri) ? new URL(uri).href : undefined
}
