import type { FastifyReply, FastifyRequest } from 'fastify'
import { html } from 'ghtml'
import { logError, OAuthError, sendError, toOAuthError } from '../core/http/errors.ts'
import { PasskeyNeeded, SignInNeeded } from '../core/persons/sessions.ts'
import { sendFramed } from './frame.ts'

/**
 * The one way out for an error on the account's and console's pages: who has to sign in or to confirm
 * is led there and back again, everybody else reads what happened. A script gets JSON.
 */
export function answerPersonError(thrown: unknown, request: FastifyRequest, reply: FastifyReply) {
  const { settings } = request.server
  if (request.headers.accept === 'application/json') {
    return sendError(forScript(thrown), request, reply)
  }
  if (thrown instanceof SignInNeeded || thrown instanceof PasskeyNeeded) {
    const page = thrown instanceof SignInNeeded ? 'sign-in' : 'confirm'
    const next = hasPage(request) ? request.url : '/account'
    const query = new URLSearchParams({ next: next.replace(/^\//, '') })
    if (thrown instanceof PasskeyNeeded && thrown.mail) query.set('by', 'mail')
    return reply.redirect(`${settings.ISSUER}/account/${page}?${query}`, 303)
  }
  const error = toOAuthError(thrown)
  logError(error, request)
  return sendFramed(request.server, reply.code(error.status).headers(error.headers), {
    title: error.status === 404 ? 'There is nothing here' : 'That was not possible',
    main: html`<p class="error" role="alert">${error.message}.</p>
<p>Nothing was changed. <a href="account">Go to your account</a>.</p>
<p class="quiet">For the operator, who finds it in the log: <code>${request.id}</code></p>`,
  })
}

/** A script shows the sentence in its page, and can be led nowhere. */
function forScript(thrown: unknown): unknown {
  if (thrown instanceof SignInNeeded) {
    return new OAuthError('access_denied', 'You are signed out: load the page again to sign in')
  }
  if (thrown instanceof PasskeyNeeded) {
    return new OAuthError(
      'access_denied',
      'Your passkey was used too long ago: load the page again',
    )
  }
  return thrown
}

/** Whether a browser can come back to the URL of a request, also where a form was sent to it. */
function hasPage({ method, routeOptions: { url }, server }: FastifyRequest): boolean {
  return method === 'GET' || (url !== undefined && server.hasRoute({ method: 'GET', url }))
}

/**
 * A path to go on to after a sign-in: one of the account's, the console's or a waiting sign-in's, or
 * else the account itself. Never another server's.
 */
export function readNext(next: unknown): string {
  const isOwn = typeof next === 'string' && /^(account|console)([/?][\w\-./?=&%~]*)?$/.test(next)
  return isOwn && !next.includes('..') && !next.includes('//') ? next : 'account'
}
