import { parse } from 'node:querystring'
import formbody from '@fastify/formbody'
import { errorCodes, type FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { OAuthError } from './errors.ts'

/**
 * Parses form and query parameters. A parameter without a value counts as absent (RFC 6749 section
 * 3.1); a repeated one becomes an array, which schemas refuse.
 */
export function parseParameters(text: string): Record<string, string | string[]> {
  const parameters = parse(text, '&', '=', { maxKeys: 0 }) as Record<string, string | string[]>
  return withoutEmpty(parameters)
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

function forbiddenMember(): OAuthError {
  return new OAuthError(
    'invalid_request',
    'The body must have no member called __proto__ or constructor.prototype',
  )
}

/** The members that have a value, under the names that were sent, also `__proto__`. */
export function withoutEmpty<T>(members: Record<string, T>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== '' && value !== null),
  )
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Accepts JSON objects beside forms. An empty body counts as no body, whatever its Content-Type: many
 * clients send that header with every request.
 */
function installJsonBodies(app: FastifyInstance): void {
  app.removeContentTypeParser(['text/plain', 'application/json'])
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    const text = String(body)
    if (text === '') return done(null, undefined)
    parseJson(request, text, (error, value) => {
      if (error !== null && isJson(text)) return done(forbiddenMember())
      done(error, isObject(value) ? withoutEmpty(value) : value)
    })
  })
  app.addContentTypeParser('*', { parseAs: 'string' }, (_request, body, done) => {
    if (body === '') done(null, undefined)
    else done(new errorCodes.FST_ERR_CTP_INVALID_MEDIA_TYPE())
  })
}

/** How the bodies of requests are read. */
export default fp(
  async (app) => {
    await app.register(formbody, { parser: parseParameters })
    installJsonBodies(app)
  },
  { name: 'parameters' },
)
