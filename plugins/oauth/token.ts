import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Client } from '../../db/store.ts'
import { TokenRequest, TokenResponse } from '../../schemas/token.ts'
import { CLIENT_AUTHENTICATION_METHODS } from '../core/client-authentication.ts'
import { OAuthError } from '../core/errors.ts'
import { redeemAuthorizationCode } from './grants/authorization-code.ts'
import { refresh } from './grants/refresh-token.ts'

export type GrantHandler<R extends TokenRequest> = (
  app: Pick<FastifyInstance, 'clock' | 'log' | 'settings' | 'store' | 'tokens' | 'verifyPkce'>,
  client: Client,
  request: R,
) => Promise<TokenResponse>

const grants: {
  [Type in TokenRequest['grant_type']]: GrantHandler<Extract<TokenRequest, { grant_type: Type }>>
} = {
  authorization_code: redeemAuthorizationCode,
  refresh_token: refresh,
}

/**
 * POST /token: exchanges a grant for tokens (RFC 6749 section 3.2). Takes forms, and JSON from
 * libraries that know no better.
 */
const token: FastifyPluginAsyncTypebox = async (app) => {
  app.metadata.advertise({
    token_endpoint: '/token',
    grant_types_supported: Object.keys(grants),
    token_endpoint_auth_methods_supported: CLIENT_AUTHENTICATION_METHODS,
  })

  app.post(
    '/token',
    {
      schema: { body: TokenRequest, response: { 200: TokenResponse } },
      config: { crossOrigin: true },
    },
    async (request, reply) => {
      const client = await app.authenticateClient(request)
      const { grant_type } = request.body
      if (!client.grant_types.includes(grant_type)) {
        throw new OAuthError('unauthorized_client', `This client may not use ${grant_type}`)
      }
      const grant = grants[grant_type] as GrantHandler<TokenRequest>
      const response = await grant(app, client, request.body)
      reply.header('cache-control', 'no-store')
      return response
    },
  )
}

export default fp(token, {
  name: 'oauth/token',
  encapsulate: true,
  decorators: {
    fastify: [
      'authenticateClient',
      'clock',
      'metadata',
      'settings',
      'store',
      'tokens',
      'verifyPkce',
    ],
  },
})
