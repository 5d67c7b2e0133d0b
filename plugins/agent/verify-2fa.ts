import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { AuthenticateResponse } from '../../schemas/authenticate.ts'
import { VerifyBody } from '../../schemas/verify-2fa.ts'
import { OAuthError } from '../core/http/errors.ts'

/**
 * POST /api/agent/verify-2fa: an agent that has proved itself, and was told to wait for its owner's
 * approval, brings the code that the owner was sent. The answer is the one that authenticate would
 * have given.
 */
const verify2fa: FastifyPluginAsyncTypebox = async (app) => {
  app.metadata.advertise({ agent_approval_endpoint: '/api/agent/verify-2fa' })

  app.post(
    '/api/agent/verify-2fa',
    {
      schema: {
        summary: "Bring the owner's approval",
        description: 'The code that the owner was sent signs the agent in that waits for it.',
        tags: ['Agents'],
        body: VerifyBody,
        response: { 200: AuthenticateResponse },
      },
      config: {
        errorMembers: { success: false },
        answers: {
          400: 'The code is wrong or was used (`invalid_grant`), or no approval was asked (`invalid_request`)',
          403: 'The owner denied it, or too many codes were wrong (`access_denied`)',
          404: 'The request_id is unknown or has expired (`invalid_request`)',
          409: 'The request was authenticated already (`invalid_request`)',
          429: 'Too many failures; `Retry-After` tells when to try again (`temporarily_unavailable`)',
        },
      },
    },
    async (request, reply): Promise<AuthenticateResponse> => {
      const { request_id, code, model } = request.body
      const { ip: address } = request
      reply.header('cache-control', 'no-store')

      const pending = await app.agentSignIn.findPending(request_id)
      const { client_id } = pending
      const approval = await app.approvals.find(request_id)
      if (approval === undefined) {
        await app.throttle.countFailure({ id: 'verify-2fa', address })
        throw new OAuthError('invalid_request', 'No approval was asked for this request')
      }
      const { agent_id, deliver, method } = approval
      if (approval.model !== model) {
        throw new OAuthError('invalid_request', 'The approval was asked for another model')
      }

      const event = { event: 'approval', agent_id, client_id, model, method, address } as const
      return await app.audit.recordRefusals(event, async () => {
        const signIn = { request_id, agent_id, model, deliver }
        await app.policies.decide(signIn, pending)
        const authentication = app.agentSignIn.prepare(
          { ...signIn, amr: `${method} approval` },
          address,
        )
        const result = await app.approvals.verify(authentication, code)
        return app.agentSignIn.conclude(authentication, result)
      })
    },
  )
}

export default fp(verify2fa, {
  name: 'agent/verify-2fa',
  encapsulate: true,
  decorators: {
    fastify: ['agentSignIn', 'approvals', 'audit', 'metadata', 'policies', 'throttle'],
  },
})
