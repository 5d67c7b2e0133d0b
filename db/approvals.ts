import {
  type Authentication,
  type AuthenticationOutcome,
  authenticate,
} from './authorization-requests.ts'
import { recordEvent } from './events.ts'
import { allowSite } from './policies.ts'
import { type Act, all, db, one, statement } from './statement.ts'
import type { ApprovalRow, EventRow } from './tables.ts'

export type Approval = ApprovalRow

/** An approval that waits for its answer, with what the owner decides by. */
export interface OpenApproval extends Omit<Approval, 'code_hash'> {
  client_id: string
  client_name: string
  redirect_uri: string
  email: string
}

export type AskOutcome =
  | { outcome: 'asked' | 'waiting' | 'approved'; approval: Approval }
  | { outcome: 'denied' | 'exhausted' | 'another_agent' | 'another_model' }
  | { outcome: 'too_many'; retry_at: number }

export type VerifyOutcome =
  | { outcome: 'verified'; result: AuthenticationOutcome }
  | { outcome: 'wrong'; tries_left: number }
  | { outcome: 'not_open' }

const approvalById = statement<{ request_id: string }>()((p) =>
  db.selectFrom('approvals').selectAll().where('request_id', '=', p.request_id),
)

/** By the index on agent and time. */
const unanswered = statement<{ agent_id: string; since: number }>()((p) =>
  db
    .selectFrom('approvals')
    .select('created_at')
    .where('agent_id', '=', p.agent_id)
    .where('created_at', '>', p.since)
    .where('status', 'in', ['pending', 'denied'])
    .orderBy('created_at'),
)

const takeTry = statement<{ request_id: string; now: number }>()((p) =>
  db
    .updateTable('approvals')
    .set((eb) => ({ tries_left: eb('tries_left', '-', 1) }))
    .where('request_id', '=', p.request_id)
    .where('status', 'in', ['pending', 'approved'])
    .where('tries_left', '>', 0)
    .where('expires_at', '>', p.now)
    .returningAll(),
)

const useApproved = statement<{ request_id: string; agent_id: string; model: string }>()((p) =>
  db
    .updateTable('approvals')
    .set({ status: 'used' })
    .where('request_id', '=', p.request_id)
    .where('agent_id', '=', p.agent_id)
    .where('model', '=', p.model)
    .where('status', '=', 'approved')
    .returningAll(),
)

const use = statement<{ request_id: string }>()((p) =>
  db.updateTable('approvals').set({ status: 'used' }).where('request_id', '=', p.request_id),
)

/** The sign-in that was approved; the site is allowed from then on when that was the answer. */
function* authenticateApproved(
  { remember }: Approval,
  authentication: Authentication,
): Act<AuthenticationOutcome> {
  const result = yield* authenticate(authentication)
  if (result.outcome === 'authenticated' && remember === 1) {
    yield* allowSite(authentication.agent_id, result.request.client_id, authentication.now)
  }
  return result
}

export const reads = {
  *find(request_id: string): Act<Approval | undefined> {
    return yield* one(approvalById({ request_id }))
  },

  /** Those that wait for an answer, the oldest first. */
  *listOpen(now: number): Act<OpenApproval[]> {
    return yield* all(
      db
        .selectFrom('approvals as approval')
        .innerJoin('authorization_requests as request', 'request.request_id', 'approval.request_id')
        .innerJoin('clients', 'clients.client_id', 'request.client_id')
        .innerJoin('agents', 'agents.agent_id', 'approval.agent_id')
        .select([
          'approval.request_id',
          'approval.agent_id',
          'approval.model',
          'approval.deliver',
          'approval.method',
          'approval.tries_left',
          'approval.status',
          'approval.remember',
          'approval.created_at',
          'approval.expires_at',
          'request.client_id',
          'request.redirect_uri',
          'clients.client_name',
          'agents.email',
        ])
        .where('approval.status', '=', 'pending')
        .where('approval.expires_at', '>', now)
        .where('request.grant_id', 'is', null)
        .orderBy('approval.created_at')
        .orderBy('approval.request_id')
        .compile(),
    )
  },
}

export const writes = {
  /**
   * Asks for an approval, unless it was asked before: then tells how that stands. An agent gets at
   * most `limit` of them unanswered or denied since `since`.
   */
  *ask(
    approval: Approval,
    { limit, since }: { limit: number; since: number },
    event: EventRow,
  ): Act<AskOutcome> {
    const found = yield* one(approvalById(approval))
    if (found !== undefined) {
      if (found.agent_id !== approval.agent_id) return { outcome: 'another_agent' }
      if (found.model !== approval.model) return { outcome: 'another_model' }
      if (found.status === 'denied') return { outcome: 'denied' }
      if (found.status !== 'pending') return { outcome: 'approved', approval: found }
      if (found.tries_left === 0) return { outcome: 'exhausted' }
      return { outcome: 'waiting', approval: found }
    }
    const recent = yield* all(unanswered({ agent_id: approval.agent_id, since }))
    const oldest = recent.at(-limit)
    if (oldest !== undefined) {
      return { outcome: 'too_many', retry_at: oldest.created_at + (approval.created_at - since) }
    }
    yield db.insertInto('approvals').values(approval).compile()
    yield* recordEvent(event)
    return { outcome: 'asked', approval }
  },

  /** Takes back an approval that could not be asked for. */
  *withdraw(request_id: string): Act<void> {
    yield db
      .deleteFrom('approvals')
      .where('request_id', '=', request_id)
      .where('status', '=', 'pending')
      .compile()
  },

  /** The owner's or operator's answer. Of several, the first counts; undefined for a later one. */
  *answer(
    request_id: string,
    answer: Pick<Approval, 'status'> & Partial<Approval>,
    now: number,
    event: EventRow,
  ): Act<Approval | undefined> {
    const approval = yield* one(
      db
        .updateTable('approvals')
        .set(answer)
        .where('request_id', '=', request_id)
        .where('status', '=', 'pending')
        .where('expires_at', '>', now)
        .returningAll()
        .compile(),
    )
    if (approval === undefined) return undefined
    yield* recordEvent({ ...event, agent_id: approval.agent_id, model: approval.model })
    return approval
  },

  /**
   * Tries a code: takes one of the tries away first, and signs in when the code is right, which
   * uses the approval up.
   */
  *verify(
    authentication: Authentication,
    isRight: (approval: Approval) => boolean,
  ): Act<VerifyOutcome> {
    const { request_id, now } = authentication
    const approval = yield* one(takeTry({ request_id, now }))
    if (approval === undefined) return { outcome: 'not_open' }
    if (!isRight(approval)) return { outcome: 'wrong', tries_left: approval.tries_left }
    yield use({ request_id })
    return {
      outcome: 'verified',
      result: yield* authenticateApproved(approval, authentication),
    }
  },

  /** Signs in an agent whose sign-in was approved, which uses the approval up. */
  *authenticateApproved(authentication: Authentication): Act<AuthenticationOutcome> {
    const approval = yield* one(useApproved(authentication))
    if (approval === undefined) return { outcome: 'authenticated_before' }
    return yield* authenticateApproved(approval, authentication)
  },
}
