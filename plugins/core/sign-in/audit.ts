import { randomBytes } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type { Event, Grant } from '../../../db/store.ts'
import { OAuthError } from '../http/errors.ts'

export type NewEvent = Pick<Event, 'event' | 'outcome'> &
  Partial<Pick<Event, 'agent_id' | 'client_id' | 'model' | 'method' | 'address' | 'detail'>>

/** What says something about an agent, and not only about what it sent. */
const REFUSALS: string[] = ['access_denied', 'invalid_credentials', 'invalid_grant']

/** In the order in which one process makes them. */
let made = 0

/**
 * The audit trail: who signed in where with which model, and what was refused. It holds no secret,
 * and forgets what is older than AUDIT_RETENTION.
 */
export class Audit {
  readonly #app: Pick<FastifyInstance, 'clock' | 'log' | 'store'>

  constructor(app: Pick<FastifyInstance, 'clock' | 'log' | 'store'>) {
    this.#app = app
  }

  /** An event, for an act that puts it on record. */
  toRow(event: NewEvent): Event {
    made += 1
    const order = made.toString(16).padStart(10, '0')
    return {
      event_id: `ev_${order}_${randomBytes(9).toString('base64url')}`,
      at: this.#app.clock.now(),
      client_id: null,
      model: null,
      method: null,
      address: null,
      detail: null,
      ...event,
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
    this.#app.log.error({ err: error }, 'an event is missing from the audit trail')
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

  /** Takes steps, and puts on record when they end in a refusal: who was refused what, and why. */
  async recordRefusals<T>(event: Omit<NewEvent, 'outcome' | 'detail'>, steps: () => Promise<T>) {
    try {
      return await steps()
    } catch (error) {
      if (error instanceof OAuthError && REFUSALS.includes(error.code)) {
        await this.record({ ...event, outcome: error.code, detail: error.message })
      }
      throw error
    }
  }
}
