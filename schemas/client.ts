import { type Static, Type } from '@sinclair/typebox'
import { isLoopback, parseUri } from './uri.ts'

/** RFC 7517 section 5. */
export const JsonWebKeySet = Type.Object({
  keys: Type.Array(Type.Record(Type.String(), Type.Unknown()), { minItems: 1, maxItems: 20 }),
})
export type JsonWebKeySet = Static<typeof JsonWebKeySet>

/** Client metadata (RFC 7591 section 2); other members are ignored. */
export const ClientMetadata = Type.Object({
  client_name: Type.Optional(Type.String()),
  redirect_uris: Type.Optional(Type.Array(Type.String({ maxLength: 2048 }), { maxItems: 50 })),
  grant_types: Type.Optional(Type.Array(Type.String())),
  response_types: Type.Optional(Type.Array(Type.String())),
  token_endpoint_auth_method: Type.Optional(Type.String()),
  application_type: Type.Optional(Type.Union([Type.Literal('native'), Type.Literal('web')])),
  id_token_signed_response_alg: Type.Optional(Type.String()),
  jwks: Type.Optional(JsonWebKeySet),
  jwks_uri: Type.Optional(Type.String({ maxLength: 2048 })),
  post_logout_redirect_uris: Type.Optional(
    Type.Array(Type.String({ maxLength: 2048 }), { maxItems: 50 }),
  ),
  backchannel_logout_uri: Type.Optional(Type.String({ maxLength: 2048 })),
})
export type ClientMetadata = Static<typeof ClientMetadata>

/** draft-ietf-oauth-client-id-metadata-document section 4. */
export const ClientMetadataDocument = Type.Composite([
  Type.Omit(ClientMetadata, ['client_name', 'redirect_uris']),
  Type.Object({
    client_id: Type.String(),
    client_name: Type.String(),
    redirect_uris: Type.Array(Type.String({ maxLength: 2048 }), { minItems: 1, maxItems: 50 }),
    /** Published by clients that work with several servers; a value of another type is ignored. */
    token_endpoint_auth_methods_supported: Type.Optional(Type.Unknown()),
  }),
])
export type ClientMetadataDocument = Static<typeof ClientMetadataDocument>

/**
 * Why a redirect URI is invalid, in one sentence; undefined for a valid one. It must be absolute, without
 * fragment or wildcard, https except on the loopback (RFC 6749 section 3.1.2, RFC 9700 section 2.1),
 * and spelled so that every parser finds the same host in it.
 */
export function redirectUriProblem(uri: string): string | undefined {
  if (uri.length > 2048) return 'A redirect URI must have at most 2048 characters.'
  if (!URL.canParse(uri)) return 'A redirect URI must be an absolute URL.'
  const { protocol, username, password } = new URL(uri)
  if (uri.includes('#')) return 'A redirect URI must not have a fragment.'
  if (uri.includes('*')) return 'A redirect URI must not have a wildcard.'
  if (username || password) return 'A redirect URI must not have a user.'
  if (/[^\x21-\x7e]/.test(uri)) {
    return 'A redirect URI must not have a character that needs encoding.'
  }
  if (protocol !== 'https:' && protocol !== 'http:') return NEEDS_TLS
  const url = parseUri(uri)
  if (url === undefined) {
    return 'A redirect URI must be written in its normal form: lower-case host, no default port, no dot segments, no backslash.'
  }
  return protocol === 'http:' && !isLoopback(url.hostname) ? NEEDS_TLS : undefined
}

const NEEDS_TLS = 'A redirect URI must be https, or http on localhost or a loopback address.'

/**
 * Whether a requested redirect URI is a registered one: the same string, except that the port of a
 * loopback URI is free (RFC 8252 section 7.3, RFC 9700 section 2.1).
 */
export function matchesRedirectUri(requested: string, registered: string): boolean {
  if (requested === registered) return true
  const [ours, theirs] = [loopbackWithoutPort(registered), loopbackWithoutPort(requested)]
  return ours !== undefined && ours === theirs
}

/** The host of a redirect URI, with its port unless that is the scheme's default. */
export function redirectHost(redirect_uri: string): string {
  return new URL(redirect_uri).host
}

function loopbackWithoutPort(uri: string): string | undefined {
  const url = parseUri(uri)
  if (url?.protocol !== 'http:' || !isLoopback(url.hostname)) return undefined
  const { origin } = url
  url.port = ''
  return url.origin + uri.slice(origin.length)
}
