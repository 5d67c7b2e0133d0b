import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { BODY_ERRORS, errors } from '../../schemas/answers.ts'
import { AuthenticateBody, AuthenticateOutcome, toDigits } from '../../schemas/authenticate.ts'
import type { SignInDescription } from '../../schemas/sign-in-description.ts'
import { isSameHost, isSite } from '../../schemas/site.ts'
import {
  AGENT_AUTHENTICATION_METHODS,
  type AgentCredentials,
  readAgentCredentials,
} from '../core/callers/agent-authentication.ts'
import type { AuthorizationRequestState } from '../core/core.ts'
import { OAuthError } from '../core/http/errors.ts'
import { AGENT_KEY_ALGS } from '../core/registry/agent-keys.ts'
import { readName } from '../core/registry/names.ts'

/**
 * POST /api/agent/authenticate: an agent proves itself and so authenticates an authorization
 * request, which one agent can do, once. Five steps: find the request, prove the agent, expect the
 * site, decide by policy and owner, grant the sign-in. The audit trail records a refusal of the three
 * in the middle. The waiting browser is sent on at the same moment, unless the agent asks that the
 * code goes to it alone: then a stranger's browser gains nothing by having opened the request. Where
 * the owner has to be asked first, the agent comes again with the owner's code or when the operator
 * has answered. A refusal leaves the request pending.
 */
const authenticate: FastifyPluginAsyncTypebox = async (app) => {
  app.metadata.advertiseOwn({
    agent_authentication_endpoint: '/api/agent/authenticate',
    agent_authentication_methods_supported: AGENT_AUTHENTICATION_METHODS,
    agent_assertion_signing_alg_values_supported: AGENT_KEY_ALGS,
  })

  app.post(
    '/api/agent/authenticate',
    {
      schema: {
        operationId: 'authenticateAgent',
        summary: 'Authenticate a request as an agent',
        description:
          'The agent proves itself, by secret or by key; whoever waits for the request is sent on. A request is authenticated once.',
        tags: ['Agents'],
        security: [],
        body: AuthenticateBody,
        response: {
          200: AuthenticateOutcome,
          ...errors({
            ...BODY_ERRORS,
            400: 'A member is missing or malformed (`invalid_request`), or the approval_code is wrong (`invalid_grant`)',
            401: 'The agent did not prove itself (`invalid_credentials`)',
            403: 'Another site than the agent expected, or one that its policy or owner refuses, or too many codes were wrong (`access_denied`; `reason` says which)',
            404: 'The request_id is unknown or has expired (`invalid_request`)',
            409: 'The request was authenticated already, or its approval was asked for another model (`invalid_request`)',
            429: 'Too many failures, or too many approvals asked; `Retry-After` tells when to try again (`temporarily_unavailable`)',
            503: 'The mail to the owner could not be sent, or the server is busy (`temporarily_unavailable`)',
          }),
        },
      },
      config: { errorMembers: { success: false } },
    },
    async (request): Promise<AuthenticateOutcome> => {
      const attempt = readAttempt(request.body, request.ip)
      const pending = await find(attempt)
      const decision = await app.audit.recordRefusals(eventOf(attempt, pending), async (tell) => {
        await prove(attempt, pending)
        const description = await app.describeSignIn(pending, {
          ...attempt.signIn,
          address: attempt.address,
        })
        tell(description)
        await expectSubject(attempt, pending)
        expect(attempt, description)
        return decide(attempt, pending, description)
      })
      return grant(attempt, pending, decision)
    },
  )

  /** Find: the request, which must still wait for an agent. */
  function find({ signIn }: Attempt): Promise<AuthorizationRequestState> {
    return app.agentSignIn.findPending(signIn.request_id)
  }

  /** Prove: the agent is who it says it is. */
  function prove({ credentials, address }: Attempt, pending: AuthorizationRequestState) {
    return app.authenticateAgent(credentials, pending, address)
  }

  /**
   * Expect: the website may have named the agent, or its owner, by an ID Token.
   * @throws {OAuthError} access_denied
   */
  async function expectSubject(
    { signIn: { agent_id } }: Attempt,
    { hinted_sub }: AuthorizationRequestState,
  ): Promise<void> {
    if (hinted_sub === null || hinted_sub === agent_id) return
    if ((await app.store.agents.find(agent_id))?.owner_id === hinted_sub) return
    throw new OAuthError('access_denied', 'The website expects another agent (id_token_hint)', {
      reason: 'agent',
    })
  }

  /** Decide: what the agent's policy and, where that says so, its owner allow. */
  async function decide(
    { signIn, credentials, address, code }: Attempt,
    pending: AuthorizationRequestState,
    description: SignInDescription,
  ): Promise<Decision> {
    const decision = await app.policies.decide(signIn, pending, description)
    if (decision === 'allowed') return { permission: decision, description }
    const asking = { ...signIn, ...decision.ask, method: credentials.method, address }
    const permission = await app.approvals.ask(asking, pending, description, code)
    return { permission, description }
  }

  /** Grant: the sign-in, or the news that the owner was asked first. */
  async function grant(
    { signIn, credentials: { method }, address, code }: Attempt,
    { client_id }: AuthorizationRequestState,
    { permission, description }: Decision,
  ): Promise<AuthenticateOutcome> {
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
  }
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

/** What an agent sent, read. */
interface Attempt {
  signIn: { request_id: string; agent_id: string; model: string; deliver: 'agent' | null }
  credentials: AgentCredentials
  /** The owner's code. */
  code: string | undefined
  expected: Pick<AuthenticateBody, 'expected_client_id' | 'expected_redirect_host'>
  address: string
}

interface Decision {
  permission: 'allowed' | Awaited<ReturnType<FastifyInstance['approvals']['ask']>>
  description: SignInDescription
}

/** @throws {OAuthError} invalid_request */
function readAttempt(body: AuthenticateBody, address: string): Attempt {
  const model = readName('model', body.model)
  const code = toDigits(body.approval_code)
  const credentials = readAgentCredentials(body)
  const { request_id, deliver = null } = body
  const signIn = { request_id, agent_id: credentials.agent_id, model, deliver }
  return { signIn, credentials, code, expected: body, address }
}

/** The attempt as the audit trail records it when it is refused. */
function eventOf(
  { signIn: { agent_id, model }, credentials: { method }, address }: Attempt,
  { client_id }: AuthorizationRequestState,
) {
  return { event: 'sign_in', agent_id, client_id, model, method, address } as const
}

/**
 * Expect: the request is for the site that the agent set out for, since a page can show anybody's
 * request. A host alone means a client that is known to belong to this host.
 * @throws {OAuthError} access_denied
 */
function expect(
  { expected: { expected_client_id, expected_redirect_host } }: Attempt,
  site: SignInDescription,
): void {
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
