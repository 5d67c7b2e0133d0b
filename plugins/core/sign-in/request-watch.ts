import { setTimeout as sleep } from 'node:timers/promises'
import fp from 'fastify-plugin'
import type { Store } from '../../../db/store.ts'

/** How often the database is checked for writes of other processes, in milliseconds. */
const LOOK_EVERY = 100
/** How many waiters are woken, or looked up, in one turn of the event loop. */
const TOGETHER = 64
/** The largest part by which a wait is shortened at random, so that waits do not end all at once. */
const SPREAD = 0.1

/**
 * Wakes those who wait for an authorization request: at once when this process has changed it, and
 * after the next check of the database when another process has. Waking is done in batches, so that
 * other requests are served in between.
 */
export class RequestWatch {
  readonly #store: Pick<Store, 'authorizationRequests' | 'foreignVersion'>
  readonly #waiting = new Map<string, Set<() => void>>()
  #woken: (() => void)[] = []
  #looking = false
  #seenVersion: number | undefined
  #closed = false

  constructor(store: Pick<Store, 'authorizationRequests' | 'foreignVersion'>) {
    this.#store = store
  }

  /** Says that a request has changed. */
  notify(request_id: string): void {
    const wakers = this.#waiting.get(request_id)
    if (wakers !== undefined) this.#wake(wakers)
  }

  /**
   * Resolves when the request has changed, after `milliseconds` or a little earlier, or when the
   * server closes.
   */
  changed(request_id: string, milliseconds: number): Promise<void> {
    if (this.#closed) return Promise.resolve()
    return new Promise((resolve) => {
      const wakers = this.#waiting.get(request_id) ?? new Set()
      const wake = () => {
        clearTimeout(timer)
        if (!wakers.delete(wake)) return
        if (wakers.size === 0) this.#waiting.delete(request_id)
        resolve()
      }
      const timer = setTimeout(wake, milliseconds * (1 - SPREAD * Math.random()))
      this.#waiting.set(request_id, wakers.add(wake))
      if (!this.#looking) void this.#keepLooking()
    })
  }

  /** Ends every wait; later ones end at once. */
  close(): void {
    this.#closed = true
    for (const wakers of this.#waiting.values()) this.#wake(wakers)
  }

  #wake(wakers: Iterable<() => void>): void {
    const idle = this.#woken.length === 0
    for (const wake of wakers) this.#woken.push(wake)
    if (idle) this.#wakeSome()
  }

  #wakeSome(): void {
    for (const wake of this.#woken.splice(0, TOGETHER)) wake()
    if (this.#woken.length > 0) setImmediate(() => this.#wakeSome())
  }

  /** Checks while anybody waits, with pauses at least as long as the last check took. */
  async #keepLooking(): Promise<void> {
    this.#looking = true
    this.#seenVersion = undefined
    for (let took = 0; this.#waiting.size > 0 && !this.#closed; ) {
      await sleep(Math.max(LOOK_EVERY, took))
      const began = performance.now()
      await this.#look()
      took = performance.now() - began
    }
    this.#looking = false
  }

  async #look(): Promise<void> {
    try {
      const version = await this.#store.foreignVersion()
      if (version === this.#seenVersion) return
      const request_ids = [...this.#waiting.keys()]
      for (let start = 0; start < request_ids.length; start += TOGETHER) {
        const some = request_ids.slice(start, start + TOGETHER)
        const settled = await this.#store.authorizationRequests.findSettled(some)
        for (const request_id of settled) this.notify(request_id)
      }
      this.#seenVersion = version
    } catch {
      // A database that cannot answer now is asked again at the next check.
    }
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    requestWatch: RequestWatch
  }
}

export default fp(
  async (app) => {
    const requestWatch = new RequestWatch(app.store)
    app.decorate('requestWatch', requestWatch)
    app.addHook('preClose', async () => requestWatch.close())
  },
  { name: 'requestWatch', dependencies: ['store'] },
)
