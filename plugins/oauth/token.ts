import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { BODY_ERRORS, errors } from '../../schemas/answers.ts'
import { AGENT_ACR, ID_TOKEN_SIGNING_ALGS, PERSON_ACR } from '../../schemas/openid.ts'
import { TokenRequest, TokenResponse } from '../../schemas/token.ts'
import { CLIENT_ASSERTION_ALGORITHMS } from '../core/callers/client-assertion.ts'
import type { Client } from '../core/core.ts'
import { OAuthError } from '../core/http/errors.ts'
import { CLIENT_AUTHENTICATION_METHODS } from '../core/registry/client-metadata.ts'
import { redeemAuthorizationCode } from './grants/authorization-code.ts'
import { issueToClient } from './grants/client-credentials.ts'
import { refresh } from './grants/refresh-token.ts'

export type GrantHandler<R extends TokenRequest> = (
  app: Pick<
    FastifyInstance,
    'audit' | 'clock' | 'log' | 'settings' | 'store' | 'tokens' | 'verifyPkce'
  >,
  client: Client,
  request: R,
  /** The caller's network address. */
  address: string,
) => Promise<TokenResponse>

const grants: {
  [Type in TokenRequest['grant_type']]: GrantHandler<Extract<TokenRequest, { grant_type: Type }>>
} = {
  authorization_code: redeemAuthorizationCode,
  refresh_token: refresh,
  client_credentials: issueToClient,
}

/** What an ID Token can say (OpenID Connect Discovery section 3). */
const ID_TOKEN_CLAIMS = [
  'iss',
  'sub',
  'aud',
  'exp',
  'iat',
  'auth_time',
  'nonce',
  'at_hash',
  'acr',
  'amr',
  'model',
  'agent_id',
  'email',
  'email_verified',
  'sid',
]

/**
 * POST /token: exchanges a grant for tokens (RFC 6749 section 3.2). Takes forms, and JSON from
 * libraries that know no better.
 */
const token: FastifyPluginAsyncTypebox = async (app) => {
  app.metadata.advertise({
    token_endpoint: '/token',
    grant_types_supported: Object.keys(grants),
    token_endpoint_auth_methods_supported: CLIENT_AUTHENTICATION_METHODS,
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ID_TOKEN_SIGNING_ALGS,
    acr_values_supported: [AGENT_ACR, PERSON_ACR],
    claims_supported: ID_TOKEN_CLAIMS,
    refresh_token_expiration_types_supported: [
      'token_timeout',
      ...(app.settings.GRANT_TTL > 0 ? ['authorization'] : []),
    ],
    token_endpoint_auth_signing_alg_values_supported: CLIENT_ASSERTION_ALGORITHMS,
  })
  app.keys.provide(ID_TOKEN_SIGNING_ALGS)

  app.post(
    '/token',
    {
      schema: {
        operationId: 'requestToken',
        summary: 'Exchange a grant for tokens',
        description: 'RFC 6749 section 3.2. A code and a refresh token work once.',
        tags: ['Tokens'],
        security: [{ client: [] }, {}],
        // JSON is taken as well, for libraries that send it (`installJsonBodies`).
        consumes: ['application/x-www-form-urlencoded'],
        body: TokenRequest,
        response: {
          200: TokenResponse,
          ...errors(
            {
              ...BODY_ERRORS,
              400: 'The request or its grant is not good: `invalid_request`, `invalid_grant`, `invalid_scope`, `invalid_target`, `unauthorized_client`, `unsupported_grant_type`',
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
      const { grant_type } = request.body
      if (!client.grant_types.includes(grant_type)) {
        throw new OAuthError('unauthorized_client', `This client may not use ${grant_type}`, {
          websiteError: 'grant-type',
        })
      }
      const grant = grants[grant_type] as GrantHandler<TokenRequest>
      return await grant(app, client, request.body, request.ip)
    },
  )
}

export default fp(token, {
  name: 'oauth/token',
  encapsulate: true,
  decorators: {
    fastify: [
      'audit',
      'authenticateClient',
      'clock',
      'keys',
      'metadata',
      'settings',
      'store',
      'tokens',
      'verifyPkce',
    ],
  },
})
