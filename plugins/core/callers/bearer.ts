import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { scopeWords } from '../../../schemas/scope.ts'
import type { AccessTokenClaims } from '../crypto/tokens.ts'
import { bearerChallenge } from '../http/challenges.ts'
import { OAuthError } from '../http/errors.ts'

/**
 * Authenticates a caller by its access token, from the Authorization header or a form body (RFC 6750
 * section 2), never from the query. The audience of the token must include this server.
 */
export function createBearerAuthentication(
  parts: Pick<FastifyInstance, 'settings' | 'store' | 'tokens'>,
) {
  /** @param scopes of which the token must have at least one */
  return async function authenticateBearer(
    request: Pick<FastifyRequest, 'headers' | 'body'>,
    scopes: string[],
  ): Promise<AccessTokenClaims> {
    const token = readToken(request)
    if (token === undefined) {
      throw new OAuthError('invalid_token', 'An access token is required', {
        headers: bearerChallenge(),
      })
    }
    const claims = await parts.tokens.readAccessToken(token)
    if (claims === undefined || !(await parts.store.grants.isAlive(claims))) {
      throw invalidToken()
    }
    // RFC 9068 section 4: otherwise an API could use the tokens that it receives here.
    if (![claims.aud].flat().includes(parts.settings.ISSUER)) {
      throw bearerError('invalid_token', 'The access token is not for this server but for an API')
    }
    const granted = scopeWords(claims.scope)
    if (!scopes.some((scope) => granted.includes(scope))) {
      throw bearerError('insufficient_scope', `One of the scopes ${scopes.join(' ')} is needed`)
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

/** The error for an invalid access token, the same for every reason. */
export function invalidToken(): OAuthError {
  return bearerError('invalid_token', 'The access token is malformed, expired or revoked')
}

function bearerError(
  code: 'invalid_token' | 'insufficient_scope',
  description: string,
): OAuthError {
  return new OAuthError(code, description, { headers: bearerChallenge({ code, description }) })
}

declare module 'fastify' {
  interface FastifyInstance {
    authenticateBearer: ReturnType<typeof createBearerAuthentication>
  }
}

export default fp(
  async (app) => {
    const { settings, store, tokens } = app
    app.decorate('authenticateBearer', createBearerAuthentication({ settings, store, tokens }))
  },
  { name: 'authenticateBearer', dependencies: ['settings', 'store', 'tokens'] },
)
