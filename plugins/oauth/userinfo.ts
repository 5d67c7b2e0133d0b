import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { IDENTITY_SCOPES } from '../../schemas/scope.ts'
import { UserinfoResponse } from '../../schemas/userinfo.ts'
import { invalidToken } from '../core/callers/bearer.ts'

/**
 * GET and POST /userinfo: the e-mail address of the agent's owner (OpenID Connect Core 5.3), for
 * access tokens that are for this server (RFC 9068 section 4).
 */
const userinfo: FastifyPluginAsyncTypebox = async (app) => {
  app.metadata.advertise({ userinfo_endpoint: '/userinfo' })

  app.route({
    method: ['GET', 'POST'],
    url: '/userinfo',
    schema: {
      summary: "Read the e-mail address of the agent's owner",
      description: 'OpenID Connect Core section 5.3. Nothing else about a person is known.',
      tags: ['Sign-in'],
      security: [{ accessToken: [] }],
      response: { 200: UserinfoResponse },
    },
    config: {
      crossOrigin: true,
      answers: {
        400: 'The access token was sent twice (`invalid_request`)',
        401: 'The access token is missing, malformed, expired, revoked or for an API alone (`invalid_token`)',
        403: 'The access token has none of the scopes that are needed (`insufficient_scope`)',
      },
    },
    handler: async (request) => {
      const { sub } = await app.authenticateBearer(request, IDENTITY_SCOPES)
      const agent = await app.store.agents.find(sub)
      if (agent === undefined) throw invalidToken()
      return { sub, email: agent.email, email_verified: agent.email_verified }
    },
  })
}

export default fp(userinfo, {
  name: 'oauth/userinfo',
  encapsulate: true,
  decorators: { fastify: ['authenticateBearer', 'metadata', 'store'] },
})
