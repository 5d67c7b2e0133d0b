import {
  type AgentPolicy,
  DEFAULT_AGENT_POLICY,
  DEFAULT_MODEL_POLICY,
  type ModelPolicy,
} from '../schemas/policy.ts'
import { endApprovalsOfAgent } from './approvals.ts'
import { recordEvent } from './events.ts'
import { isRemembered, listRemembered, type ShownRequest } from './remembered-approvals.ts'
import { type Act, all, db, one, statement } from './statement.ts'
import type { EventRow } from './tables.ts'

interface SignInPolicies {
  agent: AgentPolicy
  client: ModelPolicy
  registered: boolean
  lacksOwner: boolean
  remembered: boolean
}

const agentPolicy = statement<{ agent_id: string }>()((p) =>
  db.selectFrom('agent_policies').selectAll().where('agent_id', '=', p.agent_id),
)

/** By the primary key's first column. */
const agentSites = statement<{ agent_id: string }>()((p) =>
  db
    .selectFrom('agent_sites')
    .select('site')
    .where('agent_id', '=', p.agent_id)
    .orderBy('created_at')
    .orderBy('site'),
)

const clientPolicy = statement<{ client_id: string }>()((p) =>
  db
    .selectFrom('client_policies')
    .select(['allowed_models', 'refused_models'])
    .where('client_id', '=', p.client_id),
)

const clientKind = statement<{ client_id: string }>()((p) =>
  db.selectFrom('clients').select(['origin', 'subject']).where('client_id', '=', p.client_id),
)

const ownerOfAgent = statement<{ agent_id: string }>()((p) =>
  db.selectFrom('agents').select('owner_id').where('agent_id', '=', p.agent_id),
)

const addSite = statement<{ agent_id: string; site: string; created_at: number }>()((p) =>
  db
    .insertInto('agent_sites')
    .values({ agent_id: p.agent_id, site: p.site, created_at: p.created_at })
    .onConflict((conflict) => conflict.doNothing()),
)

export function* findAgentPolicy(agent_id: string): Act<AgentPolicy> {
  const row = yield* one(agentPolicy({ agent_id }))
  const allowed_sites = (yield* all(agentSites({ agent_id }))).map(({ site }) => site)
  if (row === undefined) return { ...DEFAULT_AGENT_POLICY, allowed_sites }
  const { sites, deliver, secret, approval } = row
  return {
    sites,
    allowed_sites,
    remember_sites: row.remember_sites === 1,
    deliver,
    secret,
    approval,
    allowed_models: JSON.parse(row.allowed_models),
    refused_models: JSON.parse(row.refused_models),
  }
}

/** Whether an agent may prove itself by its secret. */
export function* allowsSecret(agent_id: string): Act<boolean> {
  return (yield* one(agentPolicy({ agent_id })))?.secret !== 'forbid'
}

export function* findClientPolicy(client_id: string): Act<ModelPolicy> {
  const row = yield* one(clientPolicy({ client_id }))
  if (row === undefined) return DEFAULT_MODEL_POLICY
  return {
    allowed_models: JSON.parse(row.allowed_models),
    refused_models: JSON.parse(row.refused_models),
  }
}

export const reads = {
  ofAgent: findAgentPolicy,
  ofClient: findClientPolicy,

  /** The approvals that an agent's owner wanted to be remembered. */
  remembered: listRemembered,

  /**
   * The two that decide over a sign-in, whether the operator registered the client, whether that knows
   * people by their owner and the agent has none, and whether all that the request shows was approved
   * before.
   */
  *ofSignIn(agent_id: string, request: ShownRequest): Act<SignInPolicies> {
    const { client_id } = request
    const kind = yield* one(clientKind({ client_id }))
    const lacksOwner =
      kind?.subject === 'owner' && (yield* one(ownerOfAgent({ agent_id })))?.owner_id === null
    return {
      agent: yield* findAgentPolicy(agent_id),
      client: yield* findClientPolicy(client_id),
      registered: kind?.origin === 'operator',
      lacksOwner,
      remembered: yield* isRemembered(agent_id, request),
    }
  },
}

export const writes = {
  /** Changes the given members. Undefined for an unknown agent. */
  *changeOfAgent(
    agent_id: string,
    change: Partial<AgentPolicy>,
    event: EventRow,
  ): Act<AgentPolicy | undefined> {
    const agent = db.selectFrom('agents').select('agent_id').where('agent_id', '=', agent_id)
    if ((yield* one(agent.compile())) === undefined) return undefined
    const before = yield* findAgentPolicy(agent_id)
    const { allowed_sites, ...policy } = { ...before, ...change }
    // A code that was mailed before is no passkey.
    if (policy.approval !== before.approval) yield* endApprovalsOfAgent(agent_id)
    const row = {
      ...policy,
      remember_sites: policy.remember_sites ? 1 : 0,
      allowed_models: JSON.stringify(policy.allowed_models),
      refused_models: JSON.stringify(policy.refused_models),
    }
    yield db
      .insertInto('agent_policies')
      .values({ agent_id, ...row })
      .onConflict((conflict) => conflict.column('agent_id').doUpdateSet(row))
      .compile()
    if (change.allowed_sites !== undefined) {
      yield db.deleteFrom('agent_sites').where('agent_id', '=', agent_id).compile()
      for (const site of new Set(allowed_sites)) {
        yield addSite({ agent_id, site, created_at: event.at })
      }
    }
    yield* recordEvent(event)
    return yield* findAgentPolicy(agent_id)
  },

  /** Deletes the remembered approvals of a client. Returns whether there were any. */
  *forget(agent_id: string, client_id: string, event: EventRow): Act<boolean> {
    const forgotten = yield* all(
      db
        .deleteFrom('remembered_approvals')
        .where('agent_id', '=', agent_id)
        .where('client_id', '=', client_id)
        .returning('grant_id')
        .compile(),
    )
    if (forgotten.length > 0) yield* recordEvent(event)
    return forgotten.length > 0
  },

  /** Changes the given members. Undefined for an unknown client. */
  *changeOfClient(
    client_id: string,
    change: Partial<ModelPolicy>,
    event: EventRow,
  ): Act<ModelPolicy | undefined> {
    const client = db.selectFrom('clients').select('client_id').where('client_id', '=', client_id)
    if ((yield* one(client.compile())) === undefined) return undefined
    const policy = { ...(yield* findClientPolicy(client_id)), ...change }
    const row = {
      allowed_models: JSON.stringify(policy.allowed_models),
      refused_models: JSON.stringify(policy.refused_models),
    }
    yield db
      .insertInto('client_policies')
      .values({ client_id, ...row })
      .onConflict((conflict) => conflict.column('client_id').doUpdateSet(row))
      .compile()
    yield* recordEvent(event)
    return policy
  },
}
