import type { FastifyInstance } from 'fastify'
import { scopeWords } from '../../../schemas/scope.ts'
import type { TokenResponse } from '../../../schemas/token.ts'
import type { Client, Grant, OwnerClaims } from '../../core/core.ts'
import type { TokenSigners } from '../../core/crypto/tokens.ts'
import { audienceOf, type TokenTarget } from '../../core/registry/resources.ts'
import type { Settings } from '../../core/settings.ts'

/** What the tokens are good for: what was granted or a part of it. */
export interface Issue extends TokenTarget {
  /** The number of the refresh token; null for a client that gets none. */
  generation: number | null
  /** Where the scope of the grant gives an ID Token with the owner's address. */
  owner: OwnerClaims | undefined
  /** What signs the access token (`accessTokenAlg`), found before the grant was changed. */
  alg: string
  /** Loaded before the grant was changed. */
  signers: TokenSigners
  /** That of the authorization request, which the ID Token of a refresh does not repeat. */
  nonce?: string
}

/**
 * The token answer for a grant (RFC 6749 section 5.1): where `openid` was granted also an ID Token
 * (OpenID Connect Core sections 3.1.3.3 and 12.2), and how long the refresh token and the sign-in
 * last (draft-ietf-oauth-refresh-token-expiration-03). The grant is changed already: nothing here
 * may read the database, or an answer would say that nothing happened.
 */
export async function tokenResponse(
  app: Pick<FastifyInstance, 'clock' | 'settings' | 'tokens'>,
  client: Client,
  grant: Grant,
  { alg, generation, owner, signers, nonce, ...target }: Issue,
): Promise<TokenResponse> {
  const { scope } = target
  // The ID Token goes to the client whatever the access token is for.
  const requested = scopeWords(target.requestedScope)
  const now = app.clock.now()
  const remaining = grantEnd(app.settings, grant) - now
  const expires_in = Math.min(app.settings.ACCESS_TOKEN_TTL, remaining)
  const access_token = await app.tokens.signAccessToken(
    {
      grant,
      client_id: grant.client_id,
      scope,
      aud: audienceOf(target, app.settings),
      alg,
    },
    expires_in,
    signers,
  )
  return {
    access_token,
    token_type: 'Bearer',
    expires_in,
    ...(generation !== null && {
      refresh_token: app.tokens.sealRefreshToken(grant.grant_id, generation),
      refresh_token_timeout: grant.expires_at - now,
    }),
    ...(Number.isFinite(remaining) && { authorization_expires_in: remaining }),
    ...(requested.includes('openid') && { id_token: await signIdToken() }),
    scope,
  }

  async function signIdToken(): Promise<string> {
    const facts = {
      access_token,
      expires_in,
      ...(nonce !== undefined && { nonce }),
      profile: requested.includes('profile'),
      ...(owner !== undefined && requested.includes('email') && { owner }),
    }
    return await app.tokens.signIdToken(grant, client, facts, signers)
  }
}

/** What bounds the life of a grant, beside its use. */
type GrantBounds = Pick<Grant, 'created_at' | 'ends_at'>

/**
 * When a grant ends if nobody refreshes it for `idle` seconds, in epoch seconds: never later than
 * GRANT_TTL after the sign-in, or than the person chose who signed in.
 */
export function expiry(settings: Settings, now: number, idle: number, grant: GrantBounds): number {
  return Math.min(now + idle, grantEnd(settings, grant))
}

function grantEnd({ GRANT_TTL }: Settings, { created_at, ends_at }: GrantBounds): number {
  const oldest = GRANT_TTL === 0 ? Number.POSITIVE_INFINITY : created_at + GRANT_TTL
  return Math.min(oldest, ends_at ?? Number.POSITIVE_INFINITY)
}
