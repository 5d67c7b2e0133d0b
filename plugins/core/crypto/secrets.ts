import {
  createHmac,
  createSecretKey,
  hash,
  randomBytes,
  randomInt,
  timingSafeEqual,
} from 'node:crypto'
import { extname, join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import fp from 'fastify-plugin'
import { LRUCache } from 'lru-cache'
import { Piscina, queueOptionsSymbol } from 'piscina'
import type { LiveSecret, SecretRow } from '../../../db/store.ts'
import type { Prefix } from '../../../schemas/identifier.ts'
import type { Clock } from '../clock.ts'
import { OAuthError } from '../http/errors.ts'
import type { BcryptResult, BcryptTask } from './bcrypt-worker.ts'
import { ChecksFirst, NEW_SECRET } from './checks-first.ts'

/** What a new secret costs to hash, as a power of two. */
const ROUNDS = 10
const REMEMBERED = 10_000
const CHECKS_QUEUED = 1000
const NEW_SECRETS_QUEUED = 20
const GUESSES_WAITING = 1000
/** How many durations of checks are kept; the wait of a wrong guess is one of them. */
const DURATIONS = 32
/** The hash of an unknown secret. The first guess is compared with it to measure the duration. */
const NOBODY = '$2b$10$7zfK7v6LKcU2EoDGJRmEFuos71SfHQGY6SYqbXGbiJlLJ4nqItaZu'

/** A random identifier of 160 bits with this prefix. */
export function newId(prefix: Prefix): string {
  return prefix + randomBytes(20).toString('base64url')
}

/** A random secret of 256 bits with this prefix, in characters that need no encoding. */
export function newSecret(prefix: Prefix): string {
  return prefix + randomBytes(32).toString('base64url')
}

/** The stored hash of a random token: SHA-256 is enough for 256 random bits. */
export function hashToken(token: string): string {
  return hash('sha256', token, 'base64url')
}

/** What waits for the thread. */
const queue = new ChecksFirst()

/**
 * The thread, one for all instances of this process: a new one takes as long to start and to compile
 * bcrypt as several checks. It ends when it has been idle, and keeps no process from ending.
 */
const worker = new Piscina<BcryptTask, BcryptResult>({
  filename: join(import.meta.dirname, `bcrypt-worker${extname(import.meta.filename)}`),
  minThreads: 0,
  maxThreads: 1,
  taskQueue: queue,
  maxQueue: CHECKS_QUEUED + NEW_SECRETS_QUEUED,
  idleTimeout: 10_000,
})

/**
 * Hashes and checks the secrets of clients and agents with bcrypt, in a separate thread. A correct
 * secret is remembered by a fingerprint with a random key of this process, bound to the stored hash, so
 * that the next check of the same secret is cheap.
 */
export class Secrets {
  readonly #fingerprintKey = createSecretKey(randomBytes(32))
  readonly #remembered = new LRUCache<string, Buffer>({ max: REMEMBERED })
  readonly #underWay = new Map<string, Promise<boolean>>()
  /** The durations of the latest checks, in milliseconds. */
  readonly #durations: number[] = []
  #firstDuration: Promise<unknown> | undefined
  #guessesWaiting = 0
  #workDone = 0
  readonly #clock: Clock
  readonly #rounds: number

  constructor(clock: Clock, rounds = ROUNDS) {
    this.#clock = clock
    this.#rounds = rounds
  }

  /**
   * The row that stores a new secret.
   * @throws {OAuthError} temporarily_unavailable when too many are waiting
   */
  async toRow(holder_id: string, secret: string): Promise<SecretRow> {
    if (queue.newSecrets >= NEW_SECRETS_QUEUED) throw busy('Too many secrets are being made')
    const task = { secret, rounds: this.#rounds, [queueOptionsSymbol]: NEW_SECRET }
    const { value } = await this.#run(task)
    return {
      holder_id,
      hint: hintOf(secret),
      bcrypt_hash: String(value),
      created_at: this.#clock.now(),
      expires_at: null,
    }
  }

  /**
   * The stored secret whose hint matches. The hint is 32 bits of SHA-256: comparing it costs nothing
   * and reveals nothing useful, since a guess matches with a probability of 1 in 4 billion.
   */
  findResembling(secret: string, stored: LiveSecret[]): LiveSecret | undefined {
    const hint = hintOf(secret)
    return stored.find((row) => row.hint === hint)
  }

  /**
   * Whether a secret is the stored one whose hint it matches. A secret that matches no hint waits as
   * long as a check takes, without using the thread: so a guess does not delay other callers, and an
   * unknown identifier looks the same as a wrong secret.
   * @throws {OAuthError} temporarily_unavailable when too many checks or guesses are waiting
   */
  async verify(secret: string, resembling: LiveSecret | undefined): Promise<boolean> {
    const bcrypt_hash = resembling?.bcrypt_hash
    if (bcrypt_hash === undefined) {
      await this.#waitAsLong()
      return false
    }
    const fingerprint = createHmac('sha256', this.#fingerprintKey)
      .update(bcrypt_hash)
      .update(secret)
      .digest()
    const remembered = this.#remembered.get(bcrypt_hash)
    if (remembered !== undefined && timingSafeEqual(remembered, fingerprint)) return true
    return await this.#verifyOnce(secret, bcrypt_hash, fingerprint)
  }

  /** The number of secrets that the thread has hashed or checked. */
  get workDone(): number {
    return this.#workDone
  }

  async #run(task: BcryptTask): Promise<BcryptResult> {
    const result = await worker.run(task)
    this.#workDone += 1
    return result
  }

  /** Concurrent checks of the same secret share one comparison. */
  #verifyOnce(secret: string, bcrypt_hash: string, fingerprint: Buffer): Promise<boolean> {
    const name = fingerprint.toString('base64')
    let check = this.#underWay.get(name)
    if (check === undefined) {
      check = this.#compare(secret, bcrypt_hash)
        .then((matches) => {
          if (matches) this.#remembered.set(bcrypt_hash, fingerprint)
          return matches
        })
        .finally(() => this.#underWay.delete(name))
      this.#underWay.set(name, check)
    }
    return check
  }

  async #compare(secret: string, bcrypt_hash: string): Promise<boolean> {
    if (queue.checks >= CHECKS_QUEUED) throw busy('Too many secrets are being checked')
    const { value, milliseconds } = await this.#run({ secret, hash: bcrypt_hash })
    this.#durations.push(milliseconds)
    if (this.#durations.length > DURATIONS) this.#durations.shift()
    return value === true
  }

  /** Waits as long as a check would take now, queue included. */
  async #waitAsLong(): Promise<void> {
    if (this.#guessesWaiting >= GUESSES_WAITING) throw busy('Too many secrets are being checked')
    this.#guessesWaiting += 1
    try {
      if (this.#durations.length === 0) {
        // Nothing was measured yet: concurrent guesses share one comparison.
        this.#firstDuration ??= this.#compare('', NOBODY).finally(() => {
          this.#firstDuration = undefined
        })
        await this.#firstDuration
        return
      }
      const milliseconds = this.#durations[randomInt(this.#durations.length)] ?? 0
      await setTimeout(milliseconds * (1 + this.#underWay.size))
    } finally {
      this.#guessesWaiting -= 1
    }
  }
}

function busy(description: string): OAuthError {
  return new OAuthError('temporarily_unavailable', description, { headers: { 'retry-after': '5' } })
}

function hintOf(secret: string): string {
  return hash('sha256', secret, 'hex').slice(0, 8)
}

declare module 'fastify' {
  interface FastifyInstance {
    secrets: Secrets
  }
}

export default fp<{ bcryptRounds?: number | undefined }>(
  async (app, { bcryptRounds }) => {
    app.decorate('secrets', new Secrets(app.clock, bcryptRounds))
  },
  { name: 'secrets', dependencies: ['clock'] },
)
