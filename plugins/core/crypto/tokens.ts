import { hash, randomUUID } from 'node:crypto'
import fp from 'fastify-plugin'
import {
  decodeProtectedHeader,
  errors,
  type JWTPayload,
  type JWTVerifyOptions,
  jwtVerify,
} from 'jose'
import { LRUCache } from 'lru-cache'
import type { Client, Grant, OwnerClaims } from '../../../db/store.ts'
import { PREFIXES } from '../../../schemas/identifier.ts'
import { AGENT_ACR } from '../../../schemas/openid.ts'
import type { Clock } from '../clock.ts'
import type { Settings } from '../settings.ts'
import type { JwtSigner, KeyManager } from './keys.ts'
import type { Vault } from './vault.ts'

/**
 * RFC 9068 section 2.2, plus the model that acts and the grant of the token. A token of the client's own
 * (client_credentials) has neither, and its subject is the client.
 */
export interface AccessTokenClaims extends JWTPayload {
  iss: string
  sub: string
  /** This server, or the resources that the token is for. */
  aud: string | string[]
  client_id: string
  scope: string
  iat: number
  exp: number
  jti: string
  /** How and when the agent or person authenticated (RFC 9068 section 2.2.1). */
  auth_time?: number
  acr?: string
  amr?: string[]
  model?: string
  /** Beside a `sub` that is the agent's owner. */
  agent_id?: string
  grant_id?: string
}

/** OpenID Connect Core section 2, plus the model that acts. */
export interface IdTokenClaims extends JWTPayload {
  iss: string
  sub: string
  aud: string
  exp: number
  iat: number
  /** When the agent authenticated, also in the ID Token of a refresh. */
  auth_time: number
  nonce?: string
  at_hash: string
  acr: string
  amr: string[]
  /** Where the scope has `profile`. */
  model?: string
  /** Beside a `sub` that is the agent's owner. */
  agent_id?: string
  email?: string
  /** Whether its owner has proved it, or the operator vouches for it (OpenID Connect Core section 5.1). */
  email_verified?: boolean
  /** The sign-in (OpenID Connect Back-Channel Logout 1.0 section 2.1). Older ID Tokens have none. */
  sid?: string
}

/** The signers of a token answer. */
export interface TokenSigners {
  /** By algorithm: a resource may have one of its own. */
  accessTokens: Map<string, JwtSigner>
  idToken: JwtSigner
}

/** How long a logout token lives, in seconds: section 2.4 recommends two minutes at most. */
const LOGOUT_TOKEN_TTL = 120

/** How many verified access tokens are remembered. */
const VERIFIED = 10_000

/** Makes and reads every token of this server. Reading an invalid token returns undefined. */
export class Tokens {
  readonly #keys: KeyManager
  readonly #vault: Vault
  readonly #clock: Clock
  readonly #settings: Settings
  readonly #verified = new LRUCache<string, { kid: string; claims: AccessTokenClaims }>({
    max: VERIFIED,
  })

  constructor(keys: KeyManager, vault: Vault, clock: Clock, settings: Settings) {
    this.#keys = keys
    this.#vault = vault
    this.#clock = clock
    this.#settings = settings
  }

  /**
   * Loads the signers for the tokens of a client. Call this before the act that issues the tokens:
   * between the commit of that act and the answer, nothing may fail.
   */
  async loadSigners(client: Pick<Client, 'id_token_signed_response_alg'>): Promise<TokenSigners> {
    const idToken = await this.#keys.loadSigner(client.id_token_signed_response_alg)
    return { accessTokens: await this.#keys.loadSigners(), idToken }
  }

  /** A signed JWT access token (RFC 9068) that lives for `expires_in` seconds. */
  async signAccessToken(
    facts: Pick<AccessTokenClaims, 'client_id' | 'scope'> & {
      /** Whose token it is; without one, the client's own. */
      grant?: Grant
      /** By default this server. */
      aud?: string | string[] | undefined
      /** By default ACCESS_TOKEN_ALG. */
      alg?: string | undefined
    },
    expires_in: number = this.#settings.ACCESS_TOKEN_TTL,
    signers?: TokenSigners,
  ): Promise<string> {
    const now = this.#clock.now()
    const claims: AccessTokenClaims = {
      iss: this.#settings.ISSUER,
      sub: facts.client_id,
      aud: facts.aud ?? this.#settings.ISSUER,
      client_id: facts.client_id,
      scope: facts.scope,
      iat: now,
      exp: now + expires_in,
      jti: `at_${randomUUID()}`,
      ...(facts.grant !== undefined && {
        ...describeSubject(facts.grant),
        ...describeModel(facts.grant),
        grant_id: facts.grant.grant_id,
      }),
    }
    const alg = facts.alg ?? this.#settings.ACCESS_TOKEN_ALG
    const sign = signers?.accessTokens.get(alg) ?? (await this.#keys.loadSigner(alg))
    return await sign('at+jwt', claims)
  }

  /**
   * The claims of an access token that this server signed and that has not expired. The signature is
   * verified once; after that the token is recognized by its SHA-256 while its key is in the key set.
   */
  async readAccessToken(token: string): Promise<AccessTokenClaims | undefined> {
    const digest = hash('sha256', token, 'base64url')
    const known = this.#verified.get(digest)
    if (known !== undefined) {
      const valid = known.claims.exp > this.#clock.now() && (await this.#keys.find(known.kid))
      return valid ? known.claims : undefined
    }
    const claims = await this.#verify<AccessTokenClaims>(token, {
      typ: 'at+jwt',
      currentDate: new Date(this.#clock.now() * 1000),
      requiredClaims: ['sub', 'client_id', 'exp', 'iat', 'jti'],
    })
    const { kid } = claims ? decodeProtectedHeader(token) : {}
    if (claims !== undefined && kid !== undefined) {
      this.#verified.set(digest, { kid, claims: Object.freeze(claims) })
    }
    return claims
  }

  /**
   * A signed ID Token for the client of the grant (OpenID Connect Core sections 2 and 3.1.3.6). It
   * has no `azp`: its one audience is the client that asked.
   */
  async signIdToken(
    grant: Grant,
    { client_id }: Pick<Client, 'client_id'>,
    facts: {
      access_token: string
      expires_in: number
      nonce?: string
      /** Whether the scope has `profile`, which tells the model. */
      profile: boolean
      /** Where the scope has `email`. */
      owner?: OwnerClaims
    },
    signers: TokenSigners,
  ): Promise<string> {
    const now = this.#clock.now()
    const claims: IdTokenClaims = {
      iss: this.#settings.ISSUER,
      ...describeSubject(grant),
      aud: client_id,
      exp: now + facts.expires_in,
      iat: now,
      ...(facts.nonce !== undefined && { nonce: facts.nonce }),
      at_hash: halfHash(facts.access_token),
      ...(facts.profile && describeModel(grant)),
      sid: grant.grant_id,
      ...(facts.owner !== undefined && {
        email: facts.owner.email,
        email_verified: facts.owner.email_verified,
      }),
    }
    return await signers.idToken('JWT', claims)
  }

  /**
   * A signed token that tells a client of the end of a sign-in (OpenID Connect Back-Channel Logout 1.0
   * section 2.4).
   */
  async signLogoutToken(
    { client_id, id_token_signed_response_alg }: Client,
    { sub, grant_id }: { sub: string; grant_id: string },
  ): Promise<string> {
    const now = this.#clock.now()
    const sign = await this.#keys.loadSigner(id_token_signed_response_alg)
    return await sign('logout+jwt', {
      iss: this.#settings.ISSUER,
      sub,
      aud: client_id,
      iat: now,
      exp: now + LOGOUT_TOKEN_TTL,
      jti: `lt_${randomUUID()}`,
      events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
      sid: grant_id,
    })
  }

  /**
   * The claims of an ID Token that this server signed, for the client where one is named, however old
   * it is.
   */
  async readIdToken(token: string, client_id?: string): Promise<IdTokenClaims | undefined> {
    return await this.#verify<IdTokenClaims>(token, {
      typ: 'JWT',
      ...(client_id !== undefined && { audience: client_id }),
      currentDate: new Date(0),
      requiredClaims: ['sub', 'auth_time'],
    })
  }

  async #verify<Claims>(
    token: string,
    options: JWTVerifyOptions,
  ): Promise<(Claims & JWTPayload) | undefined> {
    try {
      const { payload } = await jwtVerify<Claims>(
        token,
        async ({ kid, alg }) => {
          const key = kid === undefined ? undefined : await this.#keys.find(kid)
          if (key === undefined || key.alg !== alg) throw new errors.JWKSNoMatchingKey()
          return key.publicKey
        },
        { issuer: this.#settings.ISSUER, ...options },
      )
      return payload
    } catch (error) {
      if (error instanceof errors.JOSEError) return undefined
      throw error
    }
  }

  /** A keyed hash of the network that a grant's token was used from. It reveals nothing without the key. */
  hashNetwork(grant_id: string, network: string): string {
    return this.#vault.fingerprint('network', `${grant_id} ${network}`).slice(0, 16)
  }

  /** The authorization code of a request. */
  sealCode(request_id: string): string {
    return this.#vault.seal(PREFIXES.authorization_code, Buffer.from(request_id))
  }

  /** The request whose authorization code this is. */
  openCode(code: string): string | undefined {
    return this.#vault.unseal(PREFIXES.authorization_code, code)?.toString()
  }

  /** The refresh token of a grant with this number; each rotation counts one up. */
  sealRefreshToken(grant_id: string, generation: number): string {
    return this.#vault.seal(PREFIXES.refresh_token, Buffer.from(`${generation}.${grant_id}`))
  }

  /** The grant and generation of a refresh token. */
  openRefreshToken(token: string): { grant_id: string; generation: number } | undefined {
    const [, generation, grant_id] =
      this.#vault
        .unseal(PREFIXES.refresh_token, token)
        ?.toString()
        .match(/^(\d+)\.(.+)$/) ?? []
    if (generation === undefined || grant_id === undefined) return undefined
    return { grant_id, generation: Number(generation) }
  }
}

/** Who authenticated, when and how. Every token of a grant, and what is told of it, says the same. */
export function describeSubject({ agent_id, subject, auth_time, created_at, acr, amr }: Grant) {
  return {
    sub: subject ?? agent_id,
    ...(subject !== null && { agent_id }),
    auth_time: auth_time ?? created_at,
    acr: acr ?? AGENT_ACR,
    amr: amr.split(' '),
  }
}

/** The model that acts; a person has none. */
export function describeModel({ model }: Pick<Grant, 'model'>): { model?: string } {
  return model === '' ? {} : { model }
}

/** The left half of the SHA-256, which goes with RS256 and ES256 (OpenID Connect Core 3.1.3.6). */
function halfHash(token: string): string {
  return hash('sha256', token, 'buffer').subarray(0, 16).toString('base64url')
}

declare module 'fastify' {
  interface FastifyInstance {
    tokens: Tokens
  }
}

export default fp<{ vault: Vault }>(
  async (app, { vault }) => {
    const { clock, keys, settings } = app
    app.decorate('tokens', new Tokens(keys, vault, clock, settings))
  },
  { name: 'tokens', dependencies: ['clock', 'keys', 'settings'] },
)
