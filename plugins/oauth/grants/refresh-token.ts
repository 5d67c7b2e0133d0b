import type { FastifyInstance } from 'fastify'
import type { Client, Grant } from '../../../db/store.ts'
import { scopeWords } from '../../../schemas/scope.ts'
import type { RefreshTokenRequest, TokenResponse } from '../../../schemas/token.ts'
import { OAuthError } from '../../core/errors.ts'

/**
 * Exchanges a refresh token for its successor and an access token (RFC 6749 section 6). Use of one
 * that was exchanged already revokes the grant (RFC 9700 section 4.14.2), except within
 * REFRESH_REUSE_GRACE, when it gets the same successor again. The scope may narrow for the access
 * token; the successor keeps the whole of it.
 */
export async function refresh(
  app: Pick<FastifyInstance, 'clock' | 'log' | 'settings' | 'store' | 'tokens'>,
  client: Client,
  request: RefreshTokenRequest,
): Promise<TokenResponse> {
  const presented = app.tokens.openRefreshToken(request.refresh_token)
  if (presented === undefined) throw unusable()

  const { ACCESS_TOKEN_TTL, REFRESH_TOKEN_TTL, REFRESH_REUSE_GRACE } = app.settings
  const now = app.clock.now()
  const rotation = await app.store.grants.rotate({
    ...presented,
    client_id: client.client_id,
    now,
    expires_at: now + REFRESH_TOKEN_TTL,
    grace: REFRESH_REUSE_GRACE,
    check: (grant) => void narrowedScope(request.scope, grant),
  })
  if (rotation.outcome === 'replayed') {
    const { grant_id } = rotation
    app.log.warn({ client_id: client.client_id, grant_id }, 'refresh token reused, grant revoked')
  }
  if (rotation.outcome !== 'rotated') throw unusable()

  const { grant, generation } = rotation
  const scope = narrowedScope(request.scope, grant)
  return {
    access_token: await app.tokens.signAccessToken({ ...grant, sub: grant.agent_id, scope }),
    token_type: 'Bearer',
    expires_in: ACCESS_TOKEN_TTL,
    refresh_token: app.tokens.sealRefreshToken(grant.grant_id, generation),
    scope,
  }
}

/** @throws {OAuthError} invalid_scope for a word that the grant does not have. */
function narrowedScope(requested: string | undefined, grant: Grant): string {
  const words = scopeWords(requested ?? grant.scope)
  const granted = scopeWords(grant.scope)
  if (words.length === 0 || words.some((word) => !granted.includes(word))) {
    throw new OAuthError('invalid_scope', `The scope was granted as ${grant.scope}`)
  }
  return words.join(' ')
}

function unusable(): OAuthError {
  return new OAuthError(
    'invalid_grant',
    'The refresh token is unknown, expired, used, revoked or of another client',
  )
}
