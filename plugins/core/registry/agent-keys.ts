import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
} from 'jose'
import { LRUCache } from 'lru-cache'
import type { AgentKey } from '../../../db/store.ts'
import type { Actor } from '../audit/audit.ts'
import { OAuthError } from '../http/errors.ts'
import { isObject } from '../http/parameters.ts'

/** RFC 7518 section 3.4, RFC 8037 section 3.1, RFC 9864 section 2.2. */
export const AGENT_KEY_ALGS = ['ES256', 'EdDSA', 'Ed25519']
/** How many keys an agent may have: enough to replace them one by one. */
const KEYS_PER_AGENT = 10
/** How many imported keys a process keeps. */
const IMPORTED = 10_000

/**
 * A JSON Web Key that a person pasted; whether it can be registered is not checked here.
 * @throws {OAuthError} invalid_request
 */
export function readJwk(text: string): JWK {
  try {
    const jwk: unknown = JSON.parse(text)
    if (isObject(jwk)) return jwk
  } catch {}
  throw invalidKey('must be one public JSON Web Key: { "kty": … }')
}

/** The public keys by which agents prove themselves. Private keys are never stored. */
export class AgentKeys {
  readonly #parts: Pick<FastifyInstance, 'audit' | 'clock' | 'store'>
  /** By their text. */
  readonly #imported = new LRUCache<string, CryptoKey, string>({
    max: IMPORTED,
    fetchMethod: async (public_jwk, _stale, { context: alg }) =>
      (await importJWK(JSON.parse(public_jwk), alg)) as CryptoKey,
  })

  constructor(parts: Pick<FastifyInstance, 'audit' | 'clock' | 'store'>) {
    this.#parts = parts
  }

  /**
   * Registers a public JSON Web Key of an agent, under its own `kid` or else its thumbprint (RFC
   * 7638).
   * @throws {OAuthError} invalid_request for a key that is private, of another kind or known
   *   already; not_found for an unknown agent
   */
  async add(agent_id: string, jwk: JWK, by: Actor = {}): Promise<AgentKey> {
    const key = await this.#toRow(agent_id, jwk)
    const { outcome } = await this.#parts.store.agentKeys.add(
      key,
      KEYS_PER_AGENT,
      this.#event(agent_id, 'added', key.kid, by),
    )
    if (outcome === 'unknown_agent') throw new OAuthError('not_found', `There is no ${agent_id}`)
    if (outcome === 'registered_before')
      throw invalidKey(`has the kid ${key.kid}, which another key of the agent has`)
    if (outcome === 'too_many')
      throw invalidKey(`cannot be added: the agent has ${KEYS_PER_AGENT} keys, remove one first`)
    return key
  }

  /**
   * Whether a key could be registered for an agent that has none.
   * @throws {OAuthError} invalid_request
   */
  async assertKey(jwk: JWK): Promise<void> {
    await this.#toRow('', jwk)
  }

  /** Makes a key pair and registers its public key; the private key is only in this answer. */
  async generate(agent_id: string, by: Actor = {}): Promise<{ key: AgentKey; private_jwk: JWK }> {
    const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
    const key = await this.add(agent_id, await exportJWK(publicKey), by)
    const { kid, alg } = key
    return { key, private_jwk: { ...(await exportJWK(privateKey)), kid, alg, use: 'sig' } }
  }

  /**
   * @param compromised whether all sign-ins of the agent end, since a thief may have made them
   * @throws {OAuthError} not_found
   */
  async remove(agent_id: string, kid: string, compromised = false, by: Actor = {}): Promise<void> {
    const event = this.#event(agent_id, 'removed', kid, by)
    if (await this.#parts.store.agentKeys.remove(agent_id, kid, compromised, event)) return
    throw new OAuthError('not_found', `${agent_id} has no key ${kid}`)
  }

  list(agent_id: string): Promise<AgentKey[]> {
    return this.#parts.store.agentKeys.list(agent_id)
  }

  /** The key, ready to verify with. */
  import({ public_jwk, alg }: Pick<AgentKey, 'public_jwk' | 'alg'>): Promise<CryptoKey> {
    return this.#imported.forceFetch(public_jwk, { context: alg })
  }

  #event(agent_id: string, outcome: string, kid: string, by: Actor) {
    return this.#parts.audit.toRow({ event: 'key', outcome, agent_id, detail: kid, ...by })
  }

  async #toRow(agent_id: string, jwk: JWK): Promise<AgentKey> {
    const { kty, crv, x, y } = jwk
    if (jwk.d !== undefined || jwk.k !== undefined) {
      throw invalidKey(
        'is private: register only its public part, and leave the private part with the agent',
      )
    }
    const alg = kty === 'EC' && crv === 'P-256' ? 'ES256' : crv === 'Ed25519' ? 'EdDSA' : undefined
    if (alg === undefined) throw invalidKey('must be an EC key on P-256 or an OKP key on Ed25519')
    const isEd25519 = alg === 'EdDSA' && jwk.alg === 'Ed25519'
    if (jwk.alg !== undefined && jwk.alg !== alg && !isEd25519)
      throw invalidKey(`must be for ${alg}`)
    if (jwk.use !== undefined && jwk.use !== 'sig') throw invalidKey('must be for signatures')
    const members: JWK = alg === 'ES256' ? { kty, crv, x, y } : { kty, crv, x }
    try {
      await importJWK(members, alg)
    } catch (cause) {
      throw invalidKey('is not a JSON Web Key', cause)
    }
    const kid = jwk.kid ?? (await calculateJwkThumbprint(members))
    if (typeof kid !== 'string' || !/^[\x21-\x7e]{1,255}$/.test(kid)) {
      throw invalidKey('must have a kid of 1 to 255 visible ASCII characters, or none')
    }
    return {
      agent_id,
      kid,
      alg,
      public_jwk: JSON.stringify({ ...members, kid, alg, use: 'sig' }),
      created_at: this.#parts.clock.now(),
    }
  }
}

function invalidKey(text: string, cause?: unknown): OAuthError {
  return new OAuthError('invalid_request', `The key ${text}`, { cause })
}

declare module 'fastify' {
  interface FastifyInstance {
    agentKeys: AgentKeys
  }
}

export default fp(
  async (app) => {
    const { audit, clock, store } = app
    app.decorate('agentKeys', new AgentKeys({ audit, clock, store }))
  },
  { name: 'agentKeys', dependencies: ['audit', 'clock', 'store'] },
)
