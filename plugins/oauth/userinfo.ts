import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { BODY_ERRORS, errors } from '../../schemas/answers.ts'
import { IDENTITY_GIVES, IDENTITY_RULE, IDENTITY_SCOPES } from '../../schemas/scope.ts'
import { UserinfoForm, UserinfoResponse } from '../../schemas/userinfo.ts'
import { invalidToken } from '../core/callers/bearer.ts'

/**
 * GET and POST /userinfo: the e-mail address of the agent's owner (OpenID Connect Core 5.3), for
 * access tokens that are for this server (RFC 9068 section 4).
 */
const userinfo: FastifyPluginAsyncTypebox = async (app) => {
  app.metadata.advertise({ userinfo_endpoint: '/userinfo' })

  const documentation = {
    description: `OpenID Connect Core section 5.3. ${IDENTITY_RULE}`,
    tags: ['Sign-in'],
    security: [{ accessToken: [] }],
  }
  const refusals = {
    400: 'The access token was sent twice (`invalid_request`)',
    401: 'The access token is missing, malformed, expired, revoked or for an API alone (`invalid_token`)',
    403: 'The access token has none of the scopes that are needed (`insufficient_scope`)',
  }
  app.get(
    '/userinfo',
    {
      schema: {
        ...documentation,
        operationId: 'readUserinfo',
        summary: `Read ${IDENTITY_GIVES}`,
        response: { 200: UserinfoResponse, ...errors(refusals, { challenge: true }) },
      },
      config: { crossOrigin: true },
    },
    describeOwner,
  )
  app.post(
    '/userinfo',
    {
      schema: {
        ...documentation,
        security: [...documentation.security, {}],
        operationId: 'postUserinfo',
        summary: `Read ${IDENTITY_GIVES}, with the token in a form`,
        // RFC 6750 section 2.2: only a form can carry the token.
        body: { content: { 'application/x-www-form-urlencoded': { schema: UserinfoForm } } },
        response: {
          200: UserinfoResponse,
          ...errors({ ...BODY_ERRORS, ...refusals }, { challenge: true }),
        },
      },
      config: { crossOrigin: true },
      preValidation: async (request) => {
        request.body ??= {}
      },
    },
    describeOwner,
  )

  async function describeOwner(
    request: Pick<FastifyRequest, 'headers' | 'body'>,
  ): Promise<UserinfoResponse> {
    const { sub, agent_id, grant_id } = await app.authenticateBearer(request, IDENTITY_SCOPES)
    const owner =
      grant_id === undefined ? undefined : await app.store.grants.findOwnerClaims(grant_id)
    if (owner === undefined) throw invalidToken()
    const { email, email_verified } = owner
    return { sub, ...(agent_id !== undefined && { agent_id }), email, email_verified }
  }
}

export default fp(userinfo, {
  name: 'oauth/userinfo',
  encapsulate: true,
  decorators: { fastify: ['authenticateBearer', 'metadata', 'store'] },
})
