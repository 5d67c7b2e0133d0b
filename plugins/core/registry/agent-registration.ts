import type { FastifyInstance } from 'fastify'
import type { Agent, AgentChange } from '../../../db/store.ts'
import { PREFIXES } from '../../../schemas/identifier.ts'
import { normalMailbox } from '../../../schemas/mailbox.ts'
import { newId } from '../crypto/secrets.ts'
import { OAuthError } from '../http/errors.ts'
import { assertFound } from './found.ts'
import { HolderSecrets, type SecretRotation } from './holder-secrets.ts'
import { readName, withName } from './names.ts'

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
      /** Whether the operator vouches for the address; false unless said. */
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

    /** @throws {OAuthError} as `createAgent` does, and not_found */
    async updateAgent(agent_id: string, change: AgentChange): Promise<Agent> {
      const { email } = change
      const normal = email === undefined ? change : { ...change, email: normalEmail(email) }
      const agent = assertFound(
        await store.agents.update(agent_id, withName(normal), clock.now()),
        agent_id,
      )
      if (change.disabled_at !== undefined) {
        const outcome = change.disabled_at === null ? 'enabled' : 'disabled'
        await audit.record({ event: 'agent', outcome, agent_id })
      }
      return agent
    },

    /**
     * Gives the agent a new secret.
     * @throws {OAuthError} not_found
     */
    async rotateAgentSecret(agent_id: string, rotation: SecretRotation = {}): Promise<string> {
      assertFound(await store.agents.find(agent_id), agent_id)
      return await holderSecrets.rotate(agent_id, rotation, store.agents.replaceSecret)
    },
  }
}

function normalEmail(email: string): string {
  const mailbox = normalMailbox(email)
  if (mailbox !== undefined) return mailbox
  throw new OAuthError(
    'invalid_request',
    `${email} is not one e-mail address, such as me@example.com`,
  )
}
