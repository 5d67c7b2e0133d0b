import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { CheckStatusQuery, CheckStatusResponse } from '../../schemas/check-status.ts'
import type { AuthorizationRequestState } from '../core/core.ts'
import { OAuthError } from '../core/http/errors.ts'
import { authorizationResponse } from '../core/sign-in/authorization-response.ts'

/** For how many seconds an answer can be held. */
const MAX_WAIT = 25

/**
 * GET /api/check-status: where an authorization request stands. The code goes to nobody but whoever
 * opened the request: a browser proves that with its cookie; something that was no browser, and so
 * keeps no cookie, by knowing the request id. Where the agent asked for the code to be delivered to
 * it alone, nobody gets it here.
 */
const checkStatus: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/api/check-status',
    {
      schema: {
        summary: 'Ask where an authorization request stands',
        description: 'The code goes to nobody but whoever opened the request.',
        tags: ['Agents'],
        querystring: CheckStatusQuery,
        response: { 200: CheckStatusResponse },
      },
      config: {
        crossOrigin: true,
        answers: {
          400: 'The request_id is missing (`invalid_request`)',
          404: 'There is no such request (`not_found`)',
        },
      },
    },
    async (request, reply) => {
      const { request_id, wait = '0' } = request.query
      let found = await find(request_id)
      const now = app.clock.now()
      const seconds = Math.min(Number(wait), MAX_WAIT, found.expires_at - now)
      if (found.grant_id === null && seconds > 0) {
        await app.requestWatch.changed(request_id, seconds * 1000)
        found = await find(request_id)
      }
      reply.header('cache-control', 'no-store')
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
    const { request_id, grant_id, code_expires_at, redirect_uri, state } = found
    if (grant_id === null || code_expires_at === null) {
      return found.expires_at <= now ? expired : { status: 'pending' }
    }
    if (found.redeemed_at === null && found.grant_revoked_at !== null) return denied
    if (found.deliver === 'agent') return { status: 'completed', deliver: 'agent' }
    if (found.redeemed_at !== null) return { status: 'completed' }
    if (code_expires_at <= now) return expired
    if (!isOpener(found, request)) {
      return { status: found.completed_at === null ? 'authenticated' : 'completed' }
    }
    if (found.completed_at === null) await app.store.authorizationRequests.complete(request_id, now)
    const code = app.tokens.sealCode(request_id)
    const iss = app.settings.ISSUER
    const response = authorizationResponse(found, { code, state, iss })
    if (found.browser_hash !== null) return { status: 'completed', ...response }
    return { status: 'completed', ...response, code, state: state ?? undefined, redirect_uri }
  }

  function isOpener({ browser_hash }: AuthorizationRequestState, request: FastifyRequest): boolean {
    return browser_hash === null || app.browserCookie.matches(request, browser_hash)
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
  error_description: 'The sign-in was revoked',
}
