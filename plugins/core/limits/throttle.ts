import { setTimeout } from 'node:timers/promises'
import fp from 'fastify-plugin'
import type { LiveSecret } from '../../../db/store.ts'
import type { Clock } from '../clock.ts'
import type { Secrets } from '../crypto/secrets.ts'
import { tooMany } from '../http/errors.ts'
import type { Settings } from '../settings.ts'
import { networksOf, shareOf } from './network.ts'
import { WindowCounts } from './window-counts.ts'

/** The failures of one address or /64, as a multiple of those of one identity. */
const NETWORK_FACTOR = 10
/** How long a refusal is delayed, in milliseconds. */
const HELD = 100

/** An attempt to authenticate. */
export interface Attempt {
  /** The `agent_id` or `client_id` that is claimed. */
  id: string
  /** The network address of the caller. */
  address: string
}

/**
 * Bounds guessing. It counts failed attempts only: those of one agent or client from one address or IPv6
 * /64, and all those from one address, /64, /56, /48 or IPv4 /24. Failures from other networks do not
 * count against a caller, and the right secret or key always succeeds, so that strangers cannot lock an
 * agent out. Each process counts separately.
 */
export class Throttle {
  readonly #secrets: Pick<Secrets, 'findResembling' | 'verify'>
  readonly #settings: Settings
  readonly #identities: WindowCounts
  readonly #networks: WindowCounts

  constructor(
    secrets: Pick<Secrets, 'findResembling' | 'verify'>,
    clock: Clock,
    settings: Settings,
  ) {
    this.#secrets = secrets
    this.#settings = settings
    this.#identities = new WindowCounts(clock, settings.THROTTLE_WINDOW)
    this.#networks = new WindowCounts(clock, settings.THROTTLE_WINDOW)
  }

  /** The networks with the most failures that this process counts now, and how many each may have. */
  listNetworks(limit: number) {
    return this.#networks.list(limit).map(({ name, count, until }) => ({
      network: name,
      count,
      allowed: this.#settings.THROTTLE_FAILURES * NETWORK_FACTOR * shareOf(name),
      until,
    }))
  }

  /**
   * Returns the holder if the secret is right; undefined if the secret is wrong or there is no such
   * holder, after the same work. A secret that matches no stored hint counts as a failure before it is
   * checked; one that matches a hint is always checked.
   * @throws {OAuthError} temporarily_unavailable (429) after too many failures
   */
  async verifyHolder<Holder extends { secrets: LiveSecret[] }>(
    holder: Holder | undefined,
    secret: string,
    attempt: Attempt,
  ): Promise<Holder | undefined> {
    const resembling = this.#secrets.findResembling(secret, holder?.secrets ?? [])
    if (resembling === undefined) await this.countFailure(attempt)
    const matches = await this.#secrets.verify(secret, resembling)
    if (resembling !== undefined && !matches) await this.countFailure(attempt)
    return matches ? holder : undefined
  }

  /**
   * Counts a failure before anything is awaited. A refusal is delayed, which slows down guessing in a
   * loop.
   * @throws {OAuthError} temporarily_unavailable (429) when there were too many already
   */
  async countFailure(attempt: Attempt): Promise<void> {
    await this.countAttempt(attempt)
  }

  /**
   * Counts an attempt as failed before it is checked, so that attempts that arrive together cannot
   * exceed the bound. The function that it returns takes the count back when the attempt succeeds.
   * @throws {OAuthError} temporarily_unavailable (429) when there were too many already
   */
  async countAttempt({ id, address }: Attempt): Promise<() => void> {
    const { THROTTLE_FAILURES: limit } = this.#settings
    const networks = networksOf(address)
    const identity = `${networks[0]} ${id}`
    const waits = [
      this.#identities.secondsLeft(identity, limit),
      ...networks.map((network) =>
        this.#networks.secondsLeft(network, limit * NETWORK_FACTOR * shareOf(network)),
      ),
    ].filter((seconds) => seconds !== undefined)
    if (waits.length > 0) {
      await setTimeout(HELD)
      throw tooMany('Too many failed attempts', Math.max(...waits))
    }
    const counted = [this.#identities.add(identity)]
    for (const network of networks) counted.push(this.#networks.add(network))
    return () => {
      for (const takeBack of counted) takeBack()
    }
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    throttle: Throttle
  }
}

export default fp(
  async (app) => {
    const { clock, secrets, settings } = app
    app.decorate('throttle', new Throttle(secrets, clock, settings))
  },
  { name: 'throttle', dependencies: ['clock', 'secrets', 'settings'] },
)
