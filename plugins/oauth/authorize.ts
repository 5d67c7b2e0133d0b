import { randomBytes } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import { Type } from '@sinclair/typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { BODY_ERRORS, errors, noBody } from '../../schemas/answers.ts'
import {
  AuthorizationRequestFacts,
  AuthorizeForm,
  AuthorizeQuery,
} from '../../schemas/authorize.ts'
import { PROMPTS, RESPONSE_MODES } from '../../schemas/openid.ts'
import { IDENTITY_SCOPES, OFFLINE_ACCESS } from '../../schemas/scope.ts'
import { AGENT_AUTHENTICATION_METHODS } from '../core/callers/agent-authentication.ts'
import { newId } from '../core/crypto/secrets.ts'
import type { BrowserMark } from '../core/http/browser-cookie.ts'
import { storedResources } from '../core/registry/resources.ts'
import { describe } from '../core/sign-in/description.ts'
import { sendGoOn } from '../pages/go-on.ts'
import { pageHeaders } from '../pages/layout.ts'
import { waitingPage } from '../pages/waiting.ts'
import { accepts, answerError, RefusedRequest, wantsJson } from './authorization/answer-error.ts'
import {
  type CheckedRequest,
  checkRequest,
  findSite,
  type Site,
  unknownClient,
} from './authorization/checks.ts'
import { findSilent, type Silent } from './authorization/silent.ts'

/** Where a person consents, if this server has that page. */
const CONSENT_PAGE = { method: 'GET', url: '/account/consent' } as const

/** The longest identifier that a `login_hint` can name here. */
const MAX_LOGIN_HINT = 320

/**
 * GET and POST /authorize: opens an authorization request and shows the page that waits for an agent
 * (RFC 6749 section 4.1.1, with PKCE S256 always, RFC 7636). Nothing is redirected until the client
 * and the redirect URI are known good; after that, errors go to the redirect URI (section 4.1.2.1) of
 * a client that the operator registered. Those of others are shown, and the person may follow the
 * link (RFC 9700 section 4.11.2). Where a person is signed in in this browser and has consented to all
 * of it before, the request goes on at once, unless `prompt` or `max_age` demand a page (OpenID Connect
 * Core section 3.1.2.1): an agent and a consenting person authenticate afresh, which meets them.
 * `login_hint` preselects an agent there; `display`, `ui_locales`, `acr_values` and `claims` are
 * accepted and change nothing.
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

  app.setErrorHandler(answerError)

  const documentation = {
    tags: ['Sign-in'],
    security: [],
    response: {
      200: {
        description: 'The request is open and waits for an agent',
        headers: {
          'Set-Cookie': { type: 'string', description: 'Binds the request to the browser' },
        },
        content: {
          'application/json': { schema: AuthorizationRequestFacts },
          'text/html': { schema: Type.String() },
        },
      },
      303: noBody(
        'To the redirect URI of a client that the operator registered, with `error`, `error_description`, `state` and `iss` and, where a page explains it, `error_uri`',
        { Location: { type: 'string', description: 'The redirect URI with the error' } },
      ),
    },
  }
  const refusals = {
    400: 'The client or the redirect URI is not known good, or the request of a client that the operator did not register is not valid: shown, never redirected',
    429: 'Too many requests of this network wait for an agent (`temporarily_unavailable`)',
    503: 'Too many requests wait for an agent, or the server is busy (`temporarily_unavailable`)',
  }
  app.get(
    '/authorize',
    {
      schema: {
        ...documentation,
        operationId: 'openAuthorizationRequest',
        summary: 'Open an authorization request',
        description:
          'A website sends its visitor here (RFC 6749 section 4.1.1, RFC 7636). The answer is the page that waits for an agent, or its facts as JSON for `Accept: application/json`.',
        querystring: AuthorizeQuery,
        response: { ...documentation.response, ...errors(refusals, { asPage: true }) },
      },
      attachValidation: true,
      exposeHeadRoute: false,
    },
    (request, reply) => openRequest(request.query, request, reply),
  )
  app.post(
    '/authorize',
    {
      schema: {
        ...documentation,
        operationId: 'postAuthorizationRequest',
        summary: 'Open an authorization request with a form',
        description:
          'The same, for requests that are too long for a URL (OpenID Connect Core section 3.1.2.1).',
        consumes: ['application/x-www-form-urlencoded'],
        body: AuthorizeForm,
        response: {
          ...documentation.response,
          ...errors({ ...BODY_ERRORS, ...refusals }, { asPage: true }),
        },
      },
      attachValidation: true,
    },
    (request, reply) => openRequest(request.body ?? {}, request, reply),
  )

  async function openRequest(
    query: AuthorizeQuery,
    request: Pick<FastifyRequest, 'headers' | 'ip' | 'method' | 'validationError'>,
    reply: FastifyReply,
  ) {
    const site = await findSite(app, query, request.ip)
    const refuse = (error: unknown) => {
      throw new RefusedRequest(error, site, query)
    }
    const checked = await checkRequest(app, site, query, request.validationError).catch(refuse)
    const person = isBrowser(request) ? request : { headers: {} }
    const silent = await findSilent(app, person, site, checked).catch(refuse)
    const browser = isBrowser(request) ? app.browserCookie.readOrMake(request) : undefined
    const facts = await store(query, site, checked, request.ip, browser)
    if (browser !== undefined) {
      const maxAge = facts.expires_in + app.settings.AUTHORIZATION_CODE_TTL
      app.browserCookie.set(reply, browser, maxAge)
    }
    if (silent !== undefined) {
      return await goOn(facts.request_id, silent, request, reply).catch(refuse)
    }
    if (wantsJson(request)) return reply.send(facts)
    const nonce = randomBytes(16).toString('base64')
    const forPerson = browser !== undefined && app.hasRoute(CONSENT_PAGE)
    const formAction = query.response_mode === 'form_post' ? site.redirect_uri : undefined
    return reply.headers(pageHeaders(nonce, formAction)).send(waitingPage(facts, nonce, forPerson))
  }

  /** Goes on to the website with the code of a person who has consented before. */
  async function goOn(
    request_id: string,
    { consent, signedIn }: Silent,
    { ip }: Pick<FastifyRequest, 'ip'>,
    reply: FastifyReply,
  ) {
    const response = await app.consents.signInSilently(request_id, consent, signedIn, ip)
    if (response.form_post === undefined) {
      return reply
        .headers({ 'cache-control': 'no-store', 'referrer-policy': 'no-referrer' })
        .redirect(response.redirect_to, 303)
    }
    return sendGoOn(reply, response, {
      title: 'You are signed in',
      detail: 'You have agreed to this before',
      state: 'finished',
      byItself: true,
    })
  }

  /**
   * Stores the request, where its network may open another one.
   * @returns what the page and an agent without a browser are told of it
   */
  async function store(
    query: AuthorizeQuery,
    { client, redirect_uri }: Site,
    { target, hinted_sub }: CheckedRequest,
    address: string,
    browser: BrowserMark | undefined,
  ): Promise<AuthorizationRequestFacts> {
    const request_id = newId('req_')
    const now = app.clock.now()
    const expires_in = app.settings.AUTHORIZATION_REQUEST_TTL
    await app.strangers.admitRequest(request_id, now + expires_in, address)
    const signIn = {
      client_id: client.client_id,
      redirect_uri,
      scope: target.scope,
      opened_from: address,
      created_at: now,
    }
    const opened = await app.store.authorizationRequests.open({
      request_id,
      ...signIn,
      resource: storedResources(target, app.settings),
      hinted_sub,
      login_hint: query.login_hint?.slice(0, MAX_LOGIN_HINT) ?? null,
      response_mode: query.response_mode ?? 'query',
      state: query.state ?? null,
      nonce: query.nonce ?? null,
      code_challenge: query.code_challenge,
      browser_hash: browser === undefined ? null : app.browserCookie.hash(browser.value),
      expires_at: now + expires_in,
    })
    if (!opened) throw unknownClient()
    return {
      request_id,
      issuer: app.settings.ISSUER,
      ...describe(signIn, client, target.resources),
      resource: target.resources.map(({ uri }) => uri),
      expires_in,
      authenticate_endpoint: app.metadata.url('/api/agent/authenticate'),
      check_status_endpoint: app.metadata.url('/api/check-status'),
      agent_authentication_methods: AGENT_AUTHENTICATION_METHODS,
    }
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
      'consents',
      'metadata',
      'sessions',
      'settings',
      'store',
      'strangers',
      'tokens',
    ],
  },
})

/**
 * Every browser names text/html when it navigates, old ones and those behind a proxy that drops
 * Fetch Metadata, too. HTTP libraries and curl accept anything and name nothing.
 */
function isBrowser(request: Pick<FastifyRequest, 'headers'>): boolean {
  return accepts(request, 'text/html') || request.headers['sec-fetch-mode'] === 'navigate'
}
