import type { FastifyInstance, FastifyRequest } from 'fastify'
import { scopeWords } from '../../../schemas/scope.ts'
import type { AccessTokenClaims } from '../crypto/tokens.ts'
import { OAuthError } from '../http/errors.ts'

/**
 * Whose access token a request carries, in the Authorization header or, when posted, in a form body
 * (RFC 6750 section 2), never in the query. The token has to be for this server.
 */
export function createBearerAuthentication(
  app: Pick<FastifyInstance, 'settings' | 'store' | 'tokens'>,
) {
  /** @param scopes of which the token must have at least one */
  return async function authenticateBearer(
    request: Pick<FastifyRequest, 'headers' | 'body'>,
    scopes: string[],
  ): Promise<AccessTokenClaims> {
    const token = readToken(request)
    if (token === undefined) throw challenge('invalid_token', 'An access token is required', true)
    const claims = await app.tokens.readAccessToken(token)
    if (claims === undefined || !(await app.store.grants.isAlive(claims))) {
      throw invalidToken()
    }
    // RFC 9068 section 4: otherwise an API could use here what it was sent.
    if (![claims.aud].flat().includes(app.settings.ISSUER)) {
      throw challenge('invalid_token', 'The access token is not for this server but for an API')
    }
    const granted = scopeWords(claims.scope)
    if (!scopes.some((scope) => granted.includes(scope))) {
      throw challenge('insufficient_scope', `One of the scopes ${scopes.join(' ')} is needed`)
    }
    return claims
  }
}

/** The token of an Authorization header (RFC 6750 section 2.1). */
export function bearerTokenOf(authorization: string | undefined): string | undefined {
  return authorization?.match(/^Bearer +([^ ]+) *$/i)?.[1]
}

function readToken({
  headers,
  body,
}: Pick<FastifyRequest, 'headers' | 'body'>): string | undefined {
  const inHeader = bearerTokenOf(headers.authorization)
  const form = /^application\/x-www-form-urlencoded\b/i.test(headers['content-type'] ?? '')
  const inBody = form ? (body as { access_token?: unknown } | undefined)?.access_token : undefined
  if (inBody === undefined) return inHeader
  if (headers.authorization !== undefined || typeof inBody !== 'string') {
    throw new OAuthError('invalid_request', 'Send the access token once, in one place')
  }
  return inBody
}

/** The refusal of a token that is not good any more, or never was. */
export function invalidToken(): OAuthError {
  return challenge('invalid_token', 'The access token is malformed, expired or revoked')
}

/** RFC 6750 section 3: without a token the challenge names no error. */
function challenge(
  code: 'invalid_token' | 'insufficient_scope',
  description: string,
  bare = false,
): OAuthError {
  const error = bare ? '' : `, error="${code}", error_description="${description}"`
  return new OAuthError(code, description, {
    headers: { 'www-authenticate': `Bearer realm="auth-agent"${error}` },
  })
}
