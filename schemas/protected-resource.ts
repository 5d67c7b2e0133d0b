import { type Static, Type } from '@sinclair/typebox'

/** The members of RFC 9728 section 2 that a resource for this server's tokens needs. */
export const ProtectedResourceMetadata = Type.Object({
  resource: Type.String({ description: 'Its URI, exactly as it is registered' }),
  authorization_servers: Type.Array(Type.String(), { description: 'Issuers' }),
  scopes_supported: Type.Optional(Type.Array(Type.String())),
  resource_name: Type.Optional(Type.String()),
  resource_documentation: Type.Optional(Type.String()),
  bearer_methods_supported: Type.Array(Type.String()),
})
export type ProtectedResourceMetadata = Static<typeof ProtectedResourceMetadata>

export interface ProtectedResource {
  /** Its URI, exactly as it is registered. */
  resource: string
  /** Of the authorization server that it trusts. */
  issuer: string
  scopes?: string[]
  name?: string
  documentation?: string
}

/**
 * The document that a protected resource serves at `protectedResourceMetadataUrl`, so that its clients
 * find the authorization server (RFC 9728 section 2).
 */
export function protectedResourceMetadata({
  resource,
  issuer,
  scopes = [],
  name,
  documentation,
}: ProtectedResource): ProtectedResourceMetadata {
  return {
    resource,
    authorization_servers: [issuer],
    ...(scopes.length > 0 && { scopes_supported: scopes }),
    ...(name !== undefined && { resource_name: name }),
    ...(documentation !== undefined && { resource_documentation: documentation }),
    bearer_methods_supported: ['header'],
  }
}

/** The URL of that document, inserted between the resource's host and path (RFC 9728 section 3.1). */
export function protectedResourceMetadataUrl(resource: string): string {
  const { origin, pathname, search } = new URL(resource)
  const path = pathname === '/' ? '' : pathname
  return `${origin}/.well-known/oauth-protected-resource${path}${search}`
}

export interface BearerChallenge {
  /** Absent when the request had no token (RFC 6750 section 3.1). */
  error?: 'invalid_request' | 'invalid_token' | 'insufficient_scope'
  error_description?: string
  /** The scope that the request needs. */
  scope?: string
}

/**
 * The `WWW-Authenticate` value with which a protected resource refuses a request and says where its
 * metadata is (RFC 6750 section 3, RFC 9728 section 5.1).
 * @throws {TypeError} for a value that the header cannot carry
 */
export function bearerChallenge(resource: string, challenge: BearerChallenge = {}): string {
  const { error, error_description, scope } = challenge
  const parameters = {
    error,
    error_description,
    scope,
    resource_metadata: protectedResourceMetadataUrl(resource),
  }
  const parts = Object.entries(parameters).flatMap(([name, value]) => {
    if (value === undefined) return []
    if (!/^[\x20\x21\x23-\x5b\x5d-\x7e]*$/.test(value)) {
      throw new TypeError(`${name} has a character that the header cannot carry`)
    }
    return [`${name}="${value}"`]
  })
  return `Bearer ${parts.join(', ')}`
}
