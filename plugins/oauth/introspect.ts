import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { BODY_ERRORS, errors } from '../../schemas/answers.ts'
import { IntrospectionResponse, TokenQuery } from '../../schemas/introspect.ts'
import { scopeWords } from '../../schemas/scope.ts'
import { CLIENT_ASSERTION_ALGORITHMS } from '../core/callers/client-assertion.ts'
import { invalidClient } from '../core/callers/client-authentication.ts'
import type { Client, Resource } from '../core/core.ts'
import { type AccessTokenClaims, describeModel, describeSubject } from '../core/crypto/tokens.ts'
import { CLIENT_AUTHENTICATION_METHODS } from '../core/registry/client-metadata.ts'

/**
 * POST /introspect: what a token is worth now (RFC 7662), for the client that it was issued to and,
 * if it is an access token, for the protected resources in its audience. Everybody else learns
 * nothing (section 2.2).
 */
const introspect: FastifyPluginAsyncTypebox = async (app) => {
  app.metadata.advertise({
    introspection_endpoint: '/introspect',
    introspection_endpoint_auth_methods_supported: CLIENT_AUTHENTICATION_METHODS.filter(
      (method) => method !== 'none',
    ),
    introspection_endpoint_auth_signing_alg_values_supported: CLIENT_ASSERTION_ALGORITHMS,
  })

  app.post(
    '/introspect',
    {
      schema: {
        operationId: 'introspectToken',
        summary: 'Ask what a token is worth now',
        description:
          'RFC 7662. What is not active, or not for the caller to know, is `{"active":false}`.',
        tags: ['Tokens'],
        security: [{ client: [] }, {}],
        // JSON is taken as well, for libraries that send it (`installJsonBodies`).
        consumes: ['application/x-www-form-urlencoded'],
        body: TokenQuery,
        response: {
          200: IntrospectionResponse,
          ...errors(
            {
              ...BODY_ERRORS,
              401: 'The caller did not authenticate (`invalid_client`)',
              429: 'Too many failures; `Retry-After` tells when to try again (`temporarily_unavailable`)',
            },
            { challenge: true },
          ),
        },
      },
      config: { crossOrigin: true },
    },
    async (request) => {
      const { token } = request.body
      const resource = await app.authenticateResource(request)
      if (resource !== undefined) {
        return (await describeAccessToken(token, isFor(resource))) ?? { active: false }
      }
      const client = await app.authenticateClient(request)
      // RFC 7662 section 4: a public client's id is no secret, anybody could ask in its name.
      if (client.token_endpoint_auth_method === 'none') {
        throw invalidClient('A public client may not introspect')
      }
      return (
        (await describeAccessToken(token, isOf(client))) ??
        (await describeRefreshToken(token, client)) ?? { active: false }
      )
    },
  )

  async function describeAccessToken(
    token: string,
    concerns: (claims: AccessTokenClaims) => boolean,
  ): Promise<IntrospectionResponse | undefined> {
    const claims = await app.tokens.readAccessToken(token)
    if (claims === undefined || !concerns(claims)) return undefined
    if (!(await app.store.grants.isAlive(claims))) return undefined
    const username = await usernameOf(claims)
    return { active: true, ...claims, ...username, token_type: 'Bearer' }
  }

  /** How people know whom the token stands for (RFC 7662 section 2.2): by the owner's address. */
  async function usernameOf({
    scope,
    grant_id,
  }: Pick<AccessTokenClaims, 'scope' | 'grant_id'>): Promise<{ username?: string }> {
    if (grant_id === undefined || !scopeWords(scope).includes('email')) return {}
    const owner = await app.store.grants.findOwnerClaims(grant_id)
    return owner === undefined ? {} : { username: owner.email }
  }

  async function describeRefreshToken(
    token: string,
    { client_id }: Client,
  ): Promise<IntrospectionResponse | undefined> {
    const presented = app.tokens.openRefreshToken(token)
    const grant = presented && (await app.store.grants.find(presented.grant_id))
    if (
      grant === undefined ||
      grant.client_id !== client_id ||
      grant.revoked_at !== null ||
      grant.refresh_generation !== presented?.generation ||
      grant.expires_at <= app.clock.now()
    ) {
      return undefined
    }
    return {
      active: true,
      scope: grant.scope,
      client_id,
      ...describeSubject(grant),
      ...(await usernameOf(grant)),
      ...describeModel(grant),
      iss: app.settings.ISSUER,
      iat: grant.refreshed_at ?? grant.created_at,
      exp: grant.expires_at,
      token_type: 'refresh_token',
    }
  }
}

export default fp(introspect, {
  name: 'oauth/introspect',
  encapsulate: true,
  decorators: {
    fastify: [
      'authenticateClient',
      'authenticateResource',
      'clock',
      'metadata',
      'settings',
      'store',
      'tokens',
    ],
  },
})

function isOf({ client_id }: Client) {
  return (claims: AccessTokenClaims) => claims.client_id === client_id
}

function isFor({ uri }: Resource) {
  return ({ aud }: AccessTokenClaims) => [aud].flat().includes(uri)
}
