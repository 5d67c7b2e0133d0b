import { DatabaseUnavailableError } from './unavailable.ts'

/** For how many milliseconds an act waits for another process that is writing. */
export const PATIENCE = 5000
/** How many acts of a kind wait at most for another process. */
const MAX_WAITING = 5000
/** Between two tries, in milliseconds: it doubles from the one to the other. */
const FIRST_DELAY = 5
const LAST_DELAY = 100

export interface Waiting {
  run: () => unknown
  resolve: (value: never) => void
  reject: (error: unknown) => void
  /** In milliseconds of the monotonic clock. */
  deadline: number
}

/**
 * Acts in the order in which they were asked for. Those of one turn of the event loop are done
 * together when it ends. While another process holds the lock they are tried again from the event
 * loop, which serves everything else meanwhile.
 */
export class Queue {
  readonly #file: string
  /** Does all of a batch, or throws a DatabaseUnavailableError and has answered none of it. */
  readonly #runTogether: (batch: Waiting[]) => void
  /** Hears of every error that a number of acts is refused with. */
  readonly #onRefused: (error: unknown, acts: number) => void
  #waiting: Waiting[] = []
  #scheduled = false
  /** 0 while nobody else holds the lock. */
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
      if (this.#scheduled) return
      this.#scheduled = true
      setImmediate(() => this.run())
    })
  }

  /** Does what waits, or puts it off while another process holds the lock. */
  run(): void {
    this.#scheduled = false
    const batch = this.#waiting
    this.#waiting = []
    if (batch.length === 0) return
    try {
      this.#runTogether(batch)
      this.#delay = 0
    } catch (error) {
      const isBusy = error instanceof DatabaseUnavailableError && error.reason === 'locked'
      this.#putOff(isBusy ? batch : [], isBusy ? [] : batch, error)
    }
  }

  #putOff(batch: Waiting[], refused: Waiting[], error: unknown): void {
    const now = performance.now()
    for (const each of batch) (each.deadline > now ? this.#waiting : refused).push(each)
    if (this.#waiting.length === 0) this.#delay = 0
    else {
      this.#delay = Math.min(LAST_DELAY, this.#delay * 2 || FIRST_DELAY)
      this.#scheduled = true
      setTimeout(() => this.run(), this.#delay)
    }
    if (refused.length > 0) this.#onRefused(error, refused.length)
    for (const { reject } of refused) reject(error)
  }
}
