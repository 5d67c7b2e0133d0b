import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { BODY_ERRORS, errors, noBody, text } from '../../schemas/answers.ts'
import { LogoutForm, LogoutQuery } from '../../schemas/logout.ts'
import { shownName } from '../../schemas/name.ts'
import type { Client } from '../core/core.ts'
import { OAuthError } from '../core/http/errors.ts'
import { sendFramed } from '../pages/frame.ts'
import { answerPersonError } from '../pages/person-errors.ts'

/** A request to sign out, once it is checked. */
interface Logout {
  client: Client | undefined
  /** The sign-in that an ID Token named. */
  signIn: { grant_id: string | undefined; sub: string } | undefined
  /** Where to lead the browser, with the state. */
  returnTo: URL | undefined
}

/**
 * GET and POST /logout: signs out of a website (OpenID Connect RP-Initiated Logout 1.0). An ID Token
 * proves which sign-in is meant: it ends, and the browser goes back to the website. Without one the
 * person is asked, who may be signed in at this server.
 */
const logout: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  app.metadata.advertise({
    end_session_endpoint: '/logout',
    // Told of by `logoutNotices`.
    backchannel_logout_supported: true,
    backchannel_logout_session_supported: true,
  })

  const documentation = {
    description: 'OpenID Connect RP-Initiated Logout 1.0 section 2. Open it in the browser.',
    tags: ['Sign-in'],
    security: [],
    produces: ['text/html'],
  }
  const answers = {
    200: text('text/html', 'The person is signed out, or is asked whether to'),
    303: noBody('The sign-in has ended, and the browser goes back to the website', {
      Location: { type: 'string', description: 'The `post_logout_redirect_uri`, with the `state`' },
    }),
  }
  const refusals = {
    400: 'The `id_token_hint`, `client_id` or `post_logout_redirect_uri` is not good (`invalid_request`)',
    403: 'The confirmation came from a page of another origin (`access_denied`)',
  }
  app.get(
    '/logout',
    {
      schema: {
        ...documentation,
        operationId: 'endSession',
        summary: 'Sign out of a website',
        querystring: LogoutQuery,
        response: { ...answers, ...errors(refusals, { asPage: true }) },
      },
      exposeHeadRoute: false,
    },
    async (request, reply) =>
      await endSession(await check(request.query, request.ip), request, reply),
  )
  app.post(
    '/logout',
    {
      schema: {
        ...documentation,
        operationId: 'postEndSession',
        summary: 'Sign out of a website, with a form',
        consumes: ['application/x-www-form-urlencoded'],
        body: LogoutForm,
        response: { ...answers, ...errors({ ...BODY_ERRORS, ...refusals }, { asPage: true }) },
      },
    },
    async (request, reply) => {
      const { confirmed, ...parameters } = request.body ?? {}
      const asked = await check(parameters, request.ip)
      if (confirmed !== 'yes') return await endSession(asked, request, reply)
      app.ownOrigin.assert(request)
      await app.sessions.end(request, reply)
      return showSignedOut(asked, reply)
    },
  )

  /** @throws {OAuthError} invalid_request: nothing is ended, and the browser is led nowhere */
  async function check(parameters: LogoutQuery, address: string): Promise<Logout> {
    const { id_token_hint, post_logout_redirect_uri, state } = parameters
    const claims =
      id_token_hint === undefined ? undefined : await app.tokens.readIdToken(id_token_hint)
    if (id_token_hint !== undefined && claims === undefined) {
      throw new OAuthError('invalid_request', 'id_token_hint is not an ID Token of this server')
    }
    const client_id = parameters.client_id ?? claims?.aud
    // Section 2: they have to match when both are there.
    if (claims !== undefined && claims.aud !== client_id) {
      throw new OAuthError('invalid_request', 'id_token_hint is an ID Token of another client_id')
    }
    const client = client_id === undefined ? undefined : await app.clients.find(client_id, address)
    if (client_id !== undefined && client === undefined) {
      throw new OAuthError('invalid_request', 'No website with this client_id is registered here')
    }
    return {
      client,
      signIn: claims && { grant_id: claims.sid, sub: claims.sub },
      returnTo: returnUri(client, post_logout_redirect_uri, state),
    }
  }

  async function endSession(asked: Logout, request: FastifyRequest, reply: FastifyReply) {
    if (asked.signIn === undefined) return await askPerson(asked, request, reply)
    const { grant_id } = asked.signIn
    if (grant_id !== undefined) await endSignIn(grant_id, request, reply)
    return asked.returnTo === undefined
      ? showSignedOut(asked, reply)
      : reply.redirect(asked.returnTo.href, 303)
  }

  /**
   * A person who signed in to the website with a passkey is signed out here as well, in this browser:
   * else the website would find the person signed in again at once.
   */
  async function endSignIn(grant_id: string, request: FastifyRequest, reply: FastifyReply) {
    const grant = await app.store.grants.find(grant_id)
    if (grant === undefined) return
    if (await app.store.grants.revoke(grant_id, app.clock.now())) {
      await app.audit.recordRevocation(grant_id, 'The website signed out', request.ip)
    }
    if (grant.acr === null) return
    const signedIn = await app.sessions.find(request)
    const agent = await app.store.agents.find(grant.agent_id)
    if (signedIn !== undefined && agent?.owner_id === signedIn.owner.owner_id) {
      await app.sessions.end(request, reply)
    }
  }

  /** Section 2: who shows no ID Token may be anybody, so that the person decides. */
  async function askPerson(asked: Logout, request: FastifyRequest, reply: FastifyReply) {
    const signedIn = await app.sessions.find(request)
    if (signedIn === undefined) return showSignedOut(asked, reply)
    const { client_id, post_logout_redirect_uri, state } = {
      ...(request.query as LogoutQuery),
      ...(request.body as LogoutQuery | undefined),
    }
    const hidden = Object.entries({ client_id, post_logout_redirect_uri, state })
      .filter(([, value]) => value !== undefined)
      .map(([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`)
    return sendFramed(app, reply, {
      title: 'Sign out?',
      main: html`<p>You are signed in here as <strong>${signedIn.owner.email}</strong>. Your agents stay signed in to websites: your account is where you stop them.</p>
<form class="actions" method="post" action="logout">!${hidden.join('')}
<button name="confirmed" value="yes" data-action="confirm">Sign out</button>
<a class="button quiet" href="account">Stay signed in</a></form>`,
    })
  }

  function showSignedOut({ client, returnTo }: Logout, reply: FastifyReply) {
    const site = client === undefined ? '' : html` of <bdi>${shownName(client.client_name)}</bdi>`
    return sendFramed(app, reply, {
      title: 'You are signed out',
      main: html`<p>You are signed out!${site}. You can close this page.</p>
!${returnTo === undefined ? '' : html`<p><a href="${returnTo.href}" rel="noopener noreferrer">Go to ${returnTo.host}</a></p>`}`,
    })
  }
}

export default fp(logout, {
  name: 'oauth/logout',
  encapsulate: true,
  decorators: {
    fastify: [
      'audit',
      'clients',
      'clock',
      'metadata',
      'ownOrigin',
      'sessions',
      'settings',
      'store',
      'tokens',
    ],
  },
})

/**
 * Section 3: where to lead the browser is one of the URIs that the client registered, letter by letter.
 * @throws {OAuthError} invalid_request
 */
function returnUri(
  client: Client | undefined,
  post_logout_redirect_uri: string | undefined,
  state: string | undefined,
): URL | undefined {
  if (post_logout_redirect_uri === undefined) return undefined
  if (client?.post_logout_redirect_uris.includes(post_logout_redirect_uri) !== true) {
    throw new OAuthError(
      'invalid_request',
      'The post_logout_redirect_uri is not registered for this website',
    )
  }
  const url = new URL(post_logout_redirect_uri)
  if (state !== undefined) url.searchParams.append('state', state)
  return url
}
