import type { FastifyInstance } from 'fastify'
import type { Agent } from '../../../db/store.ts'
import { assertFound } from '../registry/found.ts'
import type { SignedIn } from './sessions.ts'

/**
 * An agent that the owner named in a path or a form.
 * @throws {OAuthError} not_found, also where it is somebody else's: nobody learns that it exists
 */
export async function findOwnAgent(
  { store }: Pick<FastifyInstance, 'store'>,
  { owner }: Pick<SignedIn, 'owner'>,
  agent_id: string,
): Promise<Agent> {
  return assertFound(await store.agents.findOfOwner(owner.owner_id, agent_id), agent_id)
}
