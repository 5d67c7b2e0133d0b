import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { AuthenticateBody, AuthenticateResponse } from '../../schemas/authenticate.ts'
import { invalidCredentials } from '../core/agent-authentication.ts'
import { authorizationResponse } from '../core/authorization-response.ts'
import type { AuthorizationRequestState } from '../core/core.ts'
import { OAuthError } from '../core/errors.ts'
import { newId } from '../core/secrets.ts'

/**
 * POST /api/agent/authenticate: an agent proves itself and so authenticates an authorization
 * request, which only one agent can do, once. The waiting browser is sent on at the same moment.
 */
const authenticate: FastifyPluginAsyncTypebox = async (app) => {
  app.metadata.advertise({ agent_authentication_endpoint: '/api/agent/authenticate' })

  app.post(
    '/api/agent/authenticate',
    {
      schema: {
        summary: 'Authenticate a request as an agent',
        description:
          'The agent proves itself; whoever waits for the request is sent on. A request is authenticated once.',
        tags: ['Agents'],
        body: AuthenticateBody,
        response: { 200: AuthenticateResponse },
      },
      config: {
        errorMembers: { success: false },
        answers: {
          400: 'A member is missing or malformed (`invalid_request`)',
          401: 'The agent_id or agent_secret is wrong (`invalid_credentials`)',
          404: 'The request_id is unknown or has expired (`invalid_request`)',
          409: 'The request was authenticated already (`invalid_request`)',
        },
      },
    },
    async (request, reply): Promise<AuthenticateResponse> => {
      const { request_id, model } = request.body
      const pending = await findPending(request_id)
      const { agent_id } = await app.authenticateAgent(request.body)
      if (pending.hinted_agent_id !== null && pending.hinted_agent_id !== agent_id) {
        throw new OAuthError('access_denied', 'The website expects another agent (id_token_hint)')
      }

      const now = app.clock.now()
      const authentication = await app.store.authorizationRequests.authenticate({
        request_id,
        agent_id,
        model,
        amr: 'agent_secret',
        grant_id: newId('grant_'),
        now,
        code_expires_at: now + app.settings.AUTHORIZATION_CODE_TTL,
      })
      if (authentication.outcome === 'agent_disabled') throw invalidCredentials()
      if (authentication.outcome === 'authenticated_before') throw authenticatedBefore()
      if (authentication.outcome !== 'authenticated') throw unknownRequest()
      app.requestWatch.notify(request_id)

      const { client_id, state, grant_id } = authentication.request
      request.log.info({ agent_id, client_id, grant_id, model }, 'agent authenticated')
      const code = app.tokens.sealCode(request_id)
      reply.header('cache-control', 'no-store')
      return {
        status: 'authenticated',
        success: true,
        message: 'The agent is authenticated',
        ...authorizationResponse(authentication.request, { code, state, iss: app.settings.ISSUER }),
      }
    },
  )

  /** Spares the work of checking a secret for a request that cannot be authenticated any more. */
  async function findPending(request_id: string): Promise<AuthorizationRequestState> {
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

function unknownRequest(): OAuthError {
  return new OAuthError('invalid_request', 'The request_id is unknown or has expired', {
    status: 404,
  })
}

function authenticatedBefore(): OAuthError {
  return new OAuthError('invalid_request', 'The request was authenticated already', { status: 409 })
}
