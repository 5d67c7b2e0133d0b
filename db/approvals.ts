import { timingSafeEqual } from 'node:crypto'
import {
  type Authentication,
  type AuthenticationOutcome,
  authenticate,
} from './authorization-requests.ts'
import { recordEvent } from './events.ts'
import { forgetApprovalsOfClient, rememberApproval } from './remembered-approvals.ts'
import { type Act, all, db, one } from './statement.ts'
import type { ApprovalProofRow, ApprovalRow, EventRow } from './tables.ts'

export type Approval = ApprovalRow

/** An approval that waits for its answer, with what the owner decides by. */
export interface OpenApproval
  extends Omit<
    Approval,
    'code_hash' | 'mailing_until' | 'mails_left' | 'unproved_tries_left' | 'owner_id' | 'proof'
  > {
  client_id: string
  client_name: string
  redirect_uri: string
  email: string
}

/** How often something may happen in so many seconds. */
export interface Bound {
  limit: number
  within: number
}

/** How many wrong codes there may be for one agent, and how many of them without proof. */
export interface GuessBounds {
  guesses: Bound
  unprovedGuesses: Bound
}

export type AskOutcome =
  /** `mail`: the caller has to send the code, and then to say how that went. */
  | { outcome: 'mail' | 'waiting' | 'approved'; approval: Approval; blocked_until: number | null }
  | { outcome: 'denied' | 'exhausted' | 'another_model' }
  | { outcome: 'too_many'; retry_at: number }

export type VerifyOutcome =
  | { outcome: 'verified'; result: AuthenticationOutcome }
  | { outcome: 'wrong'; tries_left: number }
  | { outcome: 'not_open'; approval: Approval | undefined }
  | { outcome: 'blocked'; blocked_until: number }
  | { outcome: 'unproved_blocked' }

/** An owner who answers in the account, and what a passkey of his signed. */
export interface AnsweringOwner {
  owner_id: string
  proof?: { subject: string; proof: string } | undefined
}

type Key = Pick<Approval, 'request_id' | 'agent_id'>

function* findApproval({ request_id, agent_id }: Key): Act<Approval | undefined> {
  return yield* one(
    db
      .selectFrom('approvals')
      .selectAll()
      .where('request_id', '=', request_id)
      .where('agent_id', '=', agent_id)
      .compile(),
  )
}

/**
 * Counts one asking of an agent, unless it has `limit` of them without a yes: decided by one
 * statement. A time in the future, from a clock that went back, counts as now.
 */
function* countAsking(
  { agent_id, request_id, created_at: now }: Approval,
  asking_id: string,
  { limit, within }: Bound,
): Act<{ retry_at: number } | undefined> {
  const askings = db.selectFrom('approval_askings').where('agent_id', '=', agent_id)
  yield db
    .updateTable('approval_askings')
    .set({ asked_at: now })
    .where('agent_id', '=', agent_id)
    .where('asked_at', '>', now)
    .compile()
  yield db
    .deleteFrom('approval_askings')
    .where('agent_id', '=', agent_id)
    .where('asked_at', '<=', now - within)
    .compile()
  const counted = yield* one(
    db
      .insertInto('approval_askings')
      .columns(['asking_id', 'agent_id', 'request_id', 'asked_at'])
      .expression(
        db
          .selectNoFrom((eb) => [
            eb.val(asking_id).as('asking_id'),
            eb.val(agent_id).as('agent_id'),
            eb.val(request_id).as('request_id'),
            eb.val(now).as('asked_at'),
          ])
          .where(
            askings.select((eb) => eb.fn.countAll<number>().as('count')),
            '<',
            limit,
          ),
      )
      .returning('asking_id')
      .compile(),
  )
  if (counted !== undefined) return undefined
  const rows = yield* all(askings.select('asked_at').orderBy('asked_at').compile())
  return { retry_at: (rows.at(-limit)?.asked_at ?? now) + within }
}

/** What was agreed to counts against the agent no more. */
function* uncountAskings({ agent_id, request_id }: Key): Act<void> {
  yield db
    .deleteFrom('approval_askings')
    .where('agent_id', '=', agent_id)
    .where('request_id', '=', request_id)
    .compile()
}

interface Guesses {
  agent_id: string
  /** Whether they come with the agent's proof. */
  proved: boolean
  now: number
}

/**
 * Counts a guess as a wrong one before it is looked at, unless there were `limit` in the time: of
 * guesses that race, in this process or another, each is counted. Tells whether it may be looked at.
 */
function* countGuess(guess: Guesses, { limit, within }: Bound): Act<boolean> {
  const { agent_id, proved, now } = guess
  yield clampGuesses(guess)
  const counted = yield* one(
    db
      .insertInto('approval_guesses')
      .values({ agent_id, proved: proved ? 1 : 0, since: now, wrong: 1 })
      .onConflict((conflict) =>
        conflict
          .columns(['agent_id', 'proved'])
          .doUpdateSet((eb) => {
            const isOver = eb('approval_guesses.since', '<=', now - within)
            return {
              wrong: eb
                .case()
                .when(isOver)
                .then(1)
                .else(eb('approval_guesses.wrong', '+', 1))
                .end(),
              since: eb.case().when(isOver).then(now).else(eb.ref('approval_guesses.since')).end(),
            }
          })
          .where((eb) =>
            eb.or([
              eb('approval_guesses.since', '<=', now - within),
              eb('approval_guesses.wrong', '<', limit),
            ]),
          ),
      )
      .returning('wrong')
      .compile(),
  )
  return counted !== undefined
}

/** Takes back the count of a guess that was not wrong. */
function uncountGuess({ agent_id, proved }: Guesses) {
  return db
    .updateTable('approval_guesses')
    .set((eb) => ({ wrong: eb('wrong', '-', 1) }))
    .where('agent_id', '=', agent_id)
    .where('proved', '=', proved ? 1 : 0)
    .compile()
}

/** A time in the future, from a clock that went back, would block the agent until it has come. */
function clampGuesses({ agent_id, proved, now }: Guesses) {
  return db
    .updateTable('approval_guesses')
    .set({ since: now })
    .where('agent_id', '=', agent_id)
    .where('proved', '=', proved ? 1 : 0)
    .where('since', '>', now)
    .compile()
}

/** Until when no code is looked at, if there were `limit` wrong ones; else null. For acts that write. */
function* findBlock(guesses: Guesses, { limit, within }: Bound): Act<number | null> {
  const { agent_id, proved, now } = guesses
  yield clampGuesses(guesses)
  const row = yield* one(
    db
      .selectFrom('approval_guesses')
      .selectAll()
      .where('agent_id', '=', agent_id)
      .where('proved', '=', proved ? 1 : 0)
      .compile(),
  )
  if (row === undefined || row.wrong < limit) return null
  const until = row.since + within
  return until > now ? until : null
}

/** Which of its two counts a try is taken from. */
const triesOf = (proved: boolean) => (proved ? 'tries_left' : 'unproved_tries_left')

/** A code is good for nothing before the mail server has accepted it. */
function takesCode(approval: Approval, proved: boolean, now: number): boolean {
  return (
    ['pending', 'approved'].includes(approval.status) &&
    approval[triesOf(proved)] > 0 &&
    approval.code_hash !== null &&
    approval.mailed_at !== null &&
    approval.expires_at > now
  )
}

function isCode(approval: Approval, code_hash: string): boolean {
  const right = Buffer.from(approval.code_hash ?? '')
  const given = Buffer.from(code_hash)
  return right.length === given.length && timingSafeEqual(right, given)
}

/** Takes one of the tries of an approval that takes a code, in one statement. */
function* takeTry({ request_id, agent_id }: Key, proved: boolean, now: number) {
  const tries = triesOf(proved)
  return yield* one(
    db
      .updateTable('approvals')
      .set((eb) => ({ [tries]: eb(tries, '-', 1) }))
      .where('request_id', '=', request_id)
      .where('agent_id', '=', agent_id)
      .where('status', 'in', ['pending', 'approved'])
      .where(tries, '>', 0)
      .where('code_hash', 'is not', null)
      .where('mailed_at', 'is not', null)
      .where('expires_at', '>', now)
      .returningAll()
      .compile(),
  )
}

/** Uses an approval up, unless it stands otherwise than in `status`. */
function* useApproval(
  { request_id, agent_id, model }: Authentication,
  status: Approval['status'][],
): Act<Approval | undefined> {
  return yield* one(
    db
      .updateTable('approvals')
      .set({ status: 'used' })
      .where('request_id', '=', request_id)
      .where('agent_id', '=', agent_id)
      .where('model', '=', model)
      .where('status', 'in', status)
      .returningAll()
      .compile(),
  )
}

/** The sign-in that was approved; what was shown is remembered when that was the answer. */
function* authenticateWith(
  approval: Approval,
  authentication: Authentication,
): Act<AuthenticationOutcome> {
  yield* uncountAskings(approval)
  const result = yield* authenticate(authentication)
  if (result.outcome === 'authenticated' && approval.remember === 1) {
    yield* rememberApproval(result.request, authentication)
  }
  return result
}

/** Ends what an agent has asked for and not used: whoever asked may have been somebody else. */
export function* endApprovalsOfAgent(agent_id: string): Act<void> {
  yield db
    .updateTable('approvals')
    .set({ status: 'ended' })
    .where('agent_id', '=', agent_id)
    .where('status', 'in', ['pending', 'approved'])
    .compile()
}

/** Ends what an agent has asked for at one website and not used. */
export function* endApprovalsAt(agent_id: string, client_id: string): Act<void> {
  yield db
    .updateTable('approvals')
    .set({ status: 'ended' })
    .where('agent_id', '=', agent_id)
    .where('status', 'in', ['pending', 'approved'])
    .where('request_id', 'in', (eb) =>
      eb
        .selectFrom('authorization_requests')
        .select('request_id')
        .where('client_id', '=', client_id)
        .where('grant_id', 'is', null),
    )
    .compile()
}

/** Ends and forgets what was approved of a client that is no longer what owners were shown. */
export function* endApprovalsOfClient(client_id: string): Act<void> {
  yield* forgetApprovalsOfClient(client_id)
  yield db
    .updateTable('approvals')
    .set({ status: 'ended' })
    .where('status', 'in', ['pending', 'approved'])
    .where('request_id', 'in', (eb) =>
      eb
        .selectFrom('authorization_requests')
        .select('request_id')
        .where('client_id', '=', client_id)
        .where('grant_id', 'is', null),
    )
    .compile()
}

export const reads = {
  *find(request_id: string, agent_id: string): Act<Approval | undefined> {
    return yield* findApproval({ request_id, agent_id })
  },

  /** Of every agent that asked. */
  *listOfRequest(request_id: string): Act<Approval[]> {
    return yield* all(
      db
        .selectFrom('approvals')
        .selectAll()
        .where('request_id', '=', request_id)
        .orderBy('created_at')
        .orderBy('agent_id')
        .compile(),
    )
  },

  /** What an owner's passkeys signed to approve sign-ins. By the index on an event's owner. */
  *listProofs(owner_id: string): Act<ApprovalProofRow[]> {
    return yield* all(
      db
        .selectFrom('events')
        .innerJoin('approval_proofs as proof', 'proof.event_id', 'events.event_id')
        .select(['proof.event_id', 'proof.request_id', 'proof.subject', 'proof.proof'])
        .where('events.owner_id', '=', owner_id)
        .compile(),
    )
  },

  /** Those that wait for an answer, the oldest first: of everybody, or of an owner's agents. */
  *listOpen(now: number, owner_id?: string): Act<OpenApproval[]> {
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
          'approval.address',
          'approval.tries_left',
          'approval.status',
          'approval.remember',
          'approval.answered_by',
          'approval.mailed_at',
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
        .where('request.denied_at', 'is', null)
        .$if(owner_id !== undefined, (query) =>
          query.where('agents.owner_id', '=', owner_id ?? null),
        )
        .orderBy('approval.created_at')
        .orderBy('approval.request_id')
        .compile(),
    )
  },
}

export const writes = {
  /**
   * Asks for an approval, unless it was asked before: then tells how that stands, or that its mail
   * was never accepted and is to be sent again. An agent gets `askings` of them without a yes; no
   * code is mailed while `guesses` has been reached.
   */
  *ask(
    approval: Approval,
    { askings, guesses }: { askings: Bound; guesses: Bound },
    event: EventRow,
  ): Act<AskOutcome> {
    const { agent_id, created_at: now } = approval
    const found = yield* findApproval(approval)
    if (found !== undefined && found.status !== 'ended') {
      if (found.model !== approval.model) return { outcome: 'another_model' }
      if (found.status === 'denied') return { outcome: 'denied' }
      if (found.status !== 'pending') {
        return { outcome: 'approved', approval: found, blocked_until: null }
      }
      if (found.tries_left === 0) return { outcome: 'exhausted' }
    }
    const blocked_until = yield* findBlock({ agent_id, proved: true, now }, guesses)
    const canMail =
      approval.mailing_until !== null &&
      (approval.answered_by === 'passkey' || blocked_until === null)
    if (found !== undefined && found.status !== 'ended') {
      const again = canMail ? yield* claimMail(approval) : undefined
      if (again !== undefined) return { outcome: 'mail', approval: again, blocked_until }
      return { outcome: 'waiting', approval: found, blocked_until }
    }
    const refused = yield* countAsking(approval, event.event_id, askings)
    if (refused !== undefined) return { outcome: 'too_many', ...refused }
    const asked = canMail ? approval : { ...approval, code_hash: null, mailing_until: null }
    yield db
      .deleteFrom('approvals')
      .where('request_id', '=', approval.request_id)
      .where('agent_id', '=', agent_id)
      .where('status', '=', 'ended')
      .compile()
    yield db.insertInto('approvals').values(asked).compile()
    yield* recordEvent(event)
    return { outcome: canMail ? 'mail' : 'waiting', approval: asked, blocked_until }
  },

  /** The mail server accepted the code of this approval, or did not (`mailed_at` is null). */
  *recordMail(
    { request_id, agent_id, code_hash }: Approval,
    mailed_at: number | null,
  ): Act<Approval | undefined> {
    return yield* one(
      db
        .updateTable('approvals')
        .set({ mailed_at, mailing_until: null })
        .where('request_id', '=', request_id)
        .where('agent_id', '=', agent_id)
        .where('code_hash', code_hash === null ? 'is' : '=', code_hash)
        .returningAll()
        .compile(),
    )
  },

  /**
   * The owner's or operator's answer. Of several, the first counts; undefined for a later one, for an
   * owner whose agent it is not, and for a yes of the operator where only the owner's passkey answers.
   */
  *answer(
    key: Key,
    answer: Pick<Approval, 'status'> & Partial<Approval>,
    now: number,
    event: EventRow,
    by?: AnsweringOwner,
  ): Act<Approval | undefined> {
    const approval = yield* one(
      db
        .updateTable('approvals')
        .set(answer)
        .where('request_id', '=', key.request_id)
        .where('agent_id', '=', key.agent_id)
        .where('status', '=', 'pending')
        .where('expires_at', '>', now)
        .$if(by !== undefined, (query) =>
          query.where('agent_id', 'in', (eb) =>
            eb
              .selectFrom('agents')
              .select('agent_id')
              .where('owner_id', '=', by?.owner_id ?? null),
          ),
        )
        .$if(by === undefined && answer.status === 'approved', (query) =>
          query.where('answered_by', '=', 'code'),
        )
        .returningAll()
        .compile(),
    )
    if (approval === undefined) return undefined
    if (approval.status === 'approved') yield* uncountAskings(approval)
    const { agent_id, model, request_id } = approval
    yield* recordEvent({ ...event, agent_id, model })
    if (by?.proof !== undefined) {
      const { subject, proof } = by.proof
      const { event_id } = event
      yield db
        .insertInto('approval_proofs')
        .values({ event_id, request_id, subject, proof })
        .compile()
    }
    return approval
  },

  /**
   * Tries a code: counts it as a wrong one first, and signs in when it is right, which uses the
   * approval up. With the agent's proof, an approval that the operator gave needs no code.
   */
  *verify(
    authentication: Authentication,
    { proved, guesses, unprovedGuesses }: { proved: boolean } & GuessBounds,
    code_hash: string,
    event: EventRow,
  ): Act<VerifyOutcome> {
    const { request_id, agent_id, now } = authentication
    if (proved) {
      const approved = yield* useApproval(authentication, ['approved'])
      if (approved !== undefined) {
        const result = yield* authenticateWith(approved, authentication)
        return { outcome: 'verified', result }
      }
    }
    const guess = { agent_id, proved, now }
    const found = yield* findApproval({ request_id, agent_id })
    if (found === undefined || !takesCode(found, proved, now)) {
      return { outcome: 'not_open', approval: found }
    }
    const blocked_until = yield* findBlock({ ...guess, proved: true }, guesses)
    if (blocked_until !== null) return { outcome: 'blocked', blocked_until }
    if (!(yield* countGuess(guess, proved ? guesses : unprovedGuesses))) {
      return proved
        ? { outcome: 'blocked', blocked_until: now + guesses.within }
        : { outcome: 'unproved_blocked' }
    }
    const approval = yield* takeTry({ request_id, agent_id }, proved, now)
    if (approval === undefined) {
      yield uncountGuess(guess)
      return { outcome: 'not_open', approval: yield* findApproval({ request_id, agent_id }) }
    }
    if (!isCode(approval, code_hash)) {
      yield* recordEvent(event)
      return { outcome: 'wrong', tries_left: approval[triesOf(proved)] }
    }
    yield uncountGuess(guess)
    yield* useApproval(authentication, ['pending', 'approved'])
    return { outcome: 'verified', result: yield* authenticateWith(approval, authentication) }
  },

  /** Signs in an agent whose sign-in was approved, which uses the approval up. */
  *authenticateApproved(authentication: Authentication): Act<AuthenticationOutcome> {
    const approval = yield* useApproval(authentication, ['approved'])
    if (approval === undefined) return { outcome: 'authenticated_before' }
    return yield* authenticateWith(approval, authentication)
  },
}

/** Of callers that race to send a mail again, one succeeds; not while somebody is sending it. */
function* claimMail({
  request_id,
  agent_id,
  code_hash,
  created_at: now,
  mailing_until,
}: Approval): Act<Approval | undefined> {
  return yield* one(
    db
      .updateTable('approvals')
      .set((eb) => ({ code_hash, mailing_until, mails_left: eb('mails_left', '-', 1) }))
      .where('request_id', '=', request_id)
      .where('agent_id', '=', agent_id)
      .where('status', '=', 'pending')
      .where('mailed_at', 'is', null)
      .where('mails_left', '>', 0)
      .where((eb) =>
        eb.or([
          eb('mailing_until', 'is', null),
          eb('mailing_until', '<=', now),
          // From a clock that went back.
          eb('mailing_until', '>', mailing_until),
        ]),
      )
      .returningAll()
      .compile(),
  )
}
