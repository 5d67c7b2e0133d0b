import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { errors } from '../../schemas/answers.ts'
import { CheckStatusQuery, CheckStatusResponse } from '../../schemas/check-status.ts'
import { type AuthorizationRequestState, standing } from '../core/core.ts'
import { OAuthError } from '../core/http/errors.ts'
import { authorizationResponse } from '../core/sign-in/authorization-response.ts'

/** For how many seconds an answer can be held. */
const MAX_WAIT = 25

/**
 * GET /api/check-status: where an authorization request stands. The code goes to the browser that
 * opened the request, which proves it with its cookie. Where no browser did, the agent has the code
 * in its own answer: here it goes only to the polling libraries that the operator allows for the
 * client, since they prove nothing but that they know the request id. Where the agent asked for the
 * code to be delivered to it alone, nobody gets it here.
 */
const checkStatus: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/api/check-status',
    {
      schema: {
        operationId: 'checkStatus',
        summary: 'Ask where an authorization request stands',
        description:
          'The code goes to nobody but the browser that opened the request. Where none did, the agent has it in its own answer, unless the operator allows polling for the client.',
        tags: ['Agents'],
        security: [],
        querystring: CheckStatusQuery,
        response: {
          200: CheckStatusResponse,
          ...errors({
            400: 'The request_id is missing (`invalid_request`)',
            404: 'There is no such request (`not_found`)',
          }),
        },
      },
      config: { crossOrigin: true },
    },
    async (request) => {
      const { request_id, wait = '0' } = request.query
      let found = await find(request_id)
      const now = app.clock.now()
      const seconds = Math.min(Number(wait), MAX_WAIT, found.expires_at - now)
      if (standing(found, now) === 'pending' && seconds > 0) {
        await app.requestWatch.changed(request_id, seconds * 1000)
        found = await find(request_id)
      }
      return await answer(found, request)
    },
  )

  async function find(request_id: string): Promise<AuthorizationRequestState> {
    const found = await app.store.authorizationRequests.find(request_id)
    if (found === undefined) throw new OAuthError('not_found', 'There is no such request')
    return found
  }

  async function answer(
    found: AuthorizationRequestState,
    request: FastifyRequest,
  ): Promise<CheckStatusResponse> {
    const now = app.clock.now()
    const { request_id, redirect_uri, state } = found
    const stands = standing(found, now)
    if (stands === 'pending') return { status: 'pending' }
    if (stands === 'expired') return expired
    if (stands === 'revoked' || stands === 'denied') return denied
    // The page on which the owner consented goes on with the code, and no other.
    if (found.deliver === 'owner') return { status: 'completed' }
    if (found.deliver === 'agent') return { status: 'completed', deliver: 'agent' }
    if (stands === 'redeemed') return { status: 'completed' }
    if (stands === 'code expired') return expired
    const { browser_hash, client_id } = found
    if (browser_hash === null) {
      const client = await app.store.clients.find(client_id)
      if (client?.legacy_polling !== true) return notPolled
    } else if (!app.browserCookie.matches(request, browser_hash)) {
      return { status: stands === 'authenticated' ? 'authenticated' : 'completed' }
    }
    const code = app.tokens.sealCode(request_id)
    const iss = app.settings.ISSUER
    const response = authorizationResponse(found, { code, state, iss })
    if (stands === 'authenticated') await app.store.authorizationRequests.complete(request_id, now)
    if (browser_hash !== null) return { status: 'completed', ...response }
    return { status: 'completed', ...response, code, state: state ?? undefined, redirect_uri }
  }
}

export default fp(checkStatus, {
  name: 'agent/check-status',
  encapsulate: true,
  decorators: {
    fastify: ['browserCookie', 'clock', 'requestWatch', 'settings', 'store', 'tokens'],
  },
})

const expired: CheckStatusResponse = {
  status: 'error',
  error: 'request_expired',
  error_description: 'The request has expired, start the sign-in again',
}

const denied: CheckStatusResponse = {
  status: 'error',
  error: 'access_denied',
  error_description: 'The sign-in was refused or revoked',
}

/** What polling libraries take for a failure, with the way out for whoever reads it. */
const notPolled: CheckStatusResponse = {
  status: 'error',
  error: 'unauthorized_client',
  error_description:
    'The agent is signed in and has the code: redirect_to in the answer of /api/agent/authenticate. It can be polled here only where the operator allows that for the client (auth-agent client update --legacy-polling yes)',
}
