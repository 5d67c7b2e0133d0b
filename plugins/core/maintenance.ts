import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { type Expiring, expiring } from '../../db/store.ts'
import { MAIL_CODES_KEPT } from './persons/mail-codes.ts'

/** How often maintenance runs, in milliseconds. */
const EVERY = 60_000
/** How many unused pages one act returns to the disk. */
const PAGES = 200
/** How long expired rows are kept, in seconds, so that callers get an error that says so. */
const KEPT = 3600
/** The same for a request that no agent authenticated. */
const UNPROVED_KEPT = 180
/**
 * How long after its expiry a token is still recorded as revoked, or an assertion as used, in seconds:
 * without the record it would be valid again if the system's time were set back.
 */
const REFUSAL_KEPT = 4 * 3600
/** How long an unused client of a metadata document is kept, in seconds. It is made again on its next use. */
const DOCUMENT_CLIENT_KEPT = 86_400
/** By how many seconds the system's time may differ from the time that has passed. */
const MAX_DRIFT = 60
/** The shortest pause between two acts, in milliseconds, in which requests are served. */
const MIN_PAUSE = 1

interface Reading {
  now: number
  monotonic: number
}

/**
 * Removes expired rows, and rotates the signing key when it is due. Each act takes some milliseconds,
 * followed by an equally long pause for requests. A wrong system time would remove rows that have not
 * expired. Maintenance therefore compares it with the time that has passed since the server started, and
 * skips a run after the time was set.
 */
export class Maintenance {
  readonly #parts: Pick<FastifyInstance, 'clock' | 'faults' | 'keys' | 'log' | 'settings' | 'store'>
  readonly #started: Reading
  #last: Reading
  #timer: NodeJS.Timeout | undefined
  #underWay: Promise<void> | undefined
  #stopped = false

  constructor(
    parts: Pick<FastifyInstance, 'clock' | 'faults' | 'keys' | 'log' | 'settings' | 'store'>,
  ) {
    this.#parts = parts
    this.#started = this.#read()
    this.#last = this.#started
  }

  start(): void {
    this.#timer = setInterval(() => void this.run(), EVERY)
    this.#timer.unref()
  }

  /** Resolves when the current act has ended. */
  async stop(): Promise<void> {
    this.#stopped = true
    clearInterval(this.#timer)
    await this.#underWay
  }

  /** Does what is due now, or waits for a run that is under way. */
  run(): Promise<void> {
    this.#underWay ??= this.#maintain().finally(() => {
      this.#underWay = undefined
    })
    return this.#underWay
  }

  async #maintain(): Promise<void> {
    const { clock, faults, keys, log } = this.#parts
    const reading = this.#read()
    const jump = drift(this.#last, reading)
    this.#last = reading
    if (Math.abs(jump) > MAX_DRIFT) {
      log.warn(
        { seconds: jump },
        'the system time was set; maintenance is skipped until the next run',
      )
      return
    }
    const passed = this.#started.now + (reading.monotonic - this.#started.monotonic)
    const now = Math.min(clock.now(), Math.floor(passed))
    try {
      await keys.rotateWhenDue(now)
      await this.#removeExpired(now)
    } catch (error) {
      faults.report(log, error, 'maintenance failed')
    }
  }

  async #removeExpired(now: number): Promise<void> {
    const { settings, store } = this.#parts
    const before = now - Math.max(KEPT, settings.ACCESS_TOKEN_TTL)
    const unproved = now - UNPROVED_KEPT
    await this.#repeat(() => store.authorizationRequests.removeUnproved(unproved))
    await this.#repeat(() => store.clients.removeUnproved(now))
    await this.#repeat(() => store.remoteDocuments.removeUnproved(now))
    const exceptions: Partial<Record<Expiring, number>> = {
      events: now - settings.AUDIT_RETENTION,
      revokedAccessTokens: now - REFUSAL_KEPT,
      clientAssertions: now - REFUSAL_KEPT,
      agentAssertions: now - REFUSAL_KEPT,
      passkeyChallenges: now,
      ownerMailCodes: now - MAIL_CODES_KEPT,
    }
    for (const kind of expiring) {
      await this.#repeat(() => store.maintenance.sweep(kind, exceptions[kind] ?? before))
    }
    for (const [origin, kept] of [
      ['dynamic', settings.UNUSED_CLIENT_TTL],
      ['document', DOCUMENT_CLIENT_KEPT],
    ] as const) {
      await this.#repeat(() => store.clients.removeUnused({ origin, before: now - kept, now }))
    }
    await this.#repeat(() => store.reclaim(PAGES))
  }

  /** Repeats an act while it returns true, with pauses as long as the acts. */
  async #repeat(act: () => Promise<boolean>): Promise<void> {
    for (let more = true; more && !this.#stopped; ) {
      const began = performance.now()
      more = await act()
      await sleep(Math.max(MIN_PAUSE, performance.now() - began))
    }
  }

  #read(): Reading {
    const { clock } = this.#parts
    return { now: clock.now(), monotonic: clock.monotonic() }
  }
}

/** By how many seconds the system's time has moved ahead of the monotonic clock. */
function drift(from: Reading, to: Reading): number {
  return Math.round(to.now - from.now - (to.monotonic - from.monotonic))
}

declare module 'fastify' {
  interface FastifyInstance {
    maintenance: Maintenance
  }
}

export default fp(
  async (app) => {
    const { clock, faults, keys, log, settings, store } = app
    const maintenance = new Maintenance({ clock, faults, keys, log, settings, store })
    app.decorate('maintenance', maintenance)
    maintenance.start()
    app.addHook('preClose', () => maintenance.stop())
  },
  { name: 'maintenance', dependencies: ['clock', 'faults', 'keys', 'settings', 'store'] },
)
