import type { Store } from '../../../db/store.ts'
import type { Clock } from '../clock.ts'

interface Opened {
  /** When each request expires, by its identifier, the oldest first. */
  requests: Map<string, number>
  /** When the database was last asked which of them an agent has authenticated. */
  lookedAt: number
}

/**
 * The authorization requests that this process opened for each network. Requests that an agent has
 * authenticated do not count; the database is asked for them only when a network reaches its limit.
 */
export class OpenedRequests {
  readonly #store: Pick<Store['authorizationRequests'], 'findSettled'>
  readonly #clock: Clock
  /** In the order of their latest request, so that networks without live requests come first. */
  readonly #networks = new Map<string, Opened>()

  constructor(store: Pick<Store['authorizationRequests'], 'findSettled'>, clock: Clock) {
    this.#store = store
    this.#clock = clock
  }

  add(network: string, request_id: string, expires_at: number): void {
    const opened = this.#networks.get(network) ?? { requests: new Map(), lookedAt: 0 }
    opened.requests.set(request_id, expires_at)
    this.#networks.delete(network)
    this.#networks.set(network, opened)
    this.#forgetExpired()
  }

  /** When a network that has reached its limit may open another, in seconds. */
  secondsLeft(network: string, limit: number): number | undefined {
    const requests = this.#pending(network)
    if (requests === undefined || requests.size < limit) return undefined
    const [oldest = 0] = requests.values()
    return Math.max(1, oldest - this.#clock.now())
  }

  /**
   * Forgets the requests that agents have authenticated, at most once a second, when one of these
   * networks has reached its limit.
   */
  async forgetSettled(networks: string[], limitOf: (network: string) => number): Promise<void> {
    const now = this.#clock.now()
    for (const network of networks) {
      const opened = this.#networks.get(network)
      if (opened === undefined || opened.lookedAt === now) continue
      if ((this.#pending(network)?.size ?? 0) < limitOf(network)) continue
      opened.lookedAt = now
      const settled = await this.#store.findSettled([...opened.requests.keys()])
      for (const each of networks) {
        const requests = this.#networks.get(each)?.requests
        for (const request_id of settled) requests?.delete(request_id)
      }
    }
  }

  #pending(network: string): Map<string, number> | undefined {
    const requests = this.#networks.get(network)?.requests
    if (requests !== undefined) forgetBefore(requests, this.#clock.now())
    return requests
  }

  /** Every call adds one network and checks the two oldest, so that expired entries are removed in time. */
  #forgetExpired(): void {
    const now = this.#clock.now()
    for (const [network, { requests }] of [...this.#networks.entries().take(2)]) {
      forgetBefore(requests, now)
      if (requests.size > 0) return
      this.#networks.delete(network)
    }
  }
}

function forgetBefore(requests: Map<string, number>, now: number): void {
  for (const [request_id, expires_at] of requests) {
    if (expires_at > now) return
    requests.delete(request_id)
  }
}
