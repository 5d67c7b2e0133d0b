import { setTimeout } from 'node:timers/promises'
import ipaddr from 'ipaddr.js'
import { LRUCache } from 'lru-cache'
import type { LiveSecret } from '../../../db/store.ts'
import { type Clock, isRecent } from '../clock.ts'
import type { Secrets } from '../crypto/secrets.ts'
import { OAuthError } from '../http/errors.ts'
import type { Settings } from '../settings.ts'

/** How many times the failures of one identity a whole network may have. */
const NETWORK_FACTOR = 10
/** How many identities, and how many networks, are remembered; the longest unheard of go first. */
const REMEMBERED = 20_000
/** For how many milliseconds a refusal is held. */
const HELD = 100

/** Who tries to prove to be whom, and from where. */
export interface Attempt {
  /** The `agent_id` or `client_id` that is claimed. */
  id: string
  /** The network address of the caller. */
  address: string
}

interface Failures {
  count: number
  /** When they are forgotten, in epoch seconds. */
  until: number
}

/**
 * Bounds guessing, by counting failures and never traffic: of one agent or client from one network,
 * and of one network as a whole (an IPv4 address, an IPv6 /64). Failures from elsewhere never count
 * against anybody, and whoever has the right secret or key is let through whatever others at its
 * address did: nobody can lock an agent out. Each process counts for itself.
 */
export class Throttle {
  readonly #secrets: Pick<Secrets, 'resembles' | 'verify'>
  readonly #clock: Clock
  readonly #settings: Settings
  readonly #identities = new LRUCache<string, Failures>({ max: REMEMBERED })
  readonly #networks = new LRUCache<string, Failures>({ max: REMEMBERED })

  constructor(secrets: Pick<Secrets, 'resembles' | 'verify'>, clock: Clock, settings: Settings) {
    this.#secrets = secrets
    this.#clock = clock
    this.#settings = settings
  }

  /**
   * Whether a secret is one of those stored. A secret that cannot be is counted before it costs any
   * work; one that looks like it is checked always.
   * @throws {OAuthError} temporarily_unavailable (429) after too many failures
   */
  async verifySecret(secret: string, stored: LiveSecret[], attempt: Attempt): Promise<boolean> {
    if (!this.#secrets.resembles(secret, stored)) await this.countFailure(attempt)
    return await this.#secrets.verify(secret, stored)
  }

  /**
   * Counts a failure, at once. A refusal is held for a moment, so that whoever guesses in a loop
   * costs the others little.
   * @throws {OAuthError} temporarily_unavailable (429) when there were too many already
   */
  async countFailure({ id, address }: Attempt): Promise<void> {
    const { THROTTLE_FAILURES: limit } = this.#settings
    const network = networkOf(address)
    const identity = `${network} ${id}`
    const refusal =
      this.#refusal(this.#identities.get(identity), limit) ??
      this.#refusal(this.#networks.get(network), limit * NETWORK_FACTOR)
    if (refusal !== undefined) {
      await setTimeout(HELD)
      throw refusal
    }
    this.#count(this.#identities, identity)
    this.#count(this.#networks, network)
  }

  /**
   * Counts an attempt as failed before it is looked at, so that no more are looked at than may fail;
   * the answer takes that back, for one that did not.
   * @throws {OAuthError} temporarily_unavailable (429) when there were too many already
   */
  async countAttempt(attempt: Attempt): Promise<() => void> {
    await this.countFailure(attempt)
    const network = networkOf(attempt.address)
    const counted = [this.#identities.get(`${network} ${attempt.id}`), this.#networks.get(network)]
    return () => {
      for (const failures of counted) if (failures !== undefined) failures.count -= 1
    }
  }

  #refusal(failures: Failures | undefined, limit: number): OAuthError | undefined {
    if (failures === undefined || failures.count < limit) return undefined
    if (!this.#counts(failures)) return undefined
    const seconds = failures.until - this.#clock.now()
    return new OAuthError(
      'temporarily_unavailable',
      `Too many failed attempts, try again in ${seconds} seconds`,
      { status: 429, headers: { 'retry-after': String(seconds) } },
    )
  }

  #counts({ until }: Failures): boolean {
    const { THROTTLE_WINDOW } = this.#settings
    return isRecent(until - THROTTLE_WINDOW, THROTTLE_WINDOW, this.#clock.now())
  }

  #count(counts: LRUCache<string, Failures>, key: string): void {
    const now = this.#clock.now()
    const failures = counts.get(key)
    if (failures !== undefined && this.#counts(failures)) failures.count += 1
    else counts.set(key, { count: 1, until: now + this.#settings.THROTTLE_WINDOW })
  }
}

/** An IPv4 address, also one that comes as IPv6, or the /64 of an IPv6 address. */
export function networkOf(address: string): string {
  if (!ipaddr.isValid(address)) return address
  const parsed = ipaddr.process(address)
  if (parsed.kind() === 'ipv4') return parsed.toString()
  return `${ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toNormalizedString()}/64`)}/64`
}
