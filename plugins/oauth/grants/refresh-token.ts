import type { FastifyInstance } from 'fastify'
import type { RefreshTokenRequest, TokenResponse } from '../../../schemas/token.ts'
import type { Client } from '../../core/core.ts'
import { OAuthError } from '../../core/http/errors.ts'
import { accessTokenAlg, knownScopes, narrowTarget } from '../../core/registry/resources.ts'
import { reusePolicy } from './refresh-reuse.ts'
import { expiry, tokenResponse } from './token-response.ts'

/**
 * Exchanges a refresh token for its successor and an access token (RFC 6749 section 6). Use of one
 * that was exchanged already revokes the grant (RFC 9700 section 4.14.2), except where `reusePolicy`
 * lets it come again: then it gets the newest refresh token and an access token of its own. The scope
 * and the resources may narrow for the access token; the successor keeps the whole of them (RFC 8707
 * section 2.2).
 */
export async function refresh(
  app: Pick<FastifyInstance, 'audit' | 'clock' | 'log' | 'settings' | 'store' | 'tokens'>,
  client: Client,
  request: RefreshTokenRequest,
  address: string,
): Promise<TokenResponse> {
  const presented = app.tokens.openRefreshToken(request.refresh_token)
  if (presented === undefined) throw unusable()

  // Many clients repeat the scope of their first request; what it lost there is left out here too.
  const isKnown =
    request.scope === undefined ? undefined : await knownScopes(app.store, client.scope)
  const { REFRESH_TOKEN_TTL } = app.settings
  const signers = await app.tokens.loadSigners(client)
  const now = app.clock.now()
  const { grant_id } = presented
  const { client_id } = client
  const refreshable = await app.store.grants.findRefreshable(grant_id, client_id, now)
  if (refreshable === undefined) throw unusable()
  const { resources, owner, grant: found } = refreshable
  const expires_at = expiry(app.settings, now, REFRESH_TOKEN_TTL, found)
  if (expires_at <= now) throw unusable()
  const target = await narrowTarget(app, client, { ...found, resources }, request, isKnown)
  const alg = accessTokenAlg(target.resources, app.settings)

  const rotation = await app.store.grants.rotate({
    ...presented,
    client_id,
    now,
    expires_at,
    reuse: reusePolicy(app, client, grant_id, address),
  })
  if (rotation.outcome === 'replayed') {
    app.log.warn({ client_id, grant_id }, 'refresh token reused, grant revoked')
    await app.audit.recordRevocation(grant_id, 'A refresh token was used twice')
  }
  if (rotation.outcome !== 'rotated') throw unusable()

  const { grant, generation } = rotation
  if (rotation.hasCopies) await app.audit.recordCopies(grant, address)
  return await tokenResponse(app, client, grant, { ...target, alg, generation, owner, signers })
}

function unusable(): OAuthError {
  return new OAuthError(
    'invalid_grant',
    'The refresh token is unknown, expired, used, revoked or of another client',
    { websiteError: 'refresh-token' },
  )
}
