import { createPrivateKey, type KeyObject, sign } from 'node:crypto'
import { promisify } from 'node:util'
import fp from 'fastify-plugin'
import {
  type CryptoKey,
  calculateJwkThumbprint,
  exportJWK,
  generateKeyPair,
  importJWK,
  type JWK,
  type JWTPayload,
} from 'jose'
import { LRUCache } from 'lru-cache'
import { DatabaseUnavailableError, type SigningKey, type Store } from '../../../db/store.ts'
import { type Clock, isRecent } from '../clock.ts'
import { type Settings, SettingsError } from '../settings.ts'
import type { Vault } from './vault.ts'

/** For how long verifiers may keep the key set, in seconds. */
export const KEY_SET_MAX_AGE = 300
/** How long a key is published before it signs: twice what verifiers may keep. */
const PUBLISHED_AHEAD = 2 * KEY_SET_MAX_AGE
/** For how long a process uses the keys that it last read, in seconds. */
const REREAD_AFTER = 5
/** How many imported keys are cached: far more than a key set has. */
const KEYS_IN_MEMORY = 100

/** Makes a signed JWT of this `typ` (RFC 8725 section 3.11) from its claims. */
export type JwtSigner = (typ: string, claims: JWTPayload) => Promise<string>

interface Loaded {
  keys: SigningKey[]
  at: number
}

/**
 * The keys that sign tokens, one active for each algorithm. The first key of an algorithm is made on
 * its first use, since an RSA key takes a tenth of a second. Private keys are encrypted in the database.
 * Every process reads them again every few seconds, so that a rotation by one reaches all.
 */
export class KeyManager {
  readonly #store: Store
  readonly #vault: Vault
  readonly #clock: Clock
  readonly #settings: Settings
  readonly #private = new LRUCache<string, KeyObject, SigningKey>({
    max: KEYS_IN_MEMORY,
    fetchMethod: (_kid, _stale, { context }) => this.#decrypt(context),
  })
  readonly #public = new LRUCache<string, CryptoKey, SigningKey>({
    max: KEYS_IN_MEMORY,
    fetchMethod: async (_kid, _stale, { context }) =>
      (await importJWK(JSON.parse(context.public_jwk), context.alg)) as CryptoKey,
  })
  readonly #making = new Map<string, Promise<void>>()
  readonly #algs: Set<string>
  #loaded: Loaded = { keys: [], at: Number.NEGATIVE_INFINITY }

  constructor(store: Store, vault: Vault, clock: Clock, settings: Settings) {
    this.#store = store
    this.#vault = vault
    this.#clock = clock
    this.#settings = settings
    this.#algs = new Set([settings.ACCESS_TOKEN_ALG])
  }

  /** Adds algorithms that sign tokens; the key set has a key for each. */
  provide(algs: string[]): void {
    for (const alg of algs) this.#algs.add(alg)
  }

  /**
   * Makes the first key when there is none, and checks that the encryption key fits the database.
   * @throws {SettingsError} when it does not.
   */
  async start(): Promise<void> {
    const newest = (await this.#read()).at(-1)
    if (newest !== undefined) await this.#privateKey(newest)
    await this.active()
  }

  /** The active key of an algorithm; by default that of access tokens. */
  async active(alg: string = this.#settings.ACCESS_TOKEN_ALG): Promise<SigningKey> {
    const now = this.#clock.now()
    const keys = await this.#keysOf(alg)
    // A key that was active at its creation stays active when the clock is behind that time.
    const signs = ({ active_from, created_at }: SigningKey) =>
      active_from <= Math.max(now, created_at)
    const key = keys.findLast(signs) ?? keys[0]
    if (key === undefined) throw new Error(`No ${alg} key is active`)
    return key
  }

  /**
   * Loads the active key of an algorithm, by default that of access tokens. Signing with the result
   * needs no database (RFC 7515 section 7.1).
   */
  async loadSigner(alg: string = this.#settings.ACCESS_TOKEN_ALG): Promise<JwtSigner> {
    const key = await this.active(alg)
    const privateKey = await this.#privateKey(key)
    const sign = signers[alg]
    if (sign === undefined) throw new Error(`There is no signer for ${alg}`)
    return async (typ, claims) => {
      const header = { alg, kid: key.kid, typ }
      const text = `${encodeBase64url(header)}.${encodeBase64url(claims)}`
      const signature = await sign(Buffer.from(text), privateKey)
      return `${text}.${signature.toString('base64url')}`
    }
  }

  /** The signer of the active key, for each algorithm that has a key. */
  async loadSigners(): Promise<Map<string, JwtSigner>> {
    await this.active()
    const signers = new Map<string, JwtSigner>()
    for (const { alg } of await this.#read()) {
      if (!signers.has(alg)) signers.set(alg, await this.loadSigner(alg))
    }
    return signers
  }

  /** The public key of a `kid` that is in the key set, with its algorithm. */
  async find(kid: string): Promise<{ alg: string; publicKey: CryptoKey } | undefined> {
    const named = (candidate: SigningKey) => candidate.kid === kid
    let key = (await this.#read()).find(named)
    if (key === undefined && this.#loaded.at !== this.#clock.now()) {
      // Another process may have made it in the meantime. Unknown key ids cause at most one read a second.
      this.forget()
      key = (await this.#read()).find(named)
    }
    return key && { alg: key.alg, publicKey: await this.#publicKey(key) }
  }

  /**
   * The keys of all tokens that are still valid, and the next key (RFC 7517 section 5). An algorithm
   * without a key gets one, unless the database cannot be written: then nothing can be signed, either.
   */
  async publicJwks(): Promise<JWK[]> {
    try {
      for (const alg of await this.#algsInUse()) await this.#keysOf(alg)
    } catch (error) {
      if (!(error instanceof DatabaseUnavailableError)) throw error
    }
    return (await this.#read()).map(({ public_jwk }) => JSON.parse(public_jwk))
  }

  /** The keys with their times, without private parts. */
  async list(): Promise<Omit<SigningKey, 'private_jwk_encrypted'>[]> {
    return (await this.#read()).map(({ private_jwk_encrypted: _, ...key }) => key)
  }

  /**
   * Makes a key that is published now and signs when verifiers have had time to fetch it, or at once
   * with `immediately`. The old key stays in the set until its last token has expired.
   */
  async rotate(
    immediately = false,
    alg: string = this.#settings.ACCESS_TOKEN_ALG,
  ): Promise<SigningKey> {
    const keys = await this.#keysOf(alg)
    const old = keys.at(-1)
    if (old === undefined) throw new Error(`There is no ${alg} key to succeed`)
    const active_from = this.#clock.now() + (immediately ? 0 : PUBLISHED_AHEAD)
    // Not before its predecessors, also when the clock was set back: keys are sorted by this time.
    const remove_at = Math.max(
      active_from + this.#settings.ACCESS_TOKEN_TTL + REREAD_AFTER + KEY_SET_MAX_AGE,
      ...keys.map((key) => (key.remove_at ?? 0) + 1),
    )
    const key = await this.#generate(alg, active_from)
    const won = await this.#store.signingKeys.succeed(key, { kid: old.kid, remove_at })
    this.forget()
    return won ? key : ((await this.#keysOf(alg)).at(-1) ?? key)
  }

  /** Rotates each algorithm whose newest key has signed for SIGNING_KEY_TTL by `now`. */
  async rotateWhenDue(now: number = this.#clock.now()): Promise<void> {
    for (const alg of await this.#algsInUse()) {
      const newest = (await this.#read()).findLast((key) => key.alg === alg)
      if (newest && newest.active_from + this.#settings.SIGNING_KEY_TTL <= now) {
        await this.rotate(false, alg)
      }
    }
  }

  /** The algorithms that sign tokens, those that a resource requires included. */
  async #algsInUse(): Promise<Set<string>> {
    const resources = await this.#store.resources.list()
    const algs = resources.flatMap(({ access_token_alg }) => access_token_alg ?? [])
    return new Set([...this.#algs, ...algs])
  }

  /** Discards the keys, so that the next use reads the database. */
  forget(): void {
    this.#loaded = { keys: [], at: Number.NEGATIVE_INFINITY }
  }

  async #read(): Promise<SigningKey[]> {
    const now = this.#clock.now()
    if (!isRecent(this.#loaded.at, REREAD_AFTER, now)) {
      const keys = await this.#store.signingKeys.list()
      this.#loaded = {
        keys: keys.filter(({ remove_at }) => remove_at === null || remove_at > now),
        at: now,
      }
    }
    return this.#loaded.keys
  }

  /** The keys of an algorithm, oldest first; makes the first one. */
  async #keysOf(alg: string): Promise<SigningKey[]> {
    const keys = (await this.#read()).filter((key) => key.alg === alg)
    if (keys.length > 0) return keys
    let making = this.#making.get(alg)
    if (making === undefined) {
      making = this.#createFirst(alg).finally(() => this.#making.delete(alg))
      this.#making.set(alg, making)
    }
    await making
    return (await this.#read()).filter((key) => key.alg === alg)
  }

  async #createFirst(alg: string): Promise<void> {
    await this.#store.signingKeys.createFirst(await this.#generate(alg, this.#clock.now()))
    this.forget()
  }

  async #generate(alg: string, active_from: number): Promise<SigningKey> {
    const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true })
    const jwk = await exportJWK(publicKey)
    const kid = await calculateJwkThumbprint(jwk)
    const secret = JSON.stringify({ ...(await exportJWK(privateKey)), alg })
    return {
      kid,
      alg,
      public_jwk: JSON.stringify({ ...jwk, kid, alg, use: 'sig' }),
      private_jwk_encrypted: await this.#vault.encrypt(secret, kid),
      created_at: this.#clock.now(),
      active_from,
      remove_at: null,
    }
  }

  #privateKey(key: SigningKey): Promise<KeyObject> {
    return this.#private.forceFetch(key.kid, { context: key })
  }

  #publicKey(key: SigningKey): Promise<CryptoKey> {
    return this.#public.forceFetch(key.kid, { context: key })
  }

  async #decrypt({ kid, private_jwk_encrypted }: SigningKey): Promise<KeyObject> {
    let jwk: string
    try {
      jwk = await this.#vault.decrypt(private_jwk_encrypted, kid)
    } catch {
      throw new SettingsError([wrongKey(this.#settings)])
    }
    return createPrivateKey({ key: JSON.parse(jwk), format: 'jwk' })
  }
}

function wrongKey({ DATABASE_URL, ENCRYPTION_KEY, ENCRYPTION_KEY_FILE }: Settings): string {
  const file = ENCRYPTION_KEY_FILE ?? `${DATABASE_URL.slice('sqlite:'.length)}.key`
  const given = ENCRYPTION_KEY === undefined ? `ENCRYPTION_KEY_FILE=${file}` : 'ENCRYPTION_KEY'
  return `${given}: is not the key that the database ${DATABASE_URL} was made with`
}

const signInThreadPool = promisify(sign)

/**
 * How each algorithm signs (RFC 7518 section 3.1). An elliptic-curve signature takes less time than
 * passing it to another thread and back; one with RSA takes twenty times as long.
 */
const signers: Record<string, (data: Buffer, key: KeyObject) => Buffer | Promise<Buffer>> = {
  ES256: (data, key) => sign('sha256', data, { key, dsaEncoding: 'ieee-p1363' }),
  EdDSA: (data, key) => sign(null, data, key),
  RS256: (data, key) => signInThreadPool('sha256', data, key),
}

function encodeBase64url(json: object): string {
  return Buffer.from(JSON.stringify(json)).toString('base64url')
}

declare module 'fastify' {
  interface FastifyInstance {
    keys: KeyManager
  }
}

export default fp<{ vault: Vault }>(
  async (app, { vault }) => {
    const { clock, settings, store } = app
    const keys = new KeyManager(store, vault, clock, settings)
    await keys.start()
    app.decorate('keys', keys)
  },
  { name: 'keys', dependencies: ['clock', 'settings', 'store'] },
)
