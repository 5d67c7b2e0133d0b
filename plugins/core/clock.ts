import fp from 'fastify-plugin'
/** The one place that reads the time. Tests pass their own. */
export interface Clock {
  /** Whole seconds since the epoch. The system's time can be set, so this can go back or jump. */
  now(): number
  /** Seconds since an arbitrary start. They never go back. */
  monotonic(): number
}

export const systemClock: Clock = {
  now: () => Math.floor(Date.now() / 1000),
  monotonic: () => performance.now() / 1000,
}

/**
 * Whether less than `seconds` have passed since a time. A time in the future is never recent: then the
 * clock was set back, by an unknown amount.
 */
export function isRecent(time: number, seconds: number, now: number): boolean {
  return time <= now && now < time + seconds
}

declare module 'fastify' {
  interface FastifyInstance {
    clock: Clock
  }
}

export default fp<{ clock?: Clock | undefined }>(
  async (app, { clock = systemClock }) => {
    app.decorate('clock', clock)
  },
  { name: 'clock' },
)
