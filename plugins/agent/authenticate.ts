import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import fp from 'fastify-plugin'
import {
  ApprovalRequired,
  AuthenticateBody,
  AuthenticateResponse,
  toDigits,
} from '../../schemas/authenticate.ts'
import type { SignInDescription } from '../../schemas/sign-in-description.ts'
import { isSameHost, isSite } from '../../schemas/site.ts'
import {
  AGENT_AUTHENTICATION_METHODS,
  readAgentCredentials,
} from '../core/callers/agent-authentication.ts'
import type { AuthorizationRequestState } from '../core/core.ts'
import { OAuthError } from '../core/http/errors.ts'
import { AGENT_KEY_ALGS } from '../core/registry/agent-keys.ts'
import { readName } from '../core/registry/names.ts'

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
          403: 'Another site than the agent expected, or one that its policy or owner refuses, or too many codes were wrong (`access_denied`; `reason` says which)',
          404: 'The request_id is unknown or has expired (`invalid_request`)',
          409: 'The request was authenticated already, or its approval was asked for another model (`invalid_request`)',
          429: 'Too many failures, or too many approvals asked; `Retry-After` tells when to try again (`temporarily_unavailable`)',
          503: 'The mail to the owner could not be sent (`temporarily_unavailable`)',
        },
      },
    },
    async (request): Promise<AuthenticateResponse | ApprovalRequired> => {
      const { request_id, deliver = null } = request.body
      const model = readName('model', request.body.model)
      const { ip: address } = request
      const code = toDigits(request.body.approval_code)

      const credentials = readAgentCredentials(request.body)
      const { agent_id, method } = credentials
      const pending = await app.agentSignIn.findPending(request_id)
      const { client_id } = pending
      const signIn = { request_id, agent_id, model, deliver }

      const event = { event: 'sign_in', agent_id, client_id, model, method, address } as const
      const { permission, description } = await app.audit.recordRefusals(event, async (tell) => {
        await app.authenticateAgent(credentials, pending, address)
        const description = await app.describeSignIn(pending, { ...signIn, address })
        tell(description)
        assertExpected(request.body, pending, description, agent_id)
        const decision = await app.policies.decide(signIn, pending, description)
        if (decision === 'allowed') return { permission: decision, description }
        const { remember } = decision.ask
        const asking = { ...signIn, method, remember, address }
        const asked = await app.approvals.ask(asking, pending, description, code)
        return { permission: asked, description }
      })
      if (typeof permission === 'object') return permission

      const amr = permission === 'allowed' ? method : `${method} approval`
      const authentication = app.agentSignIn.prepare({ ...signIn, amr }, address, description)
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
      'describeSignIn',
      'metadata',
      'policies',
      'store',
    ],
  },
})

/**
 * A request that a page showed may be anybody's: the agent says which site it set out for, and
 * another one gets nothing. A host alone means a client that this host is known to stand for. A
 * website may say which agent it expects, too.
 */
function assertExpected(
  {
    expected_client_id,
    expected_redirect_host,
  }: Pick<AuthenticateBody, 'expected_client_id' | 'expected_redirect_host'>,
  { hinted_agent_id }: AuthorizationRequestState,
  site: SignInDescription,
  agent_id: string,
): void {
  if (hinted_agent_id !== null && hinted_agent_id !== agent_id) {
    throw new OAuthError('access_denied', 'The website expects another agent (id_token_hint)', {
      reason: 'agent',
    })
  }
  if (expected_client_id !== undefined && expected_client_id !== site.client_id) {
    throw new OAuthError('access_denied', 'The request is not of the expected_client_id', {
      reason: 'site',
    })
  }
  if (expected_redirect_host === undefined) return
  if (!isSameHost(expected_redirect_host, site.redirect_host)) {
    throw new OAuthError(
      'access_denied',
      'The request does not lead to the expected_redirect_host',
      { reason: 'site' },
    )
  }
  if (expected_client_id === undefined && !isSite(expected_redirect_host, site)) {
    throw new OAuthError(
      'access_denied',
      'Nobody has checked that the client belongs to the expected_redirect_host: name it by its expected_client_id',
      { reason: 'site' },
    )
  }
}
