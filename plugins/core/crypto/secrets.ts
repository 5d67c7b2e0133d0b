import { createHmac, createSecretKey, hash, randomBytes, timingSafeEqual } from 'node:crypto'
import { extname, join } from 'node:path'
import { LRUCache } from 'lru-cache'
import { Piscina } from 'piscina'
import type { LiveSecret, SecretRow } from '../../../db/store.ts'
import type { Clock } from '../clock.ts'
import { OAuthError } from '../http/errors.ts'

const REMEMBERED = 10_000
const QUEUED = 1000
/** The hash of a secret that nobody knows: what an unknown id or hint is compared with. */
const NOBODY = '$2b$10$7zfK7v6LKcU2EoDGJRmEFuos71SfHQGY6SYqbXGbiJlLJ4nqItaZu'

/** A random identifier of 160 bits, known by its prefix. */
export function newId(prefix: string): string {
  return prefix + randomBytes(20).toString('base64url')
}

/** A random secret of 256 bits, known by its prefix, in characters that need no encoding. */
export function newSecret(prefix: string): string {
  return prefix + randomBytes(32).toString('base64url')
}

/** What is stored of a random token: with 256 random bits, SHA-256 is enough. */
export function hashToken(token: string): string {
  return hash('sha256', token, 'base64url')
}

/**
 * Hashes and checks the secrets of clients and agents with bcrypt, in a thread of its own. After a
 * success a fingerprint is remembered, keyed by a random key of this process and bound to the
 * stored hash, so that the next check of the same secret is cheap.
 */
export class Secrets {
  readonly #worker = new Piscina<{ secret: string; hash?: string }, string | boolean>({
    filename: join(import.meta.dirname, `bcrypt-worker${extname(import.meta.filename)}`),
    minThreads: 0,
    maxThreads: 1,
    maxQueue: QUEUED,
    idleTimeout: 10_000,
  })
  readonly #fingerprintKey = createSecretKey(randomBytes(32))
  readonly #remembered = new LRUCache<string, Buffer>({ max: REMEMBERED })
  readonly #underWay = new Map<string, Promise<boolean>>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The row that stores a secret. */
  async toRow(owner_id: string, secret: string): Promise<SecretRow> {
    return {
      owner_id,
      hint: hintOf(secret),
      bcrypt_hash: String(await this.#bcrypt({ secret })),
      created_at: this.#clock.now(),
      expires_at: null,
    }
  }

  /**
   * Whether a secret could be one of those stored, told for nothing. It tells one who guesses less
   * than he knows already, as he would need four thousand million tries for one that resembles.
   */
  resembles(secret: string, stored: LiveSecret[]): boolean {
    const hint = hintOf(secret)
    return stored.some((row) => row.hint === hint)
  }

  /**
   * Whether a secret is one of those stored. Costs one bcrypt comparison whatever is stored, also
   * when nothing is, so that an unknown id cannot be told from a wrong secret.
   * @throws {OAuthError} temporarily_unavailable when too many checks wait already.
   */
  async verify(secret: string, stored: LiveSecret[]): Promise<boolean> {
    const hint = hintOf(secret)
    const bcrypt_hash = stored.find((row) => row.hint === hint)?.bcrypt_hash ?? NOBODY
    const fingerprint = createHmac('sha256', this.#fingerprintKey)
      .update(bcrypt_hash)
      .update(secret)
      .digest()
    const remembered = this.#remembered.get(bcrypt_hash)
    if (remembered !== undefined && timingSafeEqual(remembered, fingerprint)) return true
    const matches = await this.#verifyOnce(secret, bcrypt_hash, fingerprint)
    return matches && bcrypt_hash !== NOBODY
  }

  async close(): Promise<void> {
    await this.#worker.destroy()
  }

  /** Checks of the same secret that run together share one comparison. */
  #verifyOnce(secret: string, bcrypt_hash: string, fingerprint: Buffer): Promise<boolean> {
    const name = fingerprint.toString('base64')
    let check = this.#underWay.get(name)
    if (check === undefined) {
      check = this.#bcrypt({ secret, hash: bcrypt_hash })
        .then((matches) => {
          if (matches === true) this.#remembered.set(bcrypt_hash, fingerprint)
          return matches === true
        })
        .finally(() => this.#underWay.delete(name))
      this.#underWay.set(name, check)
    }
    return check
  }

  async #bcrypt(task: { secret: string; hash?: string }): Promise<string | boolean> {
    if (this.#worker.queueSize >= QUEUED) {
      throw new OAuthError('temporarily_unavailable', 'Too many secrets are being checked', {
        headers: { 'retry-after': '5' },
      })
    }
    return await this.#worker.run(task)
  }
}

function hintOf(secret: string): string {
  return hash('sha256', secret, 'hex').slice(0, 8)
}
