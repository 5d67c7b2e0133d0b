import { parse } from 'node:querystring'
import type { FastifyInstance } from 'fastify'

/**
 * Form and query parameters; one without a value counts as absent (RFC 6749 section 3.1), one that
 * is repeated is an array, which no schema accepts.
 */
export function parseParameters(text: string): Record<string, string | string[]> {
  const parameters = parse(text, '&', '=', { maxKeys: 0 }) as Record<string, string | string[]>
  return withoutEmpty(parameters)
}

/** Beside forms, bodies may be JSON objects that say the same; plain text is none. */
export function installJsonBodies(app: FastifyInstance): void {
  app.removeContentTypeParser(['text/plain', 'application/json'])
  const parseJson = app.getDefaultJsonParser('error', 'error')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    parseJson(request, String(body), (error, value) => {
      done(error, isObject(value) ? withoutEmpty(value) : value)
    })
  })
}

/** The members that have a value; named as they were sent, `__proto__` too. */
function withoutEmpty<T>(members: Record<string, T>): Record<string, T> {
  return Object.fromEntries(
    Object.entries(members).filter(([, value]) => value !== '' && value !== null),
  )
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
