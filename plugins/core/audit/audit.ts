import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Event, Grant } from '../../../db/store.ts'
import type { SignInDescription } from '../../../schemas/sign-in-description.ts'
import { newId } from '../crypto/secrets.ts'
import { OAuthError } from '../http/errors.ts'
import { normalAddress } from '../limits/network.ts'
import { WindowCounts } from '../limits/window-counts.ts'
import { toDetail } from './sign-in-lines.ts'

export type NewEvent = Pick<Event, 'event' | 'outcome'> &
  Partial<Pick<Event, 'agent_id' | 'client_id' | 'model' | 'method' | 'address' | 'detail'>>

/** What says something about an agent, and not only about what it sent. */
const REFUSALS: string[] = ['access_denied', 'invalid_credentials', 'invalid_grant']

/** How many refusals of callers who proved nothing are recorded, for one agent and in all. */
const UNPROVED = { perAgent: 50, inAll: 500, within: 3600 }

/**
 * The audit trail: who signed in where with which model, and what was refused. It holds no secret,
 * and forgets what is older than AUDIT_RETENTION.
 */
export class Audit {
  readonly #app: Pick<FastifyInstance, 'clock' | 'faults' | 'log' | 'store'>
  readonly #unproved: WindowCounts

  constructor(app: Pick<FastifyInstance, 'clock' | 'faults' | 'log' | 'store'>) {
    this.#app = app
    this.#unproved = new WindowCounts(app.clock, UNPROVED.within)
  }

  /** An event, for an act that puts it on record. */
  toRow(event: NewEvent): Event {
    return {
      event_id: newId('ev_'),
      at: this.#app.clock.now(),
      client_id: null,
      model: null,
      method: null,
      detail: null,
      ...event,
      address: event.address == null ? null : normalAddress(event.address),
      // A stranger may name anything.
      agent_id: /^[\x21-\x7e]{1,255}$/.test(event.agent_id ?? '') ? (event.agent_id ?? null) : null,
    }
  }

  /** Puts on record what no act of its own does; a trail that cannot be written stops nobody. */
  async record(event: NewEvent): Promise<void> {
    try {
      await this.#app.store.events.record(this.toRow(event))
    } catch (error) {
      this.#logMissing(error)
    }
  }

  #logMissing(error: unknown): void {
    this.#app.faults.report(this.#app.log, error, 'an event is missing from the audit trail')
  }

  /** Puts on record that a sign-in was ended, and why. It has ended also where that fails. */
  async recordRevocation(grant_id: string, detail: string, address?: string): Promise<void> {
    try {
      const grant = await this.#app.store.grants.find(grant_id)
      if (grant === undefined) return
      const { agent_id, client_id, model } = grant
      const event = { event: 'revocation', outcome: 'revoked' } as const
      await this.#app.store.events.record(
        this.toRow({ ...event, agent_id, client_id, model, address, detail }),
      )
    } catch (error) {
      this.#logMissing(error)
    }
  }

  /** Records that a used refresh token came again and got the newest one. */
  async recordCopies(
    { agent_id, client_id, model }: Pick<Grant, 'agent_id' | 'client_id' | 'model'>,
    address: string,
  ): Promise<void> {
    const detail = 'Several copies of one client share this sign-in'
    const event = { event: 'refresh', outcome: 'several_copies' } as const
    await this.record({ ...event, agent_id, client_id, model, address, detail })
  }

  /**
   * Takes steps, and puts on record when they end in a refusal: who was refused what, and why, with
   * the facts of the sign-in that the steps told.
   */
  async recordRefusals<T>(
    event: Omit<NewEvent, 'outcome' | 'detail'>,
    steps: (tell: (description: SignInDescription) => void) => Promise<T>,
  ): Promise<T> {
    let facts = ''
    try {
      return await steps((description) => {
        facts = ` | ${toDetail(description)}`
      })
    } catch (error) {
      if (
        error instanceof OAuthError &&
        REFUSALS.includes(error.code) &&
        this.#admits(error, event)
      ) {
        await this.record({ ...event, outcome: error.code, detail: error.message + facts })
      }
      throw error
    }
  }

  /** Whoever fails to prove to be an agent can fill the trail only so far; the log has the rest. */
  #admits({ code }: OAuthError, { agent_id }: Pick<NewEvent, 'agent_id'>): boolean {
    if (code !== 'invalid_credentials') return true
    const agent = `agent ${agent_id}`
    if (this.#unproved.secondsLeft(agent, UNPROVED.perAgent) !== undefined) return false
    if (this.#unproved.secondsLeft('all', UNPROVED.inAll) !== undefined) return false
    this.#unproved.add(agent)
    this.#unproved.add('all')
    return true
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    audit: Audit
  }
}

export default fp(
  async (app) => {
    const { clock, faults, log, store } = app
    app.decorate('audit', new Audit({ clock, faults, log, store }))
  },
  { name: 'audit', dependencies: ['clock', 'faults', 'store'] },
)
