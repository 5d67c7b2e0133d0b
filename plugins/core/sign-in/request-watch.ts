import type { Store } from '../../../db/store.ts'

/** How often the database is asked whether another process has written, in milliseconds. */
const LOOK_EVERY = 100

/**
 * Wakes those who wait for an authorization request: at once when this process has changed it, and
 * by a short look at the database when another process has written.
 */
export class RequestWatch {
  readonly #store: Pick<Store, 'authorizationRequests' | 'foreignVersion'>
  readonly #waiting = new Map<string, Set<() => void>>()
  #timer: NodeJS.Timeout | undefined
  #seenVersion: number | undefined
  #closed = false

  constructor(store: Pick<Store, 'authorizationRequests' | 'foreignVersion'>) {
    this.#store = store
  }

  /** Says that a request has changed. */
  notify(request_id: string): void {
    for (const wake of this.#waiting.get(request_id) ?? []) wake()
  }

  /** Resolves when the request has changed, after `milliseconds`, or when the server closes. */
  changed(request_id: string, milliseconds: number): Promise<void> {
    if (this.#closed) return Promise.resolve()
    return new Promise((resolve) => {
      const wakers = this.#waiting.get(request_id) ?? new Set()
      const wake = () => {
        clearTimeout(timer)
        wakers.delete(wake)
        if (wakers.size === 0) this.#waiting.delete(request_id)
        resolve()
      }
      const timer = setTimeout(wake, milliseconds)
      this.#waiting.set(request_id, wakers.add(wake))
      this.#timer ??= this.#startLooking()
    })
  }

  /** Wakes everybody; nobody waits any more. */
  close(): void {
    this.#closed = true
    clearInterval(this.#timer)
    for (const wakers of this.#waiting.values()) for (const wake of wakers) wake()
  }

  #startLooking(): NodeJS.Timeout {
    this.#seenVersion = undefined
    return setInterval(() => void this.#look(), LOOK_EVERY)
  }

  async #look(): Promise<void> {
    if (this.#waiting.size === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
      return
    }
    try {
      const version = await this.#store.foreignVersion()
      if (version === this.#seenVersion) return
      const settled = await this.#store.authorizationRequests.findSettled([...this.#waiting.keys()])
      this.#seenVersion = version
      for (const request_id of settled) this.notify(request_id)
    } catch {
      // A database that cannot answer now is asked again at the next look.
    }
  }
}
