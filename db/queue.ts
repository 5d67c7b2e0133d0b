import { DatabaseUnavailableError } from './unavailable.ts'

/** For how many milliseconds an act waits for another process that is writing. */
export const PATIENCE = 5000
/** How many acts of a kind wait at most for another process. */
const MAX_WAITING = 5000
/**
 * How many acts run and are answered in one turn of the event loop: some milliseconds of work. More
 * would make everybody else wait for longer than they save by sharing a commit.
 */
const MAX_BATCH = 64
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
 * together when it ends, up to a number; the rest in the next turns. While another process holds the lock they are tried again from the event
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
      this.#schedule()
    })
  }

  /** Does what waits, or puts it off while another process holds the lock. */
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

  /** What has waited for long enough is refused; the rest keeps its order. */
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
