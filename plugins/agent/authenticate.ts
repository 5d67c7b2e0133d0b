import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import type { AuthorizationRequest } from '../../db/store.ts'
import { AuthenticateBody, AuthenticateResponse } from '../../schemas/authenticate.ts'
import { redirectHost } from '../../schemas/client.ts'
import { AGENT_AUTHENTICATION_METHODS, invalidCredentials } from '../core/agent-authentication.ts'
import { AGENT_KEY_ALGS } from '../core/agent-keys.ts'
import { authorizationResponse } from '../core/authorization-response.ts'
import { OAuthError } from '../core/errors.ts'
import { newId } from '../core/secrets.ts'

/**
 * POST /api/agent/authenticate: an agent proves itself and so authenticates an authorization
 * request, which only one agent can do, once. The waiting browser is sent on at the same moment, unless the agent asks that the code goes
 * to it alone: then a stranger's browser gains nothing by having opened the request.
 */
const authenticate: FastifyPluginAsyncTypebox = async (app) => {
  app.metadata.advertise({
    agent_authentication_endpoint: '/api/agent/authenticate',
    agent_authentication_methods_supported: AGENT_AUTHENTICATION_METHODS,
    agent_assertion_signing_alg_values_supported: AGENT_KEY_ALGS,
  })

  app.post(
    '/api/agent/authenticate',
    {
      schema: { body: AuthenticateBody, response: { 200: AuthenticateResponse } },
      config: { errorMembers: { success: false } },
    },
    async (request, reply): Promise<AuthenticateResponse> => {
      const { request_id, model, deliver = null } = request.body
      const pending = await findPending(request_id)
      const { agent, method } = await app.authenticateAgent(request.body, pending)
      const { agent_id } = agent
      assertExpected(request.body, pending)

      const now = app.clock.now()
      const authentication = await app.store.authorizationRequests.authenticate({
        request_id,
        agent_id,
        model,
        deliver,
        grant_id: newId('grant_'),
        now,
        code_expires_at: now + app.settings.AUTHORIZATION_CODE_TTL,
      })
      if (authentication.outcome === 'agent_disabled') throw invalidCredentials()
      if (authentication.outcome === 'authenticated_before') throw authenticatedBefore()
      if (authentication.outcome !== 'authenticated') throw unknownRequest()
      app.requestWatch.notify(request_id)

      const { client_id, redirect_uri, state, grant_id } = authentication.request
      request.log.info({ agent_id, client_id, grant_id, model, method }, 'agent authenticated')
      const code = app.tokens.sealCode(request_id)
      reply.header('cache-control', 'no-store')
      return {
        status: 'authenticated',
        success: true,
        message: 'The agent is authenticated',
        redirect_to: authorizationResponse(redirect_uri, { code, state, iss: app.settings.ISSUER }),
      }
    },
  )

  /** Spares the work of checking a secret for a request that cannot be authenticated any more. */
  async function findPending(request_id: string): Promise<AuthorizationRequest> {
    const found = await app.store.authorizationRequests.find(request_id)
    if (found === undefined) throw unknownRequest()
    if (found.grant_id !== null) throw authenticatedBefore()
    if (found.expires_at <= app.clock.now()) throw unknownRequest()
    return found
  }
}

export default fp(authenticate, {
  name: 'agent/authenticate',
  encapsulate: true,
  decorators: {
    fastify: [
      'authenticateAgent',
      'clock',
      'metadata',
      'requestWatch',
      'settings',
      'store',
      'tokens',
    ],
  },
})

/**
 * A request that a page showed may be anybody's: the agent says which site it set out for, and
 * another one gets nothing.
 */
function assertExpected(
  {
    expected_client_id,
    expected_redirect_host,
  }: Pick<AuthenticateBody, 'expected_client_id' | 'expected_redirect_host'>,
  { client_id, redirect_uri }: AuthorizationRequest,
): void {
  if (expected_client_id !== undefined && expected_client_id !== client_id) {
    throw new OAuthError('access_denied', 'The request is not of the expected_client_id')
  }
  if (
    expected_redirect_host !== undefined &&
    expected_redirect_host.toLowerCase() !== redirectHost(redirect_uri)
  ) {
    throw new OAuthError('access_denied', 'The request does not lead to the expected_redirect_host')
  }
}

function unknownRequest(): OAuthError {
  return new OAuthError('invalid_request', 'The request_id is unknown or has expired', {
    status: 404,
  })
}

function authenticatedBefore(): OAuthError {
  return new OAuthError('invalid_request', 'The request was authenticated already', { status: 409 })
}
