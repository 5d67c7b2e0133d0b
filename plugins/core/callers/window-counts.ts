import { LRUCache } from 'lru-cache'
import type { Clock } from '../clock.ts'

/** How many names are remembered; the longest unheard of go first. */
const REMEMBERED = 50_000

/** Counts by name; a count is forgotten `seconds` after its first. */
export class WindowCounts {
  readonly #clock: Clock
  readonly #seconds: number
  readonly #counts = new LRUCache<string, { count: number; until: number }>({ max: REMEMBERED })

  constructor(clock: Clock, seconds: number) {
    this.#clock = clock
    this.#seconds = seconds
  }

  /** Counts one; the answer takes it back. */
  add(name: string): () => void {
    const now = this.#clock.now()
    let counted = this.#counts.get(name)
    if (counted === undefined || counted.until <= now) {
      counted = { count: 0, until: now + this.#seconds }
      this.#counts.set(name, counted)
    }
    counted.count += 1
    return () => {
      counted.count -= 1
    }
  }

  /** For how many seconds more a name has reached its limit; undefined when it has not. */
  secondsLeft(name: string, limit: number): number | undefined {
    const counted = this.#counts.get(name)
    if (counted === undefined || counted.count < limit) return undefined
    const seconds = counted.until - this.#clock.now()
    return seconds > 0 ? seconds : undefined
  }
}
