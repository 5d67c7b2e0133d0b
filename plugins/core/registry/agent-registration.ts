import type { FastifyInstance } from 'fastify'
import type { Agent, AgentChange, Owner } from '../../../db/store.ts'
import { PREFIXES } from '../../../schemas/identifier.ts'
import { normalMailbox } from '../../../schemas/mailbox.ts'
import type { Actor } from '../audit/audit.ts'
import { newId } from '../crypto/secrets.ts'
import { OAuthError } from '../http/errors.ts'
import { assertFound } from './found.ts'
import { HolderSecrets, type SecretRotation } from './holder-secrets.ts'
import { readName, withName } from './names.ts'

/** How many agents an owner can have. */
export const AGENTS_PER_OWNER = 100

/** Registers and changes agents. */
export function createAgentRegistration({
  audit,
  clock,
  secrets,
  store,
}: Pick<FastifyInstance, 'audit' | 'clock' | 'secrets' | 'store'>) {
  const holderSecrets = new HolderSecrets(secrets, PREFIXES.agent_secret)

  return {
    /** @throws {OAuthError} invalid_request for an invalid e-mail address */
    async createAgent(given: {
      email: string
      /** Whether the operator vouches for the address; by default false. */
      email_verified?: boolean
      name?: string
    }): Promise<{ agent: Agent; agent_secret: string }> {
      const registered = {
        agent_id: newId(PREFIXES.agent_id),
        email: normalEmail(given.email),
        email_verified: given.email_verified ?? false,
        name: given.name === undefined ? null : readName('The name', given.name),
        created_at: clock.now(),
        disabled_at: null,
      }
      const { secret, row } = await holderSecrets.create(registered.agent_id)
      const agent = await store.agents.create(registered, row)
      return { agent, agent_secret: secret }
    },

    /**
     * Registers an agent of an owner, who made it himself. Websites are told his address, and that it
     * is verified once it is.
     * @throws {OAuthError} invalid_request for an invalid name, or an owner who has too many agents
     */
    async createOwnAgent(
      { owner_id, email }: Pick<Owner, 'owner_id' | 'email'>,
      given: { name?: string | undefined },
    ): Promise<{ agent: Agent; agent_secret: string }> {
      const agent = {
        agent_id: newId(PREFIXES.agent_id),
        owner_id,
        email,
        email_verified: false,
        name: given.name === undefined ? null : readName('The name', given.name),
        created_at: clock.now(),
        disabled_at: null,
      }
      const { secret, row } = await holderSecrets.create(agent.agent_id)
      const { agent_id } = agent
      const event = audit.toRow({ event: 'agent', outcome: 'created', agent_id, owner_id })
      if (await store.agents.createOfOwner(agent, row, AGENTS_PER_OWNER, event)) {
        return { agent, agent_secret: secret }
      }
      throw new OAuthError(
        'invalid_request',
        `You have ${AGENTS_PER_OWNER} agents, which is the most: delete one first`,
      )
    },

    /** @throws {OAuthError} as `createAgent` does, and not_found */
    async updateAgent(agent_id: string, change: AgentChange, by: Actor = {}): Promise<Agent> {
      const { email } = change
      const normal = email === undefined ? change : { ...change, email: normalEmail(email) }
      const agent = assertFound(
        await store.agents.update(agent_id, withName(normal), clock.now()),
        agent_id,
      )
      if (change.disabled_at !== undefined) {
        const outcome = change.disabled_at === null ? 'enabled' : 'disabled'
        await audit.record({ event: 'agent', outcome, agent_id, ...by })
      }
      if (change.name !== undefined) {
        await audit.record({ event: 'agent', outcome: 'renamed', agent_id, ...by })
      }
      return agent
    },

    /**
     * Gives the agent a new secret.
     * @throws {OAuthError} not_found
     */
    async rotateAgentSecret(
      agent_id: string,
      rotation: SecretRotation = {},
      by: Actor = {},
    ): Promise<string> {
      assertFound(await store.agents.find(agent_id), agent_id)
      const secret = await holderSecrets.rotate(agent_id, rotation, store.agents.replaceSecret)
      await audit.record({ event: 'agent', outcome: 'secret_rotated', agent_id, ...by })
      return secret
    },

    /** Removes an agent with its sign-ins, keys and policy. Tells whether it was there. */
    async deleteAgent(agent_id: string, by: Actor = {}): Promise<boolean> {
      const deleted = await store.agents.delete(agent_id, clock.now())
      if (deleted) await audit.record({ event: 'agent', outcome: 'deleted', agent_id, ...by })
      return deleted
    },
  }
}

function normalEmail(email: string): string {
  const mailbox = normalMailbox(email)
  if (mailbox !== undefined) return mailbox
  throw new OAuthError(
    'invalid_request',
    `${email} is not a valid e-mail address, such as me@example.com`,
  )
}
