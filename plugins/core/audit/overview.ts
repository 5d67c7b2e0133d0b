import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Tally } from '../../../db/store.ts'
import { isRecent } from '../clock.ts'

const DAY = 86_400
/** How many days are counted. */
export const DAYS = 30
/** How many websites and models of a day are counted by themselves. */
const KINDS = 500
/** For how many seconds what was counted of today is shown again. */
const KEPT = 60

/** What came of the sign-ins of one day (UTC). */
export interface DayOfSignIns {
  /** Its beginning, in epoch seconds. */
  day: number
  outcomes: Tally[]
  sites: Tally[]
  models: Tally[]
}

interface Living {
  alive: number
  refreshable: number
}

/**
 * Counts sign-ins for the overview of operators, each day by an act of its own. Days that are over do not
 * change, so each process counts them once, and today's once a minute.
 */
export class Overview {
  readonly #parts: Pick<FastifyInstance, 'clock' | 'store'>
  readonly #days = new Map<number, { at: number; counted: Promise<DayOfSignIns> }>()
  #living: { at: number; counted: Promise<Living> } | undefined

  constructor(parts: Pick<FastifyInstance, 'clock' | 'store'>) {
    this.#parts = parts
  }

  /** The last days, the oldest first. */
  async listDays(): Promise<DayOfSignIns[]> {
    const today = Math.floor(this.#parts.clock.now() / DAY) * DAY
    const days = Array.from({ length: DAYS }, (_, index) => today - (DAYS - 1 - index) * DAY)
    for (const day of this.#days.keys()) if (!days.includes(day)) this.#days.delete(day)
    return await Promise.all(days.map((day) => this.#findDay(day)))
  }

  /** How many sign-ins are alive. */
  countLiving(): Promise<Living> {
    const { clock, store } = this.#parts
    const now = clock.now()
    if (this.#living === undefined || !isRecent(this.#living.at, KEPT, now)) {
      const counted = store.grants.countAlive(now)
      this.#living = { at: now, counted }
      counted.catch(() => {
        this.#living = undefined
      })
    }
    return this.#living.counted
  }

  #findDay(day: number): Promise<DayOfSignIns> {
    const now = this.#parts.clock.now()
    const known = this.#days.get(day)
    // What was counted when its day was over stays; a minute later than that, for acts under way.
    if (known && (isRecent(known.at, KEPT, now) || known.at > day + DAY + KEPT)) {
      return known.counted
    }
    const counted = this.#countDay(day)
    this.#days.set(day, { at: now, counted })
    counted.catch(() => this.#days.delete(day))
    return counted
  }

  async #countDay(day: number): Promise<DayOfSignIns> {
    const { events } = this.#parts.store
    const within = { from: day, to: day + DAY, limit: KINDS }
    const outcomes = await events.tallySignIns('outcome', within)
    if (outcomes.length === 0) return { day, outcomes, sites: [], models: [] }
    const sites = await events.tallySignIns('client_id', within)
    const models = await events.tallySignIns('model', within)
    return { day, outcomes, sites, models }
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    overview: Overview
  }
}

export default fp(
  async (app) => {
    const { clock, store } = app
    app.decorate('overview', new Overview({ clock, store }))
  },
  { name: 'overview', dependencies: ['clock', 'store'] },
)
