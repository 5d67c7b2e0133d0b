import type { FastifyInstance } from 'fastify'
import type { Agent, Grant, Owner } from '../../../db/store.ts'
import { readHistory } from '../audit/own-history.ts'

type Parts = Pick<FastifyInstance, 'sessions' | 'store' | 'clock'>

/** How many rows are read at once. */
const PART = 500

/** Everything that is kept about an owner, part by part: a name, and its value or its values. */
export async function* readOwnData(
  parts: Parts,
  owner: Owner,
): AsyncGenerator<[name: string, value: unknown]> {
  const { clock, sessions, store } = parts
  const { owner_id } = owner
  const agents = await store.agents.listOfOwner(owner_id)
  const now = clock.now()
  const open = await store.ownerSessions.listOfOwner(owner_id, now, sessions.limits)
  yield ['owner', owner]
  yield ['passkeys', await store.passkeys.listOfOwner(owner_id)]
  yield ['browser_sessions', open.map(({ session_hash: _, ...session }) => session)]
  yield ['agents', readAgents(parts, agents)]
  yield ['sign_ins', readSignIns(parts, owner_id, agents)]
  yield ['approvals_waiting', await store.approvals.listOpen(now, owner_id)]
  yield ['approval_proofs', await store.approvals.listProofs(owner_id)]
  yield ['history', readHistory(parts, owner_id)]
}

async function* readAgents({ store }: Parts, agents: Agent[]) {
  for (const agent of agents) {
    const { agent_id } = agent
    yield {
      ...agent,
      policy: await store.policies.ofAgent(agent_id),
      keys: await store.agentKeys.list(agent_id),
      remembered_approvals: await store.policies.remembered(agent_id),
    }
  }
}

async function* readSignIns({ store }: Parts, owner_id: string, agents: Agent[]) {
  let before: Grant | undefined
  for (;;) {
    // Also those that have expired and are still stored.
    const part = await store.grants.listOfOwner(owner_id, { now: 0, before, limit: PART })
    yield* part
    before = part.at(-1)
    if (part.length < PART) break
  }
  for (const { agent_id } of agents) {
    let after: Grant | undefined
    for (;;) {
      const part = await store.grants.listEnded(agent_id, after, PART)
      yield* part
      after = part.at(-1)
      if (part.length < PART) break
    }
  }
}
