import { randomBytes } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { AuthorizationRequestFacts, AuthorizeQuery } from '../../schemas/authorize.ts'
import { matchesRedirectUri } from '../../schemas/client.ts'
import { PROMPTS, RESPONSE_MODES } from '../../schemas/openid.ts'
import { IDENTITY_SCOPES, OFFLINE_ACCESS, scopeWords } from '../../schemas/scope.ts'
import { AGENT_AUTHENTICATION_METHODS } from '../core/callers/agent-authentication.ts'
import type { Client } from '../core/core.ts'
import { newId } from '../core/crypto/secrets.ts'
import { logError, OAuthError, sendError, toOAuthError } from '../core/http/errors.ts'
import { findTarget, storedResources, type Target } from '../core/registry/resources.ts'
import { assertRedirectUri, authorizationResponse } from '../core/sign-in/authorization-response.ts'
import { describe } from '../core/sign-in/description.ts'
import { errorPage } from '../pages/error.ts'
import { formPostPage } from '../pages/form-post.ts'
import { pageHeaders } from '../pages/layout.ts'
import { refusalPage } from '../pages/refusal.ts'
import { waitingPage } from '../pages/waiting.ts'

/** What a website may have kept with its request, in bytes. */
const MAX_STATE_AND_NONCE = 4096

/**
 * GET and POST /authorize: opens an authorization request and shows the page that waits for an agent
 * (RFC 6749 section 4.1.1, with PKCE S256 always, RFC 7636). Nothing is redirected until the client
 * and the redirect URI are known good; after that, errors go to the redirect URI (section 4.1.2.1) of
 * a client that the operator registered. Those of others are shown, and the person may follow the
 * link (RFC 9700 section 4.11.2). Of OpenID Connect (Core section 3.1.2.1), `max_age` and every
 * `prompt` but `none` are met by nature, since an agent authenticates afresh each time; `login_hint`,
 * `display`, `ui_locales`, `acr_values` and `claims` are accepted and change nothing.
 */
const authorize: FastifyPluginAsyncTypebox = async (app) => {
  app.metadata.advertise({
    authorization_endpoint: '/authorize',
    response_types_supported: ['code'],
    response_modes_supported: RESPONSE_MODES,
    grant_types_supported: ['authorization_code'],
    code_challenge_methods_supported: ['S256'],
    scopes_supported: [...IDENTITY_SCOPES, OFFLINE_ACCESS],
    authorization_response_iss_parameter_supported: true,
    prompt_values_supported: PROMPTS,
    claims_parameter_supported: false,
    request_parameter_supported: false,
    request_uri_parameter_supported: false,
    ...(app.settings.CLIENT_ID_METADATA_DOCUMENTS === 'on' && {
      client_id_metadata_document_supported: true,
    }),
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
    const refusal = toOAuthError(error)
    logError(refusal, request)
    const { status, message, headers } = refusal
    const nonce = randomBytes(16).toString('base64')
    return reply
      .code(status)
      .headers(pageHeaders(nonce))
      .headers(headers)
      .send(errorPage(message, nonce))
  })

  const response = {
    200: {
      description: 'The request is open and waits for an agent',
      content: {
        'text/html': { schema: Type.String() },
        'application/json': { schema: AuthorizationRequestFacts },
      },
    },
  }
  const config = {
    answers: {
      303: 'To the redirect URI, with `error`, `error_description`, `state` and `iss`, of a client that the operator registered',
      400: 'The client or the redirect URI is not known good, or the request of another client is not valid: shown, never redirected',
      429: 'Too many requests of this network wait for an agent (`temporarily_unavailable`)',
      503: 'Too many requests wait for an agent (`temporarily_unavailable`)',
    },
  }
  app.get(
    '/authorize',
    {
      schema: {
        summary: 'Open an authorization request',
        description:
          'A website sends its visitor here (RFC 6749 section 4.1.1, RFC 7636). The answer is the page that waits for an agent, or its facts as JSON for `Accept: application/json`.',
        tags: ['Sign-in'],
        querystring: AuthorizeQuery,
        response,
      },
      config,
      attachValidation: true,
      exposeHeadRoute: false,
    },
    (request, reply) => openRequest(request.query, request, reply),
  )
  app.post(
    '/authorize',
    {
      schema: {
        summary: 'Open an authorization request with a form',
        description:
          'The same, for requests that are too long for a URL (OpenID Connect Core section 3.1.2.1).',
        tags: ['Sign-in'],
        consumes: ['application/x-www-form-urlencoded'],
        body: AuthorizeQuery,
        response,
      },
      config,
      attachValidation: true,
    },
    (request, reply) => openRequest(request.body ?? {}, request, reply),
  )

  async function openRequest(
    query: AuthorizeQuery,
    request: Pick<FastifyRequest, 'headers' | 'ip' | 'method' | 'validationError'>,
    reply: FastifyReply,
  ) {
    const { client, redirect_uri } = await findClient(query, request.ip)
    let target: Target
    let hinted_agent_id: string | null
    try {
      if (request.validationError) throw request.validationError
      assertSupported(query, client)
      assertPrompt(query.prompt)
      target = await findTarget(app, query, {
        own: IDENTITY_SCOPES,
        refreshable: client.grant_types.includes('refresh_token'),
        registered: client.scope,
        defaultResource: client.default_resource,
        origin: client.origin,
      })
      hinted_agent_id = await hintedAgent(query.id_token_hint, client)
    } catch (error) {
      if (wantsJson(request)) throw error
      return refuse(error, { client, redirect_uri, query }, reply)
    }

    const request_id = newId('req_')
    const browser = isBrowser(request) ? app.browserCookie.readOrMake(request) : undefined
    const now = app.clock.now()
    const expires_in = app.settings.AUTHORIZATION_REQUEST_TTL
    await app.strangers.admitRequest(request_id, now + expires_in, request.ip)
    const signIn = {
      client_id: client.client_id,
      redirect_uri,
      scope: target.scope,
      opened_from: request.ip,
      created_at: now,
    }
    const opened = await app.store.authorizationRequests.open({
      request_id,
      ...signIn,
      resource: storedResources(target, app.settings),
      hinted_agent_id,
      response_mode: query.response_mode ?? 'query',
      state: query.state ?? null,
      nonce: query.nonce ?? null,
      code_challenge: query.code_challenge,
      browser_hash: browser === undefined ? null : app.browserCookie.hash(browser.value),
      expires_at: now + expires_in,
    })
    if (!opened) throw unknownClient()

    const facts: AuthorizationRequestFacts = {
      request_id,
      issuer: app.settings.ISSUER,
      ...describe(signIn, client, target.resources),
      resource: target.resources.map(({ uri }) => uri),
      expires_in,
      authenticate_endpoint: app.metadata.url('/api/agent/authenticate'),
      check_status_endpoint: app.metadata.url('/api/check-status'),
      agent_authentication_methods: AGENT_AUTHENTICATION_METHODS,
    }
    if (browser !== undefined) {
      const maxAge = expires_in + app.settings.AUTHORIZATION_CODE_TTL
      app.browserCookie.set(reply, browser, maxAge)
    }
    if (wantsJson(request)) return reply.send(facts)
    const nonce = randomBytes(16).toString('base64')
    const formAction = query.response_mode === 'form_post' ? redirect_uri : undefined
    return reply.headers(pageHeaders(nonce, formAction)).send(waitingPage(facts, nonce))
  }

  /**
   * Tells the website what was wrong with its request (RFC 6749 section 4.1.2.1). For a client that
   * the operator did not register the person is told, who may pass it on: a redirect would make this
   * server an open redirector (RFC 9700 section 4.11.2).
   */
  function refuse(
    error: unknown,
    {
      client,
      redirect_uri,
      query,
    }: { client: Client; redirect_uri: string; query: Record<string, unknown> },
    reply: FastifyReply,
  ) {
    const { code, message, status } = toOAuthError(error)
    if (status >= 500) throw error
    const response_mode = query.response_mode === 'form_post' ? 'form_post' : 'query'
    const answer = authorizationResponse(
      { redirect_uri, response_mode },
      {
        error: code,
        error_description: message,
        state: typeof query.state === 'string' ? query.state : null,
        iss: app.settings.ISSUER,
      },
    )
    const { redirect_to, form_post } = answer
    const nonce = randomBytes(16).toString('base64')
    const headers = pageHeaders(nonce, form_post && redirect_to)
    if (client.origin !== 'operator') {
      return reply
        .code(400)
        .headers(headers)
        .send(refusalPage(code, answer, nonce))
    }
    if (form_post === undefined) {
      return reply.redirect(redirect_to, 303)
    }
    return reply.headers(headers).send(formPostPage(redirect_to, form_post, nonce))
  }

  /** The one agent that an ID Token names, which we made for this client. */
  async function hintedAgent(
    id_token_hint: string | undefined,
    { client_id }: Client,
  ): Promise<string | null> {
    if (id_token_hint === undefined) return null
    const claims = await app.tokens.readIdToken(id_token_hint, client_id)
    if (claims === undefined) {
      throw new OAuthError('invalid_request', 'id_token_hint is no ID Token of this client')
    }
    return claims.sub
  }

  /** Who asks and where the answer may go. What is wrong here is shown and never redirected. */
  async function findClient(query: Record<string, unknown>, address: string) {
    const { client_id, redirect_uri } = query
    if (typeof client_id !== 'string')
      throw new OAuthError('invalid_request', problem('client_id', client_id))
    const client = await app.clients.find(client_id, address)
    if (client === undefined || client.disabled_at !== null) {
      throw unknownClient()
    }
    const [only, another] = client.redirect_uris
    if (redirect_uri === undefined && only !== undefined && another === undefined) {
      assertRedirectUri(only)
      return { client, redirect_uri: only }
    }
    if (typeof redirect_uri !== 'string') {
      throw new OAuthError('invalid_request', problem('redirect_uri', redirect_uri))
    }
    if (!client.redirect_uris.some((registered) => matchesRedirectUri(redirect_uri, registered))) {
      throw new OAuthError('invalid_request', 'The redirect_uri is not registered for this website')
    }
    assertRedirectUri(redirect_uri)
    return { client, redirect_uri }
  }
}

export default fp(authorize, {
  name: 'oauth/authorize',
  encapsulate: true,
  decorators: {
    fastify: [
      'browserCookie',
      'clients',
      'clock',
      'metadata',
      'settings',
      'store',
      'strangers',
      'tokens',
    ],
  },
})

function unknownClient(): OAuthError {
  return new OAuthError('invalid_request', 'No website with this client_id is registered here')
}

function problem(name: string, value: unknown): string {
  return value === undefined ? `${name} is required` : `${name} must be given only once`
}

function assertSupported(query: AuthorizeQuery, client: Client): void {
  if (!RESPONSE_MODES.includes(query.response_mode ?? 'query')) {
    throw new OAuthError('invalid_request', `response_mode must be ${RESPONSE_MODES.join(' or ')}`)
  }
  for (const name of ['request', 'request_uri', 'registration'] as const) {
    if (query[name] !== undefined) {
      throw new OAuthError(`${name}_not_supported`, `The parameter ${name} is not supported`)
    }
  }
  if (query.response_type !== 'code') {
    throw new OAuthError('unsupported_response_type', 'The only response_type is code')
  }
  if (!client.grant_types.includes('authorization_code')) {
    throw new OAuthError('unauthorized_client', 'This client may not use authorization codes')
  }
  const { state = '', nonce = '' } = query
  if (Buffer.byteLength(state) + Buffer.byteLength(nonce) > MAX_STATE_AND_NONCE) {
    throw new OAuthError(
      'invalid_request',
      `state and nonce must not have more than ${MAX_STATE_AND_NONCE} bytes together`,
    )
  }
  // RFC 7636 section 4.3: no method means plain.
  if (query.code_challenge_method !== 'S256') {
    throw new OAuthError('invalid_request', 'code_challenge_method must be S256')
  }
}

/** OpenID Connect Core section 3.1.2.1: without interaction there is nobody to answer for. */
function assertPrompt(prompt: string = ''): void {
  const words = scopeWords(prompt)
  if (words.some((word) => !PROMPTS.includes(word))) {
    throw new OAuthError('invalid_request', `prompt may be ${PROMPTS.join(', ')} and nothing else`)
  }
  if (!words.includes('none')) return
  if (words.length > 1) throw new OAuthError('invalid_request', 'prompt=none must stand alone')
  throw new OAuthError('login_required', 'An agent has to authenticate, prompt=none cannot be met')
}

/**
 * Every browser names text/html when it navigates, old ones and those behind a proxy that drops
 * Fetch Metadata, too. HTTP libraries and curl accept anything and name nothing.
 */
function isBrowser(request: Pick<FastifyRequest, 'headers'>): boolean {
  return accepts(request, 'text/html') || request.headers['sec-fetch-mode'] === 'navigate'
}

function wantsJson(request: Pick<FastifyRequest, 'headers'>): boolean {
  return accepts(request, 'application/json') && !accepts(request, 'text/html')
}

function accepts({ headers }: Pick<FastifyRequest, 'headers'>, mediaType: string): boolean {
  return headers.accept?.toLowerCase().includes(mediaType) === true
}
