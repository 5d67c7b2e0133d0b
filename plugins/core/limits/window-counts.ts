import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { type Clock, isRecent } from '../clock.ts'

/** The most names that are remembered; the least recently used are forgotten first. */
const REMEMBERED = 50_000
/** Longer names are remembered by their hash: callers choose them. */
const MAX_NAME = 200

/** Counts by name. A count starts anew `seconds` after its first increment. */
export class WindowCounts {
  readonly #clock: Clock
  readonly #seconds: number
  // `max` would take the memory for all of them at once, a megabyte that takes milliseconds to fill.
  readonly #counts = new LRUCache<string, { count: number; since: number }>({
    maxSize: REMEMBERED,
    sizeCalculation: () => 1,
  })

  constructor(clock: Clock, seconds: number) {
    this.#clock = clock
    this.#seconds = seconds
  }

  /** Counts one; the function that it returns takes the count back. */
  add(name: string): () => void {
    const counted = this.#find(name) ?? { count: 0, since: this.#clock.now() }
    if (counted.count === 0) this.#counts.set(keyOf(name), counted)
    counted.count += 1
    return () => {
      counted.count -= 1
    }
  }

  /** What has the most counts now, the most first; long names as their hashes. */
  list(limit: number): { name: string; count: number; until: number }[] {
    const now = this.#clock.now()
    return [...this.#counts.entries()]
      .filter(([, { count, since }]) => count > 0 && isRecent(since, this.#seconds, now))
      .map(([name, { count, since }]) => ({ name, count, until: since + this.#seconds }))
      .sort((one, other) => other.count - one.count)
      .slice(0, limit)
  }

  /** In how many seconds a name is below its limit again; undefined when it is now. */
  secondsLeft(name: string, limit: number): number | undefined {
    const counted = this.#find(name)
    if (counted === undefined || counted.count < limit) return undefined
    return counted.since + this.#seconds - this.#clock.now()
  }

  #find(name: string) {
    const counted = this.#counts.get(keyOf(name))
    const isGood = counted && isRecent(counted.since, this.#seconds, this.#clock.now())
    return isGood ? counted : undefined
  }
}

function keyOf(name: string): string {
  return name.length > MAX_NAME ? hash('sha256', name, 'base64url') : name
}
