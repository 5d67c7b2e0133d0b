import type { Act } from './statement.ts'

/** How long an act that removes many rows runs before its commit, in milliseconds. */
const BUDGET = 4
/** How many rows a step removes at most. */
const MAX_ROWS = 64

/**
 * Repeats a step that removes up to `limit` rows, with a larger limit each time, until no rows are left
 * or the time is over: other acts wait until this one ends. Returns whether rows may be left.
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
