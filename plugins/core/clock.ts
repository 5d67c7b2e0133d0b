/** The one place that reads the time. Tests pass their own. */
export interface Clock {
  /** Whole seconds since the epoch. */
  now(): number
}

export const systemClock: Clock = { now: () => Math.floor(Date.now() / 1000) }
