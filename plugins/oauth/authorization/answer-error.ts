import { randomBytes } from 'node:crypto'
import type { FastifyReply, FastifyRequest } from 'fastify'
import {
  errorUri,
  logError,
  type OAuthError,
  sendError,
  toOAuthError,
} from '../../core/http/errors.ts'
import { authorizationResponse } from '../../core/sign-in/authorization-response.ts'
import { errorPage } from '../../pages/error.ts'
import { formPostPage } from '../../pages/form-post.ts'
import { pageHeaders } from '../../pages/layout.ts'
import { refusalPage } from '../../pages/refusal.ts'
import type { Site, UncheckedQuery } from './checks.ts'

/** The error of a request whose client and redirect URI are known good: the website is told. */
export class RefusedRequest extends Error {
  override name = 'RefusedRequest'
  readonly site: Site
  readonly query: UncheckedQuery

  constructor(cause: unknown, site: Site, query: UncheckedQuery) {
    super('The authorization request is refused', { cause })
    this.site = site
    this.query = query
  }
}

/**
 * The only way out for an error of /authorize: JSON for whoever asks for that; the redirect URI of a
 * known client for what is wrong with its request; a page for all else.
 */
export function answerError(thrown: unknown, request: FastifyRequest, reply: FastifyReply) {
  const cause = thrown instanceof RefusedRequest ? thrown.cause : thrown
  if (thrown instanceof RefusedRequest) logRefusal(thrown, request)
  if (wantsJson(request)) return sendError(cause, request, reply)
  const error = toOAuthError(cause)
  logError(error, request)
  return thrown instanceof RefusedRequest && error.status < 500
    ? tellWebsite(error, thrown, request, reply)
    : showError(error, request, reply)
}

/** What is wrong at which client, for an operator whose users only see an error of the website. */
function logRefusal({ cause, site }: RefusedRequest, request: FastifyRequest): void {
  const error = toOAuthError(cause)
  if (error.status >= 500) return
  const { client_id } = site.client
  const explained = errorUri(error, request.server)
  request.log.info(
    { client_id, error: error.code, ...(explained !== undefined && { error_uri: explained }) },
    `authorization request refused: ${error.message}`,
  )
}

export function wantsJson(request: Pick<FastifyRequest, 'headers'>): boolean {
  return accepts(request, 'application/json') && !accepts(request, 'text/html')
}

export function accepts({ headers }: Pick<FastifyRequest, 'headers'>, mediaType: string): boolean {
  return headers.accept?.toLowerCase().includes(mediaType) === true
}

function showError(error: OAuthError, request: FastifyRequest, reply: FastifyReply) {
  const nonce = randomBytes(16).toString('base64')
  return reply
    .code(error.status)
    .headers(pageHeaders(nonce))
    .headers(error.headers)
    .send(
      errorPage(error.message, {
        nonce,
        reference: request.id,
        error_uri: errorUri(error, request.server),
      }),
    )
}

/**
 * Tells the website what was wrong with its request (RFC 6749 section 4.1.2.1). For a client that
 * the operator did not register the person is told, who may pass it on: a redirect would make this
 * server an open redirector (RFC 9700 section 4.11.2).
 */
function tellWebsite(
  error: OAuthError,
  { site: { client, redirect_uri }, query }: RefusedRequest,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const response_mode = query.response_mode === 'form_post' ? 'form_post' : 'query'
  const answer = authorizationResponse(
    { redirect_uri, response_mode },
    {
      error: error.code,
      error_description: error.message,
      error_uri: errorUri(error, request.server),
      state: typeof query.state === 'string' ? query.state : null,
      iss: request.server.settings.ISSUER,
    },
  )
  const { redirect_to, form_post } = answer
  const nonce = randomBytes(16).toString('base64')
  const headers = pageHeaders(nonce, form_post && redirect_to)
  if (client.origin !== 'operator') {
    return reply
      .code(400)
      .headers(headers)
      .send(refusalPage(error.code, answer, nonce))
  }
  return form_post === undefined
    ? reply.redirect(redirect_to, 303)
    : reply
        .code(200)
        .headers(headers)
        .send(formPostPage(redirect_to, form_post, nonce))
}
