import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import { BODY_ERRORS, errors } from '../../schemas/answers.ts'
import { TokenQuery } from '../../schemas/introspect.ts'
import { CLIENT_ASSERTION_ALGORITHMS } from '../core/callers/client-assertion.ts'
import type { Client } from '../core/core.ts'
import { OAuthError } from '../core/http/errors.ts'
import { CLIENT_AUTHENTICATION_METHODS } from '../core/registry/client-metadata.ts'

/**
 * POST /revoke: ends a client's token (RFC 7009). A refresh token takes its whole grant along, an
 * access token only itself. What is unknown is as good as revoked: 200.
 */
const revoke: FastifyPluginAsyncTypebox = async (app) => {
  app.metadata.advertise({
    revocation_endpoint: '/revoke',
    revocation_endpoint_auth_methods_supported: CLIENT_AUTHENTICATION_METHODS,
    revocation_endpoint_auth_signing_alg_values_supported: CLIENT_ASSERTION_ALGORITHMS,
  })

  app.post(
    '/revoke',
    {
      schema: {
        operationId: 'revokeToken',
        summary: 'Revoke a token',
        description:
          'RFC 7009. A refresh token takes everything that its sign-in gave along; an access token only itself.',
        tags: ['Tokens'],
        security: [{ client: [] }, {}],
        // JSON is taken as well, for libraries that send it (`installJsonBodies`).
        consumes: ['application/x-www-form-urlencoded'],
        body: TokenQuery,
        response: {
          200: Type.Object({}, { description: 'The token is revoked, or was never good' }),
          ...errors(
            {
              ...BODY_ERRORS,
              400: 'The request is malformed (`invalid_request`) or the token is of another client (`unauthorized_client`)',
              401: 'The client did not authenticate (`invalid_client`)',
              429: 'Too many failures; `Retry-After` tells when to try again (`temporarily_unavailable`)',
            },
            { challenge: true },
          ),
        },
      },
      config: { crossOrigin: true },
    },
    async (request) => {
      const client = await app.authenticateClient(request)
      const { token } = request.body
      if (!(await revokeAccessToken(token, client))) {
        await revokeRefreshToken(token, client, request.ip)
      }
      // Section 2.2: only the status counts, but many clients parse every body as JSON.
      return {}
    },
  )

  async function revokeAccessToken(token: string, client: Client): Promise<boolean> {
    const claims = await app.tokens.readAccessToken(token)
    if (claims === undefined) return false
    assertOwn(claims, client)
    await app.store.grants.revokeAccessToken(claims.jti, claims.exp)
    return true
  }

  async function revokeRefreshToken(token: string, client: Client, address: string): Promise<void> {
    const presented = app.tokens.openRefreshToken(token)
    const grant = presented && (await app.store.grants.find(presented.grant_id))
    if (grant === undefined) return
    assertOwn(grant, client)
    if (await app.store.grants.revoke(grant.grant_id, app.clock.now())) {
      await app.audit.recordRevocation(grant.grant_id, 'The website revoked it', address)
    }
  }
}

export default fp(revoke, {
  name: 'oauth/revoke',
  encapsulate: true,
  decorators: { fastify: ['audit', 'authenticateClient', 'clock', 'metadata', 'store', 'tokens'] },
})

/** RFC 7009 section 2.1: the token was issued to the client that asks. */
function assertOwn({ client_id }: { client_id: string }, client: Client): void {
  if (client_id !== client.client_id) {
    throw new OAuthError('unauthorized_client', 'The token was issued to another client')
  }
}
