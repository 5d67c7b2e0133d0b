import { randomBytes } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Client } from '../../db/store.ts'
import { type AuthorizationRequestFacts, AuthorizeQuery } from '../../schemas/authorize.ts'
import { matchesRedirectUri, redirectHost } from '../../schemas/client.ts'
import { IDENTITY_SCOPES } from '../../schemas/scope.ts'
import { AGENT_AUTHENTICATION_METHODS } from '../core/agent-authentication.ts'
import { authorizationResponse } from '../core/authorization-response.ts'
import { OAuthError, sendError, toOAuthError } from '../core/errors.ts'
import { findTarget, type Target } from '../core/resources.ts'
import { newId } from '../core/secrets.ts'
import { errorPage } from '../pages/error.ts'
import { pageHeaders } from '../pages/layout.ts'
import { waitingPage } from '../pages/waiting.ts'

/**
 * GET /authorize: opens an authorization request and shows the page that waits for an agent (RFC
 * 6749 section 4.1.1, with PKCE S256 always, RFC 7636). Nothing is redirected until the client and
 * the redirect URI are known good; after that, errors go to the redirect URI (section 4.1.2.1).
 */
const authorize: FastifyPluginAsyncTypebox = async (app) => {
  app.metadata.advertise({
    authorization_endpoint: '/authorize',
    response_types_supported: ['code'],
    response_modes_supported: ['query'],
    grant_types_supported: ['authorization_code'],
    code_challenge_methods_supported: ['S256'],
    scopes_supported: IDENTITY_SCOPES,
    authorization_response_iss_parameter_supported: true,
  })
  app.metadata.advertiseFrom(async () => {
    const resources = await app.store.resources.list()
    return {
      scopes_supported: resources.flatMap(({ scopes }) => scopes),
      // RFC 9728 section 4.
      protected_resources: resources.map(({ uri }) => uri),
    }
  })

  app.setErrorHandler((error, request, reply) => {
    if (wantsJson(request)) return sendError(error, request, reply)
    const { status, message, headers } = toOAuthError(error)
    if (status >= 500) request.log.error({ err: error }, message)
    const nonce = randomBytes(16).toString('base64')
    return reply
      .code(status)
      .headers(pageHeaders(nonce))
      .headers(headers)
      .send(errorPage(message, nonce))
  })

  app.get(
    '/authorize',
    { schema: { querystring: AuthorizeQuery }, attachValidation: true, exposeHeadRoute: false },
    async (request, reply) => {
      const { client, redirect_uri } = await findClient(request.query)
      let target: Target
      try {
        if (request.validationError) throw request.validationError
        assertSupported(request.query, client)
        target = await findTarget(app.store, request.query)
      } catch (error) {
        if (wantsJson(request)) throw error
        const { code, message, status } = toOAuthError(error)
        if (status >= 500) throw error
        const state = typeof request.query.state === 'string' ? request.query.state : null
        const iss = app.settings.ISSUER
        return reply.redirect(
          authorizationResponse(redirect_uri, {
            error: code,
            error_description: message,
            state,
            iss,
          }),
          303,
        )
      }

      const request_id = newId('req_')
      const browser = isBrowser(request) ? app.browserCookie.readOrMake(request) : undefined
      const now = app.clock.now()
      const expires_in = app.settings.AUTHORIZATION_REQUEST_TTL
      await app.store.authorizationRequests.open({
        request_id,
        client_id: client.client_id,
        redirect_uri,
        scope: target.scope,
        resource: target.resources.map(({ normal_uri }) => normal_uri),
        state: request.query.state ?? null,
        nonce: request.query.nonce ?? null,
        code_challenge: request.query.code_challenge,
        browser_hash: browser === undefined ? null : app.browserCookie.hash(browser),
        created_at: now,
        expires_at: now + expires_in,
      })

      const facts: AuthorizationRequestFacts = {
        request_id,
        issuer: app.settings.ISSUER,
        client_id: client.client_id,
        client_name: client.client_name,
        redirect_host: redirectHost(redirect_uri),
        scope: target.scope,
        resource: target.resources.map(({ uri }) => uri),
        expires_in,
        authenticate_endpoint: app.metadata.url('/api/agent/authenticate'),
        check_status_endpoint: app.metadata.url('/api/check-status'),
        agent_authentication_methods: AGENT_AUTHENTICATION_METHODS,
      }
      if (browser !== undefined) app.browserCookie.set(reply, browser, expires_in)
      if (wantsJson(request)) return reply.header('cache-control', 'no-store').send(facts)
      const nonce = randomBytes(16).toString('base64')
      return reply.headers(pageHeaders(nonce)).send(waitingPage(facts, nonce))
    },
  )

  /** Who asks and where the answer may go. What is wrong here is shown and never redirected. */
  async function findClient(query: Record<string, unknown>) {
    const { client_id, redirect_uri } = query
    if (typeof client_id !== 'string')
      throw new OAuthError('invalid_request', problem('client_id', client_id))
    const client = await app.store.clients.find(client_id)
    if (client === undefined || client.disabled_at !== null) {
      throw new OAuthError('invalid_request', 'No website with this client_id is registered here')
    }
    const [only, another] = client.redirect_uris
    if (redirect_uri === undefined && only !== undefined && another === undefined) {
      return { client, redirect_uri: only }
    }
    if (typeof redirect_uri !== 'string') {
      throw new OAuthError('invalid_request', problem('redirect_uri', redirect_uri))
    }
    if (!client.redirect_uris.some((registered) => matchesRedirectUri(redirect_uri, registered))) {
      throw new OAuthError('invalid_request', 'The redirect_uri is not registered for this website')
    }
    return { client, redirect_uri }
  }
}

export default fp(authorize, {
  name: 'oauth/authorize',
  encapsulate: true,
  decorators: { fastify: ['browserCookie', 'clock', 'metadata', 'settings', 'store'] },
})

function problem(name: string, value: unknown): string {
  return value === undefined ? `${name} is required` : `${name} must be given only once`
}

function assertSupported(query: AuthorizeQuery, client: Client): void {
  if (query.response_type !== 'code') {
    throw new OAuthError('unsupported_response_type', 'The only response_type is code')
  }
  if (!client.grant_types.includes('authorization_code')) {
    throw new OAuthError('unauthorized_client', 'This client may not use authorization codes')
  }
  // RFC 7636 section 4.3: no method means plain.
  if (query.code_challenge_method !== 'S256') {
    throw new OAuthError('invalid_request', 'code_challenge_method must be S256')
  }
}

/** Fetch Metadata: a browser that navigates says so, and scripts cannot (W3C Fetch Metadata). */
function isBrowser(request: FastifyRequest): boolean {
  return request.headers['sec-fetch-mode'] === 'navigate'
}

function wantsJson(request: FastifyRequest): boolean {
  const accept = request.headers.accept ?? ''
  return accept.includes('application/json') && !accept.includes('text/html')
}
