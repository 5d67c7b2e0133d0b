import type { FastifyInstance } from 'fastify'
import type { Agent } from '../../db/store.ts'
import type { AuthenticateBody } from '../../schemas/authenticate.ts'
import type { AssertedRequest } from './agent-assertion.ts'
import { OAuthError } from './errors.ts'

/** How an agent can prove who it is. */
export const AGENT_AUTHENTICATION_METHODS = ['agent_secret', 'agent_assertion']

export type AgentCredentials = Pick<
  AuthenticateBody,
  'agent_id' | 'agent_secret' | 'agent_assertion'
>

export interface AuthenticatedAgent {
  agent: Agent
  method: 'agent_secret' | 'agent_assertion'
}

/**
 * Who is signing in: the agent, by its secret or by an assertion that it signed for this request. An
 * unknown agent, a disabled one, a wrong secret and a wrong signature get the same answer for the
 * same work.
 */
export function createAgentAuthentication(
  app: Pick<FastifyInstance, 'agentAssertions' | 'clock' | 'secrets' | 'store'>,
) {
  return async function authenticateAgent(
    { agent_id, agent_secret, agent_assertion }: AgentCredentials,
    request: AssertedRequest,
  ): Promise<AuthenticatedAgent> {
    if (agent_assertion !== undefined) {
      if (agent_secret !== undefined) {
        throw new OAuthError('invalid_request', 'Send agent_secret or agent_assertion, not both')
      }
      return {
        agent: await byAssertion(agent_assertion, agent_id, request),
        method: 'agent_assertion',
      }
    }
    if (agent_id === undefined) throw required('agent_id')
    if (agent_secret === undefined) throw required('agent_secret (or agent_assertion)')
    return { agent: await bySecret(agent_id, agent_secret), method: 'agent_secret' }
  }

  async function bySecret(agent_id: string, agent_secret: string): Promise<Agent> {
    const agent = await app.store.agents.findWithSecrets(agent_id, app.clock.now())
    const matches = await app.secrets.verify(agent_secret, agent?.secrets ?? [])
    if (!matches || agent === undefined || agent.disabled_at !== null) throw invalidCredentials()
    return agent
  }

  async function byAssertion(
    assertion: string,
    agent_id: string | undefined,
    request: AssertedRequest,
  ): Promise<Agent> {
    const sub = app.agentAssertions.readSubject(assertion)
    if (agent_id !== undefined && agent_id !== sub) {
      throw new OAuthError(
        'invalid_request',
        'agent_id differs from the sub of the agent_assertion',
      )
    }
    const agent = await app.store.agents.findWithKeys(sub)
    const enabled = agent?.disabled_at === null
    const keys = enabled ? agent.keys : []
    const claims = await app.agentAssertions.verify(assertion, sub, keys, request)
    if (claims === undefined || agent === undefined) throw invalidCredentials()
    await app.agentAssertions.use(claims)
    return agent
  }
}

function required(name: string): OAuthError {
  return new OAuthError('invalid_request', `${name} is required`)
}

/** The one refusal of an agent that did not prove itself. */
export function invalidCredentials(): OAuthError {
  return new OAuthError(
    'invalid_credentials',
    'The agent_id or its agent_secret or agent_assertion is wrong',
  )
}
