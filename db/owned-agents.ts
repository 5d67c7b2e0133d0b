import { type Act, all, db, statement } from './statement.ts'

/** By the index on `owner_id`. */
const agentsOfOwner = statement<{ owner_id: string }>()((p) =>
  db.selectFrom('agents').select('agent_id').where('owner_id', '=', p.owner_id),
)

/**
 * The agents of an owner; where one is named, that one alone, and none where it is somebody else's.
 * What is done to an owner's things is done to these, one by one.
 */
export function* ownedAgents(owner_id: string, agent_id?: string): Act<string[]> {
  const ids = (yield* all(agentsOfOwner({ owner_id }))).map((row) => row.agent_id)
  return agent_id === undefined ? ids : ids.filter((id) => id === agent_id)
}
