import type { FastifyInstance } from 'fastify'
import type { Agent } from '../../db/store.ts'
import { OAuthError } from './errors.ts'

/** How an agent can prove who it is. */
export const AGENT_AUTHENTICATION_METHODS = ['agent_secret']

/**
 * Who is signing in: the agent, by its secret. An unknown agent, a disabled one and a wrong secret
 * get the same answer for the same work.
 */
export function createAgentAuthentication(
  app: Pick<FastifyInstance, 'store' | 'secrets' | 'clock'>,
) {
  return async function authenticateAgent(credentials: {
    agent_id: string
    agent_secret: string
  }): Promise<Agent> {
    const { agent_id, agent_secret } = credentials
    const agent = await app.store.agents.findWithSecrets(agent_id, app.clock.now())
    const matches = await app.secrets.verify(agent_secret, agent?.secrets ?? [])
    if (!matches || agent === undefined || agent.disabled_at !== null) throw invalidCredentials()
    return agent
  }
}

/** The one refusal of an agent that did not prove itself. */
export function invalidCredentials(): OAuthError {
  return new OAuthError('invalid_credentials', 'The agent_id or agent_secret is wrong')
}
