import type { FastifyInstance } from 'fastify'
import type { ClientCredentialsRequest, TokenResponse } from '../../../schemas/token.ts'
import type { Client } from '../../core/core.ts'
import { OAuthError } from '../../core/http/errors.ts'
import { accessTokenAlg, audienceOf, findTarget } from '../../core/registry/resources.ts'

/**
 * An access token for the client itself, without any agent (RFC 6749 section 4.4): for a resource's
 * scopes that the operator has registered for the client, by default all of them. The client is its
 * subject (RFC 9068 section 5); no refresh token (RFC 6749 section 4.4.3). It hangs from no grant and
 * ends when the client is disabled.
 */
export async function issueToClient(
  app: Pick<FastifyInstance, 'log' | 'settings' | 'store' | 'tokens'>,
  client: Client,
  { scope, resource }: ClientCredentialsRequest,
): Promise<TokenResponse> {
  const { client_id, default_resource: defaultResource, origin } = client
  if (client.token_endpoint_auth_method === 'none') {
    throw new OAuthError('unauthorized_client', 'A public client cannot act for itself', {
      websiteError: 'grant-type',
    })
  }
  const registered = client.scope ?? ''
  const wish = { scope: scope ?? registered, resource }
  const limits = { own: [], refreshable: false, registered, defaultResource, origin }
  const target = await findTarget(app, wish, limits)
  app.log.info({ client_id, scope: target.scope }, 'token issued to a client for itself')
  return {
    access_token: await app.tokens.signAccessToken({
      client_id,
      scope: target.scope,
      aud: audienceOf(target, app.settings),
      alg: accessTokenAlg(target.resources, app.settings),
    }),
    token_type: 'Bearer',
    expires_in: app.settings.ACCESS_TOKEN_TTL,
    scope: target.scope,
  }
}
