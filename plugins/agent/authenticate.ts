import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import {
  ApprovalRequired,
  AuthenticateBody,
  AuthenticateResponse,
  toDigits,
} from '../../schemas/authenticate.ts'
import { redirectHost } from '../../schemas/client.ts'
import {
  AGENT_AUTHENTICATION_METHODS,
  readAgentCredentials,
} from '../core/callers/agent-authentication.ts'
import type { AuthorizationRequestState } from '../core/core.ts'
import { OAuthError } from '../core/http/errors.ts'
import { AGENT_KEY_ALGS } from '../core/registry/agent-keys.ts'

/**
 * POST /api/agent/authenticate: an agent proves itself and so authenticates an authorization
 * request, which only one agent can do, once. The waiting browser is sent on at the same moment,
 * unless the agent asks that the code goes to it alone: then a stranger's browser gains nothing by
 * having opened the request. Where its owner has to be asked first, it waits for that, and comes
 * again with the owner's code or when the operator has answered. Whatever is refused leaves the
 * request pending.
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
      schema: {
        summary: 'Authenticate a request as an agent',
        description:
          'The agent proves itself, by secret or by key; whoever waits for the request is sent on. A request is authenticated once.',
        tags: ['Agents'],
        body: AuthenticateBody,
        response: { 200: Type.Union([AuthenticateResponse, ApprovalRequired]) },
      },
      config: {
        errorMembers: { success: false },
        answers: {
          400: 'A member is missing or malformed (`invalid_request`), or the approval_code is wrong (`invalid_grant`)',
          401: 'The agent did not prove itself (`invalid_credentials`)',
          403: 'Another site than the agent expected, or one that its policy or owner refuses, or too many codes were wrong (`access_denied`)',
          404: 'The request_id is unknown or has expired (`invalid_request`)',
          409: 'The request was authenticated already, or its approval was asked for another model (`invalid_request`)',
          429: 'Too many failures, or too many approvals asked; `Retry-After` tells when to try again (`temporarily_unavailable`)',
          503: 'The mail to the owner could not be sent (`temporarily_unavailable`)',
        },
      },
    },
    async (request, reply): Promise<AuthenticateResponse | ApprovalRequired> => {
      const { request_id, model, deliver = null } = request.body
      const { ip: address } = request
      const code = toDigits(request.body.approval_code)
      reply.header('cache-control', 'no-store')

      const credentials = readAgentCredentials(request.body)
      const { agent_id, method } = credentials
      const pending = await app.agentSignIn.findPending(request_id)
      const { client_id } = pending
      const signIn = { request_id, agent_id, model, deliver }

      const event = { event: 'sign_in', agent_id, client_id, model, method, address } as const
      const permission = await app.audit.recordRefusals(event, async () => {
        await app.authenticateAgent(credentials, pending, address)
        assertExpected(request.body, pending, agent_id)
        const decision = await app.policies.decide(signIn, pending)
        if (decision === 'allowed') return 'allowed'
        const { remember } = decision.ask
        return await app.approvals.ask({ ...signIn, method, remember, address }, pending, code)
      })
      if (typeof permission === 'object') return permission

      const amr = permission === 'allowed' ? method : `${method} approval`
      const authentication = app.agentSignIn.prepare({ ...signIn, amr }, address)
      if (permission === 'allowed') {
        const result = await app.store.authorizationRequests.authenticate(authentication)
        return app.agentSignIn.conclude(authentication, result)
      }
      const result =
        permission === 'code' && code !== undefined
          ? await app.approvals.verify(authentication, code, { client_id, method })
          : await app.approvals.authenticate(authentication)
      return app.agentSignIn.conclude(authentication, result)
    },
  )
}

export default fp(authenticate, {
  name: 'agent/authenticate',
  encapsulate: true,
  decorators: {
    fastify: [
      'agentSignIn',
      'approvals',
      'audit',
      'authenticateAgent',
      'metadata',
      'policies',
      'store',
    ],
  },
})

/**
 * A request that a page showed may be anybody's: the agent says which site it set out for, and
 * another one gets nothing. A website may say which agent it expects, too.
 */
function assertExpected(
  {
    expected_client_id,
    expected_redirect_host,
  }: Pick<AuthenticateBody, 'expected_client_id' | 'expected_redirect_host'>,
  { client_id, redirect_uri, hinted_agent_id }: AuthorizationRequestState,
  agent_id: string,
): void {
  if (hinted_agent_id !== null && hinted_agent_id !== agent_id) {
    throw new OAuthError('access_denied', 'The website expects another agent (id_token_hint)')
  }
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
