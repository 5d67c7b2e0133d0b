import { type AgentKey, listKeys } from './agent-keys.ts'
import { endCompromised, endSignIns } from './agent-sign-ins.ts'
import { endApprovalsOfAgent } from './approvals.ts'
import { allowsSecret } from './policies.ts'
import { forgetApprovalsOfAgent } from './remembered-approvals.ts'
import {
  addSecret,
  findLiveSecrets,
  type LiveSecret,
  removeSecrets,
  replaceSecret,
} from './secrets.ts'
import { type Act, all, db, one, statement } from './statement.ts'
import type { AgentRow, SecretRow } from './tables.ts'

export type Agent = AgentRow
export type AgentChange = Partial<Pick<Agent, 'email' | 'name' | 'disabled_at'>>

const agentById = statement<{ agent_id: string }>()((p) =>
  db.selectFrom('agents').selectAll().where('agent_id', '=', p.agent_id),
)

export const reads = {
  *find(agent_id: string): Act<Agent | undefined> {
    return yield* one(agentById({ agent_id }))
  },

  /** The agent, with the secrets that are good at `now`: none when its policy forbids them. */
  *findWithSecrets(
    agent_id: string,
    now: number,
  ): Act<(Agent & { secrets: LiveSecret[] }) | undefined> {
    const agent = yield* one(agentById({ agent_id }))
    if (agent === undefined) return undefined
    const secrets = (yield* allowsSecret(agent_id)) ? yield* findLiveSecrets(agent_id, now) : []
    return { ...agent, secrets }
  },

  /** The agent, with the public keys that it registered. */
  *findWithKeys(agent_id: string): Act<(Agent & { keys: AgentKey[] }) | undefined> {
    const agent = yield* one(agentById({ agent_id }))
    return agent && { ...agent, keys: yield* listKeys(agent_id) }
  },

  *list(): Act<Agent[]> {
    return yield* all(
      db.selectFrom('agents').selectAll().orderBy('created_at').orderBy('agent_id').compile(),
    )
  },
}

export const writes = {
  *create(agent: Agent, secret: SecretRow): Act<void> {
    yield db.insertInto('agents').values(agent).compile()
    yield* addSecret(secret)
  },

  /**
   * Changes what is named. Disabling ends every grant and open approval of the agent with it; for
   * another e-mail address nothing has been approved yet.
   */
  *update(agent_id: string, change: AgentChange, now: number): Act<Agent | undefined> {
    const before = yield* one(agentById({ agent_id }))
    const agent = yield* one(
      db
        .updateTable('agents')
        .set(change)
        .where('agent_id', '=', agent_id)
        .returningAll()
        .compile(),
    )
    if (agent !== undefined && typeof change.disabled_at === 'number') {
      yield* endSignIns(agent_id, now)
    }
    if (agent?.email !== before?.email) {
      yield* endApprovalsOfAgent(agent_id)
      yield* forgetApprovalsOfAgent(agent_id)
    }
    return agent
  },

  /** Removes the agent and, by the foreign keys, everything that hangs from it. */
  *delete(agent_id: string): Act<boolean> {
    const row = yield* one(
      db.deleteFrom('agents').where('agent_id', '=', agent_id).returning('agent_id').compile(),
    )
    yield* removeSecrets(agent_id)
    return row !== undefined
  },

  /**
   * What was asked for with a secret that is good no more ends with it. Where the old one is
   * `compromised`, every grant and what was remembered end too.
   */
  *replaceSecret(secret: SecretRow, endOld: number, compromised: boolean): Act<void> {
    const { holder_id: agent_id, created_at: now } = secret
    yield* replaceSecret(secret, endOld)
    if (compromised) yield* endCompromised(agent_id, now)
    else if (endOld <= now) yield* endApprovalsOfAgent(agent_id)
  },
}
