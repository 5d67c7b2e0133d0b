import { endCompromised } from './agent-sign-ins.ts'
import { endApprovalsOfAgent } from './approvals.ts'
import { recordEvent } from './events.ts'
import { type Act, all, db, one, statement } from './statement.ts'
import type { AgentKeyRow, EventRow } from './tables.ts'

export type AgentKey = AgentKeyRow

/** By the primary key's first column. */
const keysOfAgent = statement<{ agent_id: string }>()((p) =>
  db
    .selectFrom('agent_keys')
    .selectAll()
    .where('agent_id', '=', p.agent_id)
    .orderBy('created_at')
    .orderBy('kid'),
)

const useAssertion = statement<{ agent_id: string; jti: string; expires_at: number }>()((p) =>
  db
    .insertInto('used_assertions')
    .values({ agent_id: p.agent_id, jti: p.jti, expires_at: p.expires_at })
    .onConflict((conflict) => conflict.doNothing())
    .returning('jti'),
)

export function* listKeys(agent_id: string): Act<AgentKey[]> {
  return yield* all(keysOfAgent({ agent_id }))
}

export const reads = { list: listKeys }

export const writes = {
  /** Registers a public key, unless the agent has one of this `kid` or `limit` keys already. */
  *add(
    key: AgentKey,
    limit: number,
    event: EventRow,
  ): Act<{ outcome: 'added' | 'registered_before' | 'too_many' | 'unknown_agent' }> {
    const agent = yield* one(
      db.selectFrom('agents').select('agent_id').where('agent_id', '=', key.agent_id).compile(),
    )
    if (agent === undefined) return { outcome: 'unknown_agent' }
    const keys = yield* listKeys(key.agent_id)
    if (keys.some(({ kid }) => kid === key.kid)) return { outcome: 'registered_before' }
    if (keys.length >= limit) return { outcome: 'too_many' }
    yield db.insertInto('agent_keys').values(key).compile()
    yield* recordEvent(event)
    return { outcome: 'added' }
  },

  /**
   * Deletes a key and ends the approvals that the agent has asked for, since the key may have been
   * used to ask. If the key is `compromised`, every grant and remembered approval ends too.
   */
  *remove(agent_id: string, kid: string, compromised: boolean, event: EventRow): Act<boolean> {
    const row = yield* one(
      db
        .deleteFrom('agent_keys')
        .where('agent_id', '=', agent_id)
        .where('kid', '=', kid)
        .returning('kid')
        .compile(),
    )
    if (row === undefined) return false
    if (compromised) yield* endCompromised(agent_id, event.at)
    else yield* endApprovalsOfAgent(agent_id)
    yield* recordEvent(event)
    return true
  },

  /**
   * Records the `jti` of an agent's assertion until `expires_at`. Of concurrent callers with the same
   * `jti`, one succeeds.
   */
  *useAssertion(agent_id: string, jti: string, expires_at: number): Act<boolean> {
    return (yield* one(useAssertion({ agent_id, jti, expires_at }))) !== undefined
  },
}
