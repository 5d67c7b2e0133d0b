import { type ServerResponse, STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { DatabaseUnavailableError } from '../../../db/store.ts'
import { ErrorBody, type ErrorCode, type RefusalReason } from '../../../schemas/error.ts'
import { namesOfCodes, WEBSITE_ERRORS_PATH, type WebsiteErrorName } from './website-errors.ts'

/** The HTTP status of each error code: RFC 6749 section 5.2, RFC 6750 section 3.1, and our own. */
const statusOf: Record<ErrorCode, number> = {
  invalid_request: 400,
  invalid_grant: 400,
  invalid_scope: 400,
  invalid_target: 400,
  unauthorized_client: 400,
  unsupported_grant_type: 400,
  unsupported_response_type: 400,
  unsupported_token_type: 400,
  login_required: 400,
  consent_required: 400,
  interaction_required: 400,
  request_not_supported: 400,
  request_uri_not_supported: 400,
  registration_not_supported: 400,
  invalid_redirect_uri: 400,
  invalid_client_metadata: 400,
  invalid_client: 401,
  invalid_credentials: 401,
  invalid_token: 401,
  access_denied: 403,
  insufficient_scope: 403,
  not_found: 404,
  request_expired: 400,
  server_error: 500,
  temporarily_unavailable: 503,
}

export interface OAuthErrorOptions {
  /** The status, if it is not the usual one of the code. */
  status?: number
  headers?: Record<string, string>
  /** With access_denied: which check refused an agent's sign-in. */
  reason?: RefusalReason
  /** The entry of /docs/errors about it, if the code alone does not determine it. */
  websiteError?: WebsiteErrorName
  /** For the log only. */
  cause?: unknown
}

/** An error of the client, with a description that the client may read. */
export class OAuthError extends Error {
  override name = 'OAuthError'
  readonly code: ErrorCode
  readonly status: number
  readonly headers: Record<string, string>
  readonly reason: RefusalReason | undefined
  readonly websiteError: WebsiteErrorName | undefined

  constructor(code: ErrorCode, description: string, options: OAuthErrorOptions = {}) {
    super(describable(description), { cause: options.cause })
    this.code = code
    this.status = options.status ?? statusOf[code]
    this.headers = options.headers ?? {}
    this.reason = options.reason
    this.websiteError = options.websiteError ?? namesOfCodes[code]
  }

  /** @param error_uri the page that explains it */
  toBody(error_uri?: string): ErrorBody {
    const { code: error, message: error_description, reason } = this
    return {
      error,
      error_description,
      ...(reason !== undefined && { reason }),
      ...(error_uri !== undefined && { error_uri }),
    }
  }
}

/**
 * The page that tells the website's operator what to change (`error_uri`, RFC 6749 sections 4.1.2.1
 * and 5.2). Undefined if there is no advice, or if the page is not served.
 */
export function errorUri(
  { websiteError }: OAuthError,
  app: Pick<FastifyInstance, 'hasRoute' | 'settings'>,
): string | undefined {
  if (websiteError === undefined) return undefined
  if (!app.hasRoute({ method: 'GET', url: WEBSITE_ERRORS_PATH })) return undefined
  return `${app.settings.ISSUER}${WEBSITE_ERRORS_PATH}#${websiteError}`
}

/** The refusal (429) of a caller who has reached a limit for the next `seconds`. */
export function tooMany(what: string, seconds: number): OAuthError {
  return new OAuthError('temporarily_unavailable', `${what}, try again in ${seconds} seconds`, {
    status: 429,
    headers: { 'retry-after': String(seconds) },
  })
}

/** The longest description: it can quote the request. */
const MAX_DESCRIPTION = 300

/** RFC 6749 section 5.2: %x20-21 / %x23-5B / %x5D-7E. */
function describable(text: string): string {
  const safe = text.replace(/"/g, "'").replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '?')
  return safe.length > MAX_DESCRIPTION ? `${safe.slice(0, MAX_DESCRIPTION - 3)}...` : safe
}

/** Converts anything that was thrown to the error that the client gets. */
export function toOAuthError(error: unknown): OAuthError {
  if (error instanceof OAuthError) return error
  if (error instanceof DatabaseUnavailableError) {
    return new OAuthError(
      'temporarily_unavailable',
      'The server cannot use its database at the moment: try again',
      {
        headers: { 'retry-after': '1' },
        cause: error,
      },
    )
  }
  const { statusCode, validation, code, message } = error as FastifyError
  if (validation?.[0] !== undefined) return fromValidation(validation[0] as ValidationProblem)
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new OAuthError('invalid_request', frameworkProblems[code] ?? message, {
      status: statusCode,
    })
  }
  return new OAuthError(
    'server_error',
    'This server failed to handle the request: its log says why',
    { cause: error },
  )
}

/** Replaces descriptions of Fastify that are unclear or quote too much of the request. */
const frameworkProblems: Record<string, string> = {
  FST_ERR_BAD_URL: 'The path has a malformed percent-encoding',
  FST_ERR_CTP_INVALID_MEDIA_TYPE:
    'The Content-Type must be application/x-www-form-urlencoded or application/json',
}

/** An error of Ajv, and (with its `verbose` option) the invalid value. */
interface ValidationProblem {
  keyword: string
  instancePath: string
  params: Record<string, unknown>
  message?: string
  data?: unknown
}

function fromValidation({ keyword, instancePath, params, message, data }: ValidationProblem) {
  if (keyword === 'discriminator' && params.error === 'mapping') {
    return new OAuthError('unsupported_grant_type', `This ${params.tag} is not supported`)
  }
  const name = instancePath.slice(1) || String(params.missingProperty ?? params.tag ?? '')
  const value = keyword === 'discriminator' ? params.tagValue : data
  if (keyword === 'required' || value === undefined) {
    return new OAuthError('invalid_request', `${name} is required`)
  }
  if (name === '') {
    return new OAuthError('invalid_request', 'The request needs an object of parameters')
  }
  if (Array.isArray(value)) {
    return new OAuthError('invalid_request', `${name} must be given only once`)
  }
  if (keyword === 'pattern' || keyword === 'discriminator')
    return new OAuthError('invalid_request', `${name} is malformed`)
  return new OAuthError('invalid_request', `${name} ${message}`)
}

/** The status and description for each error of Node's HTTP parser. */
const parserProblems: Record<string, [status: number, description: string]> = {
  CONNECT: [405, 'This is not a proxy: CONNECT is not supported'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request took too long to arrive'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'The chunk extensions are too large'],
  HPE_HEADER_OVERFLOW: [431, 'The request line and headers are too large'],
  HPE_INVALID_CHUNK_SIZE: [400, 'A chunk has a malformed size'],
  HPE_INVALID_CONTENT_LENGTH: [400, 'The Content-Length is malformed'],
  HPE_INVALID_HEADER_TOKEN: [400, 'A header is malformed'],
  HPE_INVALID_METHOD: [400, 'The method is not an HTTP method'],
  HPE_INVALID_TRANSFER_ENCODING: [
    400,
    'The Transfer-Encoding is malformed, or there is a Content-Length as well',
  ],
  HPE_INVALID_URL: [400, 'The request line is malformed'],
  HPE_INVALID_VERSION: [400, 'This version of HTTP is not supported'],
  HPE_UNEXPECTED_CONTENT_LENGTH: [
    400,
    'The Content-Length is repeated, or there is a Transfer-Encoding as well',
  ],
}

/** Answers bytes that are not an HTTP request, and closes the connection. */
export function sendClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, description] = parserProblems[error.code ?? ''] ?? [400, 'This is not HTTP']
  const { headers, body } = closingAnswer(new OAuthError('invalid_request', description))
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  const head = [`HTTP/1.1 ${status} ${STATUS_CODES[status]}`, ...lines].join('\r\n')
  socket.end(`${head}\r\n\r\n${body}`, () => socket.destroy())
}

/** Answers a request that reaches no route, and closes the connection. */
export function endWithError(response: ServerResponse, error: OAuthError): void {
  const { headers, body } = closingAnswer(error)
  response.writeHead(error.status, headers).end(body)
}

function closingAnswer(error: OAuthError) {
  const body = JSON.stringify(error.toBody())
  const headers = {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    Connection: 'close',
  }
  return { headers, body }
}

export function sendError(thrown: unknown, request: FastifyRequest, reply: FastifyReply) {
  const error = toOAuthError(thrown)
  logError(error, request)
  return reply
    .code(error.status)
    .headers({ 'cache-control': 'no-store', ...error.headers })
    .send({
      ...request.routeOptions?.config?.errorMembers,
      ...error.toBody(errorUri(error, request.server)),
    })
}

/** Logs a fault of the server with its cause as an error, and an error of the client at debug level. */
export function logError(error: OAuthError, request: FastifyRequest): void {
  const { cause, code, message, status } = error
  if (status < 500) request.log.debug({ err: cause, error: code }, message)
  else request.server.faults.report(request.log, cause ?? error, message)
}

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Further members of the route's error bodies. */
    errorMembers?: Record<string, unknown>
  }
}

/** The one writer of error bodies. */
export default fp(
  async (app) => {
    app.addSchema({ $id: 'Error', ...ErrorBody })
    app.setErrorHandler((error, request, reply) => sendError(error, request, reply))
    app.setNotFoundHandler((request, reply) => {
      const path = request.url.split('?', 1)[0] ?? ''
      const allowed = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'].filter((method) =>
        app.findRoute({ method, url: path }),
      )
      const error =
        allowed.length === 0
          ? new OAuthError('not_found', 'There is nothing at this address')
          : new OAuthError('invalid_request', `Use ${allowed.join(' or ')} here`, {
              status: 405,
              headers: { allow: allowed.join(', ') },
            })
      return sendError(error, request, reply)
    })
  },
  { name: 'errors', dependencies: ['faults', 'settings'] },
)
