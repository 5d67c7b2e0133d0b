import { STATUS_CODES } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { DatabaseUnavailableError } from '../../../db/store.ts'
import type { ErrorBody, ErrorCode } from '../../../schemas/error.ts'

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
  /** Where the code's usual status does not fit. */
  status?: number
  headers?: Record<string, string>
  /** For the log alone. */
  cause?: unknown
}

/** What a client did wrong, in words that it may read. */
export class OAuthError extends Error {
  override name = 'OAuthError'
  readonly code: ErrorCode
  readonly status: number
  readonly headers: Record<string, string>

  constructor(code: ErrorCode, description: string, options: OAuthErrorOptions = {}) {
    super(describable(description), { cause: options.cause })
    this.code = code
    this.status = options.status ?? statusOf[code]
    this.headers = options.headers ?? {}
  }

  toBody(): ErrorBody {
    return { error: this.code, error_description: this.message }
  }
}

/** What a description echoes of a request is cut off here. */
const MAX_DESCRIPTION = 300

/** RFC 6749 section 5.2: %x20-21 / %x23-5B / %x5D-7E. */
function describable(text: string): string {
  const safe = text.replace(/"/g, "'").replace(/[^\x20-\x21\x23-\x5b\x5d-\x7e]/g, '?')
  return safe.length > MAX_DESCRIPTION ? `${safe.slice(0, MAX_DESCRIPTION - 3)}...` : safe
}

/** Whatever was thrown, as the error that the client is told. */
export function toOAuthError(error: unknown): OAuthError {
  if (error instanceof OAuthError) return error
  if (error instanceof DatabaseUnavailableError) {
    return new OAuthError('temporarily_unavailable', 'The database is busy, try again', {
      headers: { 'retry-after': '1' },
      cause: error,
    })
  }
  const { statusCode, validation, code, message } = error as FastifyError
  if (validation?.[0] !== undefined) return fromValidation(validation[0] as ValidationProblem)
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500) {
    return new OAuthError('invalid_request', frameworkProblems[code] ?? message, {
      status: statusCode,
    })
  }
  return new OAuthError('server_error', 'Something broke on this server', { cause: error })
}

/** Better words, or less of the request in them, than Fastify's own. */
const frameworkProblems: Record<string, string> = {
  FST_ERR_BAD_URL: 'The path has a malformed percent-encoding',
  FST_ERR_CTP_INVALID_MEDIA_TYPE:
    'The Content-Type must be application/x-www-form-urlencoded or application/json',
}

/** What Ajv reports, and, with its `verbose` option, the value that it is about. */
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

/** The one writer of error bodies. */
export function installErrors(app: FastifyInstance): void {
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
}

/** What Node's HTTP parser gives up on, by its code. */
const parserProblems: Record<string, [status: number, description: string]> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'The request took too long to arrive'],
  HPE_HEADER_OVERFLOW: [431, 'The request line and headers are too large'],
}

/** Answers what is not even a request; the connection ends with it. */
export function sendClientError(error: Error & { code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, description] = parserProblems[error.code ?? ''] ?? [400, 'This is not HTTP']
  const body = JSON.stringify(new OAuthError('invalid_request', description).toBody())
  const head = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    'Content-Type: application/json; charset=utf-8',
    `Content-Length: ${Buffer.byteLength(body)}`,
    'Cache-Control: no-store',
    'Connection: close',
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${body}`, () => socket.destroy())
}

export function sendError(thrown: unknown, request: FastifyRequest, reply: FastifyReply) {
  const error = toOAuthError(thrown)
  if (error.status >= 500) request.log.error({ err: error.cause ?? error }, error.message)
  else request.log.debug({ err: error.cause, error: error.code }, error.message)
  return reply
    .code(error.status)
    .headers({ 'cache-control': 'no-store', ...error.headers })
    .send({ ...request.routeOptions?.config?.errorMembers, ...error.toBody() })
}
