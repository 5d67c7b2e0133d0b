import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Client, Grant, StoppedSignIns } from '../../../db/store.ts'
import { OAuthError } from '../http/errors.ts'

/** Which sign-ins of an owner are listed. */
export interface SignInFilter {
  agent_id?: string | undefined
  client_id?: string | undefined
  /** The newest that is older than this one. */
  before?: Pick<Grant, 'created_at' | 'grant_id'> | undefined
  limit: number
}

/** A living sign-in, with the website where it is. */
export interface LivingSignIn {
  grant: Grant
  client: Client
}

/** Where the agents of an owner are signed in, and the end of that. */
export class OwnSignIns {
  readonly #parts: Pick<FastifyInstance, 'audit' | 'clock' | 'store'>

  constructor(parts: Pick<FastifyInstance, 'audit' | 'clock' | 'store'>) {
    this.#parts = parts
  }

  /** The newest first. */
  async list(owner_id: string, filter: SignInFilter): Promise<LivingSignIn[]> {
    const now = this.#parts.clock.now()
    const grants = await this.#parts.store.grants.listOfOwner(owner_id, { ...filter, now })
    const ids = [...new Set(grants.map(({ client_id }) => client_id))]
    const clients = new Map(
      await Promise.all(
        ids.map(async (id) => [id, await this.#parts.store.clients.find(id)] as const),
      ),
    )
    return grants.flatMap((grant) => {
      const client = clients.get(grant.client_id)
      return client === undefined ? [] : [{ grant, client }]
    })
  }

  /**
   * Ends sign-ins of an owner: their refresh tokens, and their access tokens wherever those are asked
   * about here.
   * @param forget whether what the owner approved there for the future is forgotten too
   * @returns how many ended
   * @throws {OAuthError} not_found when the one that is named, or its agent, is not the owner's or has
   *   ended
   */
  async stop(which: StoppedSignIns, forget: boolean): Promise<number> {
    const { owner_id, agent_id, grant_id } = which
    if (agent_id !== undefined) {
      const agent = await this.#parts.store.agents.findOfOwner(owner_id, agent_id)
      if (agent === undefined) throw new OAuthError('not_found', `There is no ${agent_id}`)
    }
    const event = this.#parts.audit.toRow({ event: 'revocation', outcome: 'revoked', owner_id })
    const count = await this.#parts.store.grants.stop(which, forget, event)
    if (count === 0 && grant_id !== undefined) {
      throw new OAuthError('not_found', `There is no living ${grant_id}`)
    }
    return count
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    ownSignIns: OwnSignIns
  }
}

export default fp(
  async (app) => {
    const { audit, clock, store } = app
    app.decorate('ownSignIns', new OwnSignIns({ audit, clock, store }))
  },
  { name: 'ownSignIns', dependencies: ['audit', 'clock', 'store'] },
)
