import type { FastifyInstance } from 'fastify'
import type { AuthorizationCodeRequest, TokenResponse } from '../../../schemas/token.ts'
import { type Client, standing } from '../../core/core.ts'
import { OAuthError } from '../../core/http/errors.ts'
import { accessTokenAlg, narrowTarget } from '../../core/registry/resources.ts'
import { reusePolicy } from './refresh-reuse.ts'
import { expiry, tokenResponse } from './token-response.ts'

/**
 * Redeems an authorization code (RFC 6749 section 4.1.3, RFC 7636 section 4.6). It works once; a
 * second, otherwise valid use revokes the grant (section 4.1.2).
 */
export async function redeemAuthorizationCode(
  app: Pick<
    FastifyInstance,
    'audit' | 'clock' | 'log' | 'settings' | 'store' | 'tokens' | 'verifyPkce'
  >,
  client: Client,
  { code, code_verifier, redirect_uri, resource }: AuthorizationCodeRequest,
  address: string,
): Promise<TokenResponse> {
  if (code_verifier === undefined) {
    throw new OAuthError('invalid_grant', 'code_verifier is required', {
      websiteError: 'code-verifier',
    })
  }
  const request_id = app.tokens.openCode(code)
  if (request_id === undefined) throw unusable()

  const { ACCESS_TOKEN_TTL, REFRESH_TOKEN_TTL } = app.settings
  const signers = await app.tokens.loadSigners(client)
  const now = app.clock.now()
  const { client_id } = client
  const presented = await app.store.grants.findCode(request_id, client_id, now)
  if (presented === undefined) throw unusable()
  const { request, grant_id, granted_at: created_at, ends_at, resources, owner } = presented
  const refreshable = presented.refreshable && client.grant_types.includes('refresh_token')
  const idle = refreshable ? REFRESH_TOKEN_TTL : ACCESS_TOKEN_TTL
  if (redirect_uri !== undefined && redirect_uri !== request.redirect_uri) {
    throw new OAuthError(
      'invalid_grant',
      'redirect_uri is not the one of the authorization request',
      { websiteError: 'redirect-uri' },
    )
  }
  if (!app.verifyPkce(code_verifier, request.code_challenge)) {
    throw new OAuthError('invalid_grant', 'code_verifier does not match the code_challenge', {
      websiteError: 'code-verifier',
    })
  }
  const target = await narrowTarget(app, client, { ...request, resources }, { resource })
  const alg = accessTokenAlg(target.resources, app.settings)
  const expires_at = expiry(app.settings, now, idle, { created_at, ends_at })
  if (standing(request, now) !== 'redeemed' && expires_at <= now) throw unusable()

  const redemption = await app.store.grants.redeemCode({
    request_id,
    grant_id,
    now,
    expires_at,
    refresh_generation: refreshable ? 0 : null,
    reuse: reusePolicy(app, client, grant_id, address),
  })
  if (redemption.outcome === 'replayed') {
    app.log.warn({ client_id, grant_id }, 'code replayed, grant revoked')
    await app.audit.recordRevocation(grant_id, 'Its code was used twice')
  }
  if (redemption.outcome !== 'redeemed') throw unusable()

  const { grant } = redemption
  return await tokenResponse(app, client, grant, {
    ...target,
    alg,
    generation: grant.refresh_generation,
    owner,
    signers,
    nonce: request.nonce ?? undefined,
  })
}

function unusable(): OAuthError {
  return new OAuthError(
    'invalid_grant',
    'The code is unknown, expired, used or of another client',
    {
      websiteError: 'code',
    },
  )
}
