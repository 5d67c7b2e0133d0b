import type { Act } from './statement.ts'

/** For how many milliseconds an act that removes many rows works, before its commit. */
const BUDGET = 4
/** How many rows a step removes at most. */
const MAX_ROWS = 64

/**
 * Repeats a step that removes up to `limit` rows, with more rows each time, until there are no more or
 * some milliseconds are over: others wait for an act to end. Tells whether there may be more.
 */
export function* repeatBriefly(step: (limit: number) => Act<number>): Act<boolean> {
  const began = performance.now()
  for (let limit = 1; ; limit = Math.min(2 * limit, MAX_ROWS)) {
    const stepBegan = performance.now()
    if ((yield* step(limit)) < limit) return false
    const ended = performance.now()
    // The next step takes up to twice as long as this one.
    if (ended - began + 2 * (ended - stepBegan) > BUDGET) return true
  }
}
