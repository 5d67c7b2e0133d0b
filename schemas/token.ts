import { type Static, Type } from '@sinclair/typebox'
import { ResourceParameter } from './resource.ts'

/**
 * RFC 6749 section 2.3.1: client authentication in a body. No value here and below has a maximum length,
 * except by that of the body: a value that is too long to be valid gets the same error as any other
 * unknown value.
 */
export const ClientCredentials = Type.Object({
  client_id: Type.Optional(Type.String()),
  client_secret: Type.Optional(Type.String()),
  client_assertion_type: Type.Optional(Type.String()),
  client_assertion: Type.Optional(
    Type.String({ description: 'A JWT that the client signed (RFC 7523)' }),
  ),
})
export type ClientCredentials = Static<typeof ClientCredentials>

/** RFC 6749 section 4.1.3 and RFC 7636 section 4.5. */
export const AuthorizationCodeRequest = Type.Composite([
  Type.Object({
    grant_type: Type.Literal('authorization_code'),
    code: Type.String(),
    code_verifier: Type.Optional(
      Type.String({
        pattern: '^[A-Za-z0-9._~-]{43,128}$',
        description: 'RFC 7636 section 4.1',
      }),
    ),
    redirect_uri: Type.Optional(Type.String()),
    resource: Type.Optional(ResourceParameter),
  }),
  ClientCredentials,
])
export type AuthorizationCodeRequest = Static<typeof AuthorizationCodeRequest>

/** RFC 6749 section 6. */
export const RefreshTokenRequest = Type.Composite([
  Type.Object({
    grant_type: Type.Literal('refresh_token'),
    refresh_token: Type.String(),
    scope: Type.Optional(Type.String()),
    resource: Type.Optional(ResourceParameter),
  }),
  ClientCredentials,
])
export type RefreshTokenRequest = Static<typeof RefreshTokenRequest>

/** RFC 6749 section 4.4.2. */
export const ClientCredentialsRequest = Type.Composite([
  Type.Object({
    grant_type: Type.Literal('client_credentials'),
    scope: Type.Optional(Type.String()),
    resource: Type.Optional(ResourceParameter),
  }),
  ClientCredentials,
])
export type ClientCredentialsRequest = Static<typeof ClientCredentialsRequest>

export type TokenRequest = AuthorizationCodeRequest | RefreshTokenRequest | ClientCredentialsRequest

/** A union with the discriminator `grant_type`, so that Ajv reports an unknown one as such. */
export const TokenRequest = Type.Unsafe<TokenRequest>({
  type: 'object',
  required: ['grant_type'],
  discriminator: { propertyName: 'grant_type' },
  oneOf: [AuthorizationCodeRequest, RefreshTokenRequest, ClientCredentialsRequest],
})

/**
 * RFC 6749 section 5.1, OpenID Connect Core section 3.1.3.3, and for the lifetimes
 * draft-ietf-oauth-refresh-token-expiration-03.
 */
export const TokenResponse = Type.Object(
  {
    access_token: Type.String(),
    token_type: Type.Literal('Bearer'),
    expires_in: Type.Integer({ description: 'Seconds' }),
    refresh_token: Type.Optional(Type.String()),
    refresh_token_timeout: Type.Optional(
      Type.Integer({
        description: 'Seconds for which the refresh token lives while it is not used',
      }),
    ),
    authorization_expires_in: Type.Optional(
      Type.Integer({
        description: 'Seconds until the sign-in ends, however often it is refreshed',
      }),
    ),
    id_token: Type.Optional(Type.String({ description: 'With the scope openid' })),
    scope: Type.String(),
  },
  { description: 'The tokens' },
)
export type TokenResponse = Static<typeof TokenResponse>
