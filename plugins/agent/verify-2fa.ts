import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { AuthenticateResponse } from '../../schemas/authenticate.ts'
import { VerifyBody } from '../../schemas/verify-2fa.ts'
import { OAuthError } from '../core/errors.ts'

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
      schema: { body: VerifyBody, response: { 200: AuthenticateResponse } },
      config: { errorMembers: { success: false } },
    },
    async (request, reply): Promise<AuthenticateResponse> => {
      const { request_id, code, model } = request.body
      const { ip: address } = request
      const method = 'approval_code'
      reply.header('cache-control', 'no-store')

      const pending = await app.agentSignIn.findPending(request_id)
      const { client_id } = pending
      const approval = await app.approvals.find(request_id)
      if (approval === undefined) {
        app.throttle.countFailure({ id: 'verify-2fa', address })
        throw new OAuthError('invalid_request', 'No approval was asked for this request')
      }
      const { agent_id, deliver } = approval
      if (approval.model !== model) {
        throw new OAuthError('invalid_request', 'The approval was asked for another model')
      }

      const event = { event: 'approval', agent_id, client_id, model, method, address } as const
      return await app.audit.recordRefusals(event, async () => {
        const signIn = { request_id, agent_id, model, deliver }
        await app.policies.decide(signIn, pending)
        const authentication = app.agentSignIn.prepare(signIn, { method, address })
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
