import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { type Expiring, expiring } from '../../db/store.ts'
import { MAIL_CODES_KEPT } from './persons/mail-codes.ts'

/** How often it works, in milliseconds. */
const EVERY = 60_000
/** Unused pages that are given back to the disk in one act. */
const PAGES = 200
/** For how many seconds expired rows are kept, so that callers are told that they have expired. */
const KEPT = 3600
/** For how many seconds a request that no agent authenticated can still be told to have expired. */
const UNPROVED_KEPT = 180
/**
 * For how many seconds after its expiry a token is still known to be revoked, or an assertion to be
 * used: without that record it would be good again while the system's time is set back.
 */
const REFUSAL_KEPT = 4 * 3600
/** For how many seconds an unused client is kept that its metadata document can make again. */
const DOCUMENT_CLIENT_KEPT = 86_400
/** By how many seconds the system's time may differ from the time that has passed. */
const MAX_DRIFT = 60
/** For how many milliseconds requests have the event loop between two acts, at the least. */
const MIN_PAUSE = 1

interface Reading {
  now: number
  monotonic: number
}

/**
 * Removes expired rows, and rotates the signing key when it is due. Each act takes some milliseconds,
 * and then requests have the database for as long. Rows that were removed while the system's time was
 * wrong are lost, so maintenance trusts it only as far as time has passed since the server started, and
 * skips a turn after the time was set.
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

  /** Does what is due now; joins a run that is under way. */
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
      log.warn({ seconds: jump }, 'the system time was set; maintenance waits for its next turn')
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

  /** Repeats an act while it returns that there may be more to do, with pauses as long as the acts. */
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
