import { Type } from '@sinclair/typebox'

/** The errors that every route can answer. */
const ALWAYS: Record<number, string> = {
  400: 'The request is malformed (`invalid_request`)',
  431: 'The request line and headers are too large (`invalid_request`)',
  500: 'The server failed to handle the request (`server_error`)',
  503: 'The server is busy (`temporarily_unavailable`); `Retry-After` tells when to try again',
}

/** The errors that every route with a body can answer as well. */
export const BODY_ERRORS: Record<number, string> = {
  408: 'The body took too long to arrive (`invalid_request`)',
  413: 'The body is too large (`invalid_request`)',
  415: 'The Content-Type is not supported (`invalid_request`)',
}

const RETRY_AFTER = {
  'Retry-After': { type: 'integer', description: 'When to try again, in seconds' },
}
const CHALLENGE = {
  'WWW-Authenticate': { type: 'string', description: 'How to authenticate (RFC 9110)' },
}

/** The caching headers of a document. */
export const CACHE_HEADERS = {
  ETag: { type: 'string', description: 'The version of the document (RFC 9110 section 8.8.3)' },
  'Cache-Control': { type: 'string', description: 'For how long to keep the document' },
}

/**
 * Response schemas of the errors of a route, by status, each with its meaning there; those that every
 * route can answer are added. Errors are thrown, never returned, so no handler's type contains them.
 * @param asPage whether a browser gets the error as a page
 * @param challenge whether a refusal comes with WWW-Authenticate
 */
export function errors(
  descriptions: Record<number, string> = {},
  { asPage = false, challenge = false }: { asPage?: boolean; challenge?: boolean } = {},
): object {
  const content = {
    'application/json': { schema: Type.Ref('Error#') },
    ...(asPage && { 'text/html': { schema: Type.String() } }),
  }
  const responses: Record<string, object> = {}
  for (const [status, description] of Object.entries({ ...ALWAYS, ...descriptions })) {
    const headers = {
      ...((status === '429' || status === '503') && RETRY_AFTER),
      ...(challenge && (status === '401' || status === '403') && CHALLENGE),
    }
    responses[status] = { description, headers, content }
  }
  return responses
}

/** Response schema of a status without a body. */
export function noBody(description: string, headers: Record<string, object> = {}): object {
  return { description, headers, type: 'null' }
}

/** Response schema of a text that is not JSON. */
export function text(mediaType: string, description: string) {
  return { description, content: { [mediaType]: { schema: Type.String() } } }
}

/** Response schemas of a JSON document that clients cache and revalidate by its entity tag. */
export function cachedDocument(description: string): object {
  return {
    200: {
      description,
      headers: CACHE_HEADERS,
      content: {
        'application/json': { schema: { type: 'object', additionalProperties: true } },
      },
    },
    304: noBody('The document is the one that If-None-Match names', CACHE_HEADERS),
  }
}
