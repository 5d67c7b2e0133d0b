import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Event, Grant } from '../../../db/store.ts'
import { PREFIXES } from '../../../schemas/identifier.ts'
import type { SignInDescription } from '../../../schemas/sign-in-description.ts'
import { newId } from '../crypto/secrets.ts'
import { OAuthError } from '../http/errors.ts'
import { normalAddress } from '../limits/network.ts'
import { WindowCounts } from '../limits/window-counts.ts'
import { toDetail } from './sign-in-lines.ts'

export type NewEvent = Pick<Event, 'event' | 'outcome'> &
  Partial<
    Pick<Event, 'agent_id' | 'client_id' | 'model' | 'method' | 'address' | 'detail' | 'owner_id'>
  >

/** Who did something: an owner in the account or the console; nobody is named for the command line. */
export type Actor = Partial<Pick<Event, 'owner_id'>>

/** Refusals that concern the agent itself, not the shape of its request. */
const REFUSALS: string[] = ['access_denied', 'invalid_credentials', 'invalid_grant']

/** How many refusals of callers who proved nothing are recorded: for one agent, and in total. */
const UNPROVED = { perAgent: 50, inAll: 500, within: 3600 }

/**
 * The audit trail: who signed in where with which model, and what was refused. It holds no secrets.
 * Maintenance deletes what is older than AUDIT_RETENTION.
 */
export class Audit {
  readonly #parts: Pick<FastifyInstance, 'clock' | 'faults' | 'log' | 'store'>
  readonly #unproved: WindowCounts

  constructor(parts: Pick<FastifyInstance, 'clock' | 'faults' | 'log' | 'store'>) {
    this.#parts = parts
    this.#unproved = new WindowCounts(parts.clock, UNPROVED.within)
  }

  /** The row of an event, for an act that records it in its own transaction. */
  toRow(event: NewEvent): Event {
    return {
      event_id: newId(PREFIXES.event_id),
      at: this.#parts.clock.now(),
      client_id: null,
      model: null,
      method: null,
      detail: null,
      owner_id: null,
      ...event,
      address: event.address == null ? null : normalAddress(event.address),
      // A caller who has proved nothing can send any text as its agent_id.
      agent_id: /^[\x21-\x7e]{1,255}$/.test(event.agent_id ?? '') ? (event.agent_id ?? null) : null,
    }
  }

  /** Records an event in an act of its own. If that fails, logs the fault and does not throw. */
  async record(event: NewEvent): Promise<void> {
    try {
      await this.#parts.store.events.record(this.toRow(event))
    } catch (error) {
      this.#logMissing(error)
    }
  }

  #logMissing(error: unknown): void {
    this.#parts.faults.report(this.#parts.log, error, 'an event is missing from the audit trail')
  }

  /** Records that a sign-in was revoked, and why. If recording fails, the sign-in is still revoked. */
  async recordRevocation(grant_id: string, detail: string, address?: string): Promise<void> {
    try {
      const grant = await this.#parts.store.grants.find(grant_id)
      if (grant === undefined) return
      const { agent_id, client_id, model } = grant
      const event = { event: 'revocation', outcome: 'revoked' } as const
      await this.#parts.store.events.record(
        this.toRow({ ...event, agent_id, client_id, model, address, detail }),
      )
    } catch (error) {
      this.#logMissing(error)
    }
  }

  /** Records that a used refresh token was accepted again and answered with the newest one. */
  async recordCopies(
    { agent_id, client_id, model }: Pick<Grant, 'agent_id' | 'client_id' | 'model'>,
    address: string,
  ): Promise<void> {
    const detail = 'Several copies of one client share this sign-in'
    const event = { event: 'refresh', outcome: 'several_copies' } as const
    await this.record({ ...event, agent_id, client_id, model, address, detail })
  }

  /**
   * Runs steps. If they end with a refusal, records it with its reason and with the description of the
   * sign-in that the steps passed to `tell`.
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

  /** Bounds the failed proofs in the trail, since any caller can cause them. The log has all of them. */
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
