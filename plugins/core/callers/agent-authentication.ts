import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { AuthenticateBody } from '../../../schemas/authenticate.ts'
import { OAuthError } from '../http/errors.ts'
import { AgentAssertions, type AssertedRequest, readSubject } from './agent-assertion.ts'

/** How an agent can prove who it is. */
export const AGENT_AUTHENTICATION_METHODS = ['agent_secret', 'agent_assertion']

/** The agent_id that a caller claims, and its proof. */
export type AgentCredentials =
  | { agent_id: string; method: 'agent_secret'; agent_secret: string }
  | { agent_id: string; method: 'agent_assertion'; agent_assertion: string }

/** @throws {OAuthError} invalid_request for a proof that is missing or malformed, or for two proofs */
export function readAgentCredentials({
  agent_id,
  agent_secret,
  agent_assertion,
}: Pick<AuthenticateBody, 'agent_id' | 'agent_secret' | 'agent_assertion'>): AgentCredentials {
  if (agent_assertion === undefined) {
    if (agent_id === undefined) throw badRequest('agent_id is required')
    if (agent_secret === undefined) throw badRequest('agent_secret or agent_assertion is required')
    return { agent_id, method: 'agent_secret', agent_secret }
  }
  if (agent_secret !== undefined) {
    throw badRequest('Send agent_secret or agent_assertion, not both')
  }
  const sub = readSubject(agent_assertion)
  if (agent_id !== undefined && agent_id !== sub) {
    throw badRequest('agent_id differs from the sub of the agent_assertion')
  }
  return { agent_id: sub, method: 'agent_assertion', agent_assertion }
}

/**
 * Authenticates the agent by its secret or by an assertion that it signed for this request. An unknown
 * or disabled agent, a wrong secret and a wrong signature get the same answer after the same work.
 * @throws {OAuthError} invalid_credentials; temporarily_unavailable (429) after too many failures
 */
export function createAgentAuthentication(
  parts: Pick<FastifyInstance, 'clock' | 'store' | 'throttle'> & {
    agentAssertions: AgentAssertions
  },
) {
  return async function authenticateAgent(
    credentials: AgentCredentials,
    request: AssertedRequest,
    address: string,
  ): Promise<void> {
    const { agent_id } = credentials
    const attempt = { id: agent_id, address }
    if (credentials.method === 'agent_secret') {
      const agent = await parts.store.agents.findWithSecrets(agent_id, parts.clock.now())
      const proved = await parts.throttle.verifyHolder(agent, credentials.agent_secret, attempt)
      if (proved?.disabled_at !== null) throw invalidCredentials()
    } else {
      const agent = await parts.store.agents.findWithKeys(agent_id)
      const keys = agent?.disabled_at === null ? agent.keys : []
      const { agent_assertion } = credentials
      const claims = await parts.agentAssertions.verify(agent_assertion, agent_id, keys, request)
      if (claims === undefined) {
        await parts.throttle.countFailure(attempt)
        throw invalidCredentials()
      }
      await parts.agentAssertions.use(claims)
    }
  }
}

function badRequest(description: string): OAuthError {
  return new OAuthError('invalid_request', description)
}

/** The refusal of an agent that did not prove itself, whatever the reason. */
export function invalidCredentials(): OAuthError {
  return new OAuthError(
    'invalid_credentials',
    'The agent_id or its agent_secret or agent_assertion is wrong',
  )
}

declare module 'fastify' {
  interface FastifyInstance {
    authenticateAgent: ReturnType<typeof createAgentAuthentication>
  }
}

export default fp(
  async (app) => {
    const { agentKeys, clock, settings, store, throttle } = app
    const agentAssertions = new AgentAssertions({ agentKeys, clock, settings, store })
    app.decorate(
      'authenticateAgent',
      createAgentAuthentication({ agentAssertions, clock, store, throttle }),
    )
  },
  {
    name: 'authenticateAgent',
    dependencies: ['agentKeys', 'clock', 'settings', 'store', 'throttle'],
  },
)
