import { DatabaseUnavailableError } from './unavailable.ts'

/** How long an act waits while another process writes, in milliseconds. */
export const PATIENCE = 5000
/** How many acts of one kind may wait while another process writes. */
const MAX_WAITING = 5000
/**
 * How many acts run and are answered in one turn of the event loop: some milliseconds of work. A
 * larger batch would delay every other request by more than the shared commit saves.
 */
const MAX_BATCH = 64
/** The shortest and longest delay between two tries, in milliseconds; the delay doubles each time. */
const FIRST_DELAY = 5
const LAST_DELAY = 100

export interface Waiting {
  run: () => unknown
  resolve: (value: never) => void
  reject: (error: unknown) => void
  /** When the act was queued, in milliseconds of the monotonic clock. */
  deadline: number
}

/**
 * A queue of acts, in the order of the calls. Acts of one turn of the event loop run together at its
 * end, up to a limit, and the rest in the next turns. While another process holds the lock, they are
 * tried again by a timer, so that the event loop is not blocked.
 */
export class Queue {
  readonly #file: string
  /** Runs a whole batch, or throws a DatabaseUnavailableError before any act was answered. */
  readonly #runTogether: (batch: Waiting[]) => void
  /** Is called when acts are refused, with the error and their number. */
  readonly #onRefused: (error: unknown, acts: number) => void
  #waiting: Waiting[] = []
  #scheduled = false
  /** The current delay; 0 when the last batch got the lock. */
  #delay = 0

  constructor(
    file: string,
    runTogether: (batch: Waiting[]) => void,
    onRefused: (error: unknown, acts: number) => void,
  ) {
    this.#file = file
    this.#runTogether = runTogether
    this.#onRefused = onRefused
  }

  get isEmpty(): boolean {
    return this.#waiting.length === 0
  }

  add<T>(run: () => T, patience = PATIENCE): Promise<T> {
    if (this.#delay > 0 && this.#waiting.length >= MAX_WAITING) {
      return Promise.reject(new DatabaseUnavailableError('locked', this.#file))
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ run, resolve, reject, deadline: performance.now() + patience })
      this.#schedule()
    })
  }

  /** Runs the waiting acts, or schedules another try while another process holds the lock. */
  run(): void {
    this.#scheduled = false
    const batch = this.#waiting.splice(0, MAX_BATCH)
    if (batch.length === 0) return
    try {
      this.#runTogether(batch)
      this.#delay = 0
    } catch (error) {
      const isLocked = error instanceof DatabaseUnavailableError && error.reason === 'locked'
      if (isLocked) this.#putOff([...batch, ...this.#waiting], error)
      else this.#refuse(batch, error)
    }
    if (!this.isEmpty) this.#schedule()
  }

  /** Refuses acts that have waited too long; the others keep their order. */
  #putOff(batch: Waiting[], error: unknown): void {
    const now = performance.now()
    this.#waiting = batch.filter(({ deadline }) => deadline > now)
    this.#delay = this.isEmpty ? 0 : Math.min(LAST_DELAY, this.#delay * 2 || FIRST_DELAY)
    const late = batch.filter(({ deadline }) => deadline <= now)
    if (late.length > 0) this.#refuse(late, error)
  }

  #refuse(batch: Waiting[], error: unknown): void {
    this.#onRefused(error, batch.length)
    for (const { reject } of batch) reject(error)
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    if (this.#delay > 0) setTimeout(() => this.run(), this.#delay)
    else setImmediate(() => this.run())
  }
}
