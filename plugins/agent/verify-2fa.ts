import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { BODY_ERRORS, errors } from '../../schemas/answers.ts'
import { AuthenticateResponse } from '../../schemas/authenticate.ts'
import { VerifyBody } from '../../schemas/verify-2fa.ts'
import { invalidCredentials, readAgentCredentials } from '../core/callers/agent-authentication.ts'
import type { Approval, AuthorizationRequestState } from '../core/core.ts'
import { OAuthError } from '../core/http/errors.ts'
import { readName } from '../core/registry/names.ts'

/**
 * POST /api/agent/verify-2fa: brings the code that the owner was sent, for libraries that do not send
 * it to authenticate as `approval_code`. The answer is the one that authenticate would have given.
 * Without the agent's proof a code is good only for an agent that has nothing better than its secret
 * and did not ask for the code of the sign-in to go to it alone.
 */
const verify2fa: FastifyPluginAsyncTypebox = async (app) => {
  app.metadata.advertiseOwn({ agent_approval_endpoint: '/api/agent/verify-2fa' })

  app.post(
    '/api/agent/verify-2fa',
    {
      schema: {
        operationId: 'verifyApproval',
        summary: "Bring the owner's approval",
        description:
          "The code that the owner was sent signs the agent in that waits for it. Send the agent's proof with it; it is required of an agent that has a key or asked with `deliver`.",
        tags: ['Agents'],
        security: [],
        body: VerifyBody,
        response: {
          200: AuthenticateResponse,
          ...errors({
            ...BODY_ERRORS,
            400: 'The code is wrong or was used (`invalid_grant`), or no approval was asked (`invalid_request`)',
            401: 'The agent did not prove itself (`invalid_credentials`)',
            403: 'The owner denied it, or too many codes were wrong (`access_denied`)',
            404: 'The request_id is unknown or has expired (`invalid_request`)',
            409: 'The request was authenticated already (`invalid_request`)',
            429: 'Too many failures; `Retry-After` tells when to try again (`temporarily_unavailable`)',
          }),
        },
      },
      config: { errorMembers: { success: false } },
    },
    async (request): Promise<AuthenticateResponse> => {
      const { request_id } = request.body
      const body = { ...request.body, model: readName('model', request.body.model) }
      const pending = await app.agentSignIn.findPending(request_id)
      const { agent_secret, agent_assertion } = body
      return agent_secret === undefined && agent_assertion === undefined
        ? await verifyUnproved(body, pending, request.ip)
        : await verifyProved(body, pending, request.ip)
    },
  )

  async function verifyProved(
    body: VerifyBody,
    pending: AuthorizationRequestState,
    address: string,
  ): Promise<AuthenticateResponse> {
    const { request_id, model, code } = body
    const credentials = readAgentCredentials(body)
    const { agent_id, method } = credentials
    const { client_id } = pending
    const event = { event: 'approval', agent_id, client_id, model, method, address } as const
    const { approval, description } = await app.audit.recordRefusals(event, async (tell) => {
      await app.authenticateAgent(credentials, pending, address)
      const approval = await app.approvals.find(request_id, agent_id)
      if (approval === undefined) throw notAsked()
      assertModel(approval, model)
      const description = await app.describeSignIn(pending, { ...approval, address })
      tell(description)
      await app.policies.decide(approval, pending, description)
      return { approval, description }
    })
    const signIn = { request_id, agent_id, model, deliver: approval.deliver }
    const authentication = app.agentSignIn.prepare(
      { ...signIn, amr: `${method} approval` },
      address,
      description,
    )
    const result = await app.approvals.verify(authentication, code, { client_id, method })
    return app.agentSignIn.conclude(authentication, result)
  }

  /**
   * Nobody has said which agent this is of: whoever waits for this request. Of several, one with
   * another code must not be in the way of the right one.
   */
  async function verifyUnproved(
    { request_id, agent_id, model, code }: VerifyBody,
    pending: AuthorizationRequestState,
    address: string,
  ): Promise<AuthenticateResponse> {
    const asked = (await app.approvals.listOfRequest(request_id)).filter(
      (each) => agent_id === undefined || each.agent_id === agent_id,
    )
    const [first] = asked
    if (first === undefined) {
      await app.throttle.countFailure({ id: 'verify-2fa', address })
      throw notAsked()
    }
    const ofModel = asked.filter((each) => each.model === model)
    if (ofModel.length === 0) assertModel(first, model)
    let refusal = invalidCredentials()
    for (const approval of ofModel) {
      try {
        await assertNeedsNoProof(approval)
        return await signIn(approval)
      } catch (error) {
        if (!(error instanceof OAuthError)) throw error
        refusal = error
      }
    }
    throw refusal

    async function signIn(approval: Approval): Promise<AuthenticateResponse> {
      const description = await app.describeSignIn(pending, approval)
      await app.policies.decide(approval, pending, description)
      const { agent_id, deliver, method } = approval
      const authentication = app.agentSignIn.prepare(
        { request_id, agent_id, model, deliver, amr: `${method} approval` },
        address,
        description,
      )
      const result = await app.approvals.verifyUnproved(authentication, code, {
        client_id: pending.client_id,
        method,
      })
      return app.agentSignIn.conclude(authentication, result)
    }
  }

  async function assertNeedsNoProof({ agent_id, deliver }: Approval): Promise<void> {
    const agent = await app.store.agents.findWithKeys(agent_id)
    if (agent === undefined || agent.disabled_at !== null) throw invalidCredentials()
    if (deliver === 'agent' || agent.keys.length > 0) throw invalidCredentials()
  }
}

export default fp(verify2fa, {
  name: 'agent/verify-2fa',
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
      'throttle',
    ],
  },
})

function assertModel(approval: Approval, model: string): void {
  if (approval.model === model) return
  throw new OAuthError('invalid_request', 'The approval was asked for another model')
}

function notAsked(): OAuthError {
  return new OAuthError('invalid_request', 'No approval was asked for this request')
}
