import fp from 'fastify-plugin'
import type { Store } from '../../../db/store.ts'
import type { Clock } from '../clock.ts'
import { OAuthError, tooMany } from '../http/errors.ts'
import type { Settings } from '../settings.ts'
import { networksOf, shareOf } from './network.ts'
import { OpenedRequests } from './opened-requests.ts'
import { WindowCounts } from './window-counts.ts'

/** How long a network's new clients count, in seconds: as long as an unused client is kept. */
const CLIENT_WINDOW = 3600
/** How many times one address may ask to sign in within so many seconds. */
const SIGN_INS = { limit: 60, within: 300 }
/** The number that each network may have even when the server is nearly full. */
const FEW = 5
/** The Retry-After of a full server, in seconds. */
const RETRY_AFTER = 60

/**
 * Bounds the rows of callers who have proved nothing: authorization requests that no agent has
 * authenticated, and clients that the operator did not register and to which no agent has signed in.
 * Each process counts both by network; the totals are counted in the database. The fuller the server,
 * the smaller the share of each network, so that a few networks cannot fill it.
 */
export class Strangers {
  readonly #settings: Settings
  readonly #opened: OpenedRequests
  readonly #broughtClients: WindowCounts
  readonly #signIns: WindowCounts
  readonly #requests: RowCount
  readonly #clients: RowCount

  constructor(
    store: Pick<Store, 'authorizationRequests' | 'clients'>,
    clock: Clock,
    settings: Settings,
  ) {
    this.#settings = settings
    this.#opened = new OpenedRequests(store.authorizationRequests, clock)
    this.#broughtClients = new WindowCounts(clock, CLIENT_WINDOW)
    this.#signIns = new WindowCounts(clock, SIGN_INS.within)
    this.#requests = new RowCount(clock, () => store.authorizationRequests.countUnproved())
    this.#clients = new RowCount(clock, () => store.clients.countUnproved())
  }

  /**
   * Counts a request that is about to be opened.
   * @throws {OAuthError} temporarily_unavailable: 429 when the caller's network has its share, 503
   *   when the server is full
   */
  async admitRequest(request_id: string, expires_at: number, address: string): Promise<void> {
    const { PENDING_REQUESTS, PENDING_REQUESTS_PER_NETWORK } = this.#settings
    const networks = networksOf(address)
    const limit = (network: string) =>
      this.#requests.shareOf(network, PENDING_REQUESTS, PENDING_REQUESTS_PER_NETWORK)
    await this.#requests.refresh()
    await this.#opened.forgetSettled(networks, limit)
    // No await between the check and the count, so that concurrent calls cannot exceed the share.
    for (const network of networks) {
      const seconds = this.#opened.secondsLeft(network, limit(network))
      if (seconds !== undefined) {
        throw tooMany('Too many sign-ins were started from this network', seconds)
      }
    }
    if (this.#requests.rows >= PENDING_REQUESTS) throw full('Too many sign-ins wait for an agent')
    for (const network of networks) this.#opened.add(network, request_id, expires_at)
    this.#requests.add()
  }

  /**
   * Counts a person who asks to sign in, with a passkey or by mail.
   * @throws {OAuthError} temporarily_unavailable (429) when the caller's network has its share
   */
  admitSignIn(address: string): void {
    const networks = networksOf(address)
    for (const network of networks) {
      const share = SIGN_INS.limit * shareOf(network)
      const seconds = this.#signIns.secondsLeft(network, share)
      if (seconds !== undefined) throw tooMany('Too many sign-ins from this network', seconds)
    }
    for (const network of networks) this.#signIns.add(network)
  }

  /**
   * Counts a client of a stranger that is about to be stored.
   * @throws {OAuthError} as `admitRequest` does
   */
  async admitClient(address: string): Promise<void> {
    const { UNPROVED_CLIENTS, UNPROVED_CLIENTS_PER_NETWORK } = this.#settings
    const networks = networksOf(address)
    await this.#clients.refresh()
    for (const network of networks) {
      const share = this.#clients.shareOf(network, UNPROVED_CLIENTS, UNPROVED_CLIENTS_PER_NETWORK)
      const seconds = this.#broughtClients.secondsLeft(network, share)
      if (seconds !== undefined) throw tooMany('Too many new clients from this network', seconds)
    }
    if (this.#clients.rows >= UNPROVED_CLIENTS) throw full('Too many new clients are unused')
    for (const network of networks) this.#broughtClients.add(network)
    this.#clients.add()
  }
}

/** Rows in the database, counted once a second; what this process adds counts at once. */
class RowCount {
  readonly #clock: Clock
  readonly #count: () => Promise<number>
  #counting: Promise<void> = Promise.resolve()
  #countedAt: number | undefined
  rows = 0

  constructor(clock: Clock, count: () => Promise<number>) {
    this.#clock = clock
    this.#count = count
  }

  async refresh(): Promise<void> {
    const now = this.#clock.now()
    if (this.#countedAt !== now) {
      this.#countedAt = now
      this.#counting = this.#count().then((rows) => {
        this.rows = rows
      })
    }
    await this.#counting
  }

  add(): void {
    this.rows += 1
  }

  /** The number that a network may have: its whole share until the server is half full, then less. */
  shareOf(network: string, most: number, perAddress: number): number {
    const room = Math.max(0, 1 - this.rows / most)
    const share = Math.floor(perAddress * shareOf(network) * Math.min(1, 2 * room))
    return Math.max(share, Math.min(FEW, perAddress))
  }
}

function full(what: string): OAuthError {
  return new OAuthError('temporarily_unavailable', `${what}, try again in a minute`, {
    headers: { 'retry-after': String(RETRY_AFTER) },
  })
}

declare module 'fastify' {
  interface FastifyInstance {
    strangers: Strangers
  }
}

export default fp(
  async (app) => {
    const { clock, settings, store } = app
    app.decorate('strangers', new Strangers(store, clock, settings))
  },
  { name: 'strangers', dependencies: ['clock', 'settings', 'store'] },
)
