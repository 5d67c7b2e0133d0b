import { hash, randomInt } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type {
  Agent,
  Approval,
  Authentication,
  AuthenticationOutcome,
  AuthorizationRequest,
  OpenApproval,
} from '../../../db/store.ts'
import type { ApprovalRequired } from '../../../schemas/authenticate.ts'
import { quoteName } from '../../../schemas/name.ts'
import type { AgentPolicy } from '../../../schemas/policy.ts'
import type { SignInDescription } from '../../../schemas/sign-in-description.ts'
import { describeTime, toDetail, toLines } from '../audit/sign-in-lines.ts'
import type { Vault } from '../crypto/vault.ts'
import { OAuthError } from '../http/errors.ts'
import type { Mailer } from '../mail/mailer.ts'
import type { SigningAgent } from './description.ts'
import type { SignIn } from './policies.ts'

/** How many codes may be tried for one approval: with the agent's proof, and as many without. */
const TRIES = 5
/** How many approvals an agent may ask for within this many seconds without one being granted. */
const ASKINGS = { limit: 5, within: 3600 }
/**
 * How many wrong codes there may be for one agent. Codes without proof have a separate bound, so that
 * a stranger who knows a request_id cannot use up the agent's.
 */
const GUESSES = { limit: 20, within: 86_400 }
const UNPROVED_GUESSES = { limit: 10, within: 86_400 }
/** How often the mail of one approval is tried, and for how many seconds one attempt has it alone. */
const MAILS = 3
const MAILING = 60

/** What the owner is asked to agree to, and for whom. */
interface Asking extends SignIn {
  request_id: string
  method: string
  remember: boolean
  /** What answers. */
  approval: AgentPolicy['approval']
  address: string
}

/** A sign-in that waits for its owner. */
export interface AskedOwner {
  approval: OpenApproval
  description: SignInDescription
  /** The SHA-256 of the description. */
  shown: string
}

/** What the audit trail says of a wrong code, beside the facts of the authentication. */
interface VerifiedFacts {
  client_id: string
  /** How the agent proved itself. */
  method: string
}

interface ApprovalParts
  extends Pick<
    FastifyInstance,
    'audit' | 'clock' | 'describeSignIn' | 'settings' | 'store' | 'throttle'
  > {
  mailer: Mailer
  vault: Pick<Vault, 'fingerprint'>
}

/**
 * The owner's approval of a sign-in: a six-digit code that goes to the owner by mail, the owner's
 * answer on a page, by a passkey, or the answer of the operator on the command line. Where the agent's
 * policy says `passkey`, no code is made and nothing else approves. An approval is for one request, agent and model, lives as
 * long as the request, and is used once. A code is good only once the mail server has accepted it.
 */
export class Approvals {
  readonly #parts: ApprovalParts

  constructor(parts: ApprovalParts) {
    this.#parts = parts
  }

  /**
   * Asks the owner, once for each request; after that it tells the state of the approval. `approved`
   * when the operator has agreed; `code` when a code was mailed earlier and the agent sends one, which
   * is not checked here.
   * @throws {OAuthError} access_denied when it was denied or too many codes were wrong;
   *   invalid_request (409) when it was asked for another model; temporarily_unavailable when the
   *   owner was asked too often or the mail could not be sent
   */
  async ask(
    { request_id, agent_id, model, deliver, method, remember, approval, address }: Asking,
    request: AuthorizationRequest,
    description: SignInDescription,
    code?: string,
  ): Promise<ApprovalRequired | 'approved' | 'code'> {
    const now = this.#parts.clock.now()
    const { client_id } = request
    const byPasskey = approval === 'passkey'
    if (byPasskey) await this.#assertOwned(agent_id)
    const newest = newCode()
    const { works } = this.#parts.mailer
    const asked = await this.#parts.store.approvals.ask(
      {
        request_id,
        agent_id,
        model,
        deliver,
        method,
        address,
        code_hash: works && !byPasskey ? this.#hash({ request_id, agent_id }, newest) : null,
        tries_left: TRIES,
        unproved_tries_left: TRIES,
        status: 'pending',
        remember: remember ? 1 : 0,
        mailed_at: null,
        mailing_until: works ? now + MAILING : null,
        mails_left: MAILS - 1,
        answered_by: byPasskey ? 'passkey' : 'code',
        created_at: now,
        expires_at: request.expires_at,
      },
      { askings: ASKINGS, guesses: GUESSES },
      this.#parts.audit.toRow({
        event: 'approval',
        outcome: 'asked',
        agent_id,
        client_id,
        model,
        method,
        address,
        detail: toDetail(description),
      }),
    )
    switch (asked.outcome) {
      case 'approved':
        return 'approved'
      case 'denied':
        throw denied()
      case 'exhausted':
        throw exhausted()
      case 'another_model':
        throw new OAuthError('invalid_request', 'The approval was asked for another model', {
          status: 409,
        })
      case 'too_many':
        throw new OAuthError('temporarily_unavailable', 'The owner was asked too often', {
          status: 429,
          headers: { 'retry-after': String(Math.max(1, asked.retry_at - now)) },
        })
      case 'mail': {
        await this.#mail(asked.approval, newest, description)
        const mailed_at = this.#parts.clock.now()
        return approvalRequired(
          { ...asked.approval, mailed_at },
          description,
          now,
          byPasskey ? this.#passkeyState(asked.approval) : 'a code was sent by mail',
        )
      }
      case 'waiting':
        if (asked.approval.answered_by === 'passkey') {
          const how = this.#passkeyState(asked.approval)
          return approvalRequired(asked.approval, description, now, how)
        }
        if (code !== undefined && asked.approval.mailed_at !== null) return 'code'
        if (asked.blocked_until !== null) {
          const how = `too many codes for this agent were wrong, so until ${describeTime(asked.blocked_until)} only the operator of this server can answer`
          return approvalRequired({ ...asked.approval, mailed_at: null }, description, now, how)
        }
        return approvalRequired(
          asked.approval,
          description,
          now,
          this.#describeState(asked.approval, now),
        )
    }
  }

  find(request_id: string, agent_id: string): Promise<Approval | undefined> {
    return this.#parts.store.approvals.find(request_id, agent_id)
  }

  /** All approvals of a request, of every agent that asked. */
  listOfRequest(request_id: string): Promise<Approval[]> {
    return this.#parts.store.approvals.listOfRequest(request_id)
  }

  /** Signs in an agent that has proved itself and whose sign-in the operator approved. */
  authenticate(authentication: Authentication): Promise<AuthenticationOutcome> {
    return this.#parts.store.approvals.authenticateApproved(authentication)
  }

  /**
   * Signs in with the code that the owner was sent, brought with the agent's proof.
   * @throws {OAuthError} invalid_grant for a code that is wrong or was never sent; access_denied when
   *   the approval was denied or too many codes were wrong
   */
  verify(
    authentication: Authentication,
    code: string,
    facts: VerifiedFacts,
  ): Promise<AuthenticationOutcome> {
    return this.#verify(authentication, code, facts, true)
  }

  /**
   * The same without the agent's proof, as older libraries do. Such codes are counted separately, and
   * a network with too many failures is refused.
   * @throws {OAuthError} as `verify` does; temporarily_unavailable (429)
   */
  async verifyUnproved(
    authentication: Authentication,
    code: string,
    facts: VerifiedFacts,
  ): Promise<AuthenticationOutcome> {
    const { agent_id, event } = authentication
    const forgive = await this.#parts.throttle.countAttempt({
      id: `verify-2fa ${agent_id}`,
      address: event.address ?? '',
    })
    const result = await this.#verify(authentication, code, facts, false)
    forgive()
    return result
  }

  async #verify(
    authentication: Authentication,
    code: string,
    facts: VerifiedFacts,
    proved: boolean,
  ): Promise<AuthenticationOutcome> {
    const { agent_id, model, event } = authentication
    const { address } = event
    const verified = await this.#parts.store.approvals.verify(
      authentication,
      { proved, guesses: GUESSES, unprovedGuesses: UNPROVED_GUESSES },
      this.#hash(authentication, code),
      this.#parts.audit.toRow({
        event: 'approval',
        outcome: 'invalid_grant',
        ...facts,
        agent_id,
        model,
        address,
        detail: proved ? 'A wrong code' : 'A wrong code, without proof',
      }),
    )
    switch (verified.outcome) {
      case 'verified':
        return verified.result
      case 'wrong': {
        const { tries_left } = verified
        if (tries_left === 0) throw proved ? exhausted() : proofNeeded()
        throw new OAuthError(
          'invalid_grant',
          `The code is wrong, ${tries_left === 1 ? '1 try is' : `${tries_left} tries are`} left`,
        )
      }
      case 'blocked':
        throw blocked(verified.blocked_until)
      case 'unproved_blocked':
        throw proofNeeded()
      case 'not_open':
        throw whyNotOpen(verified.approval, proved)
    }
  }

  /**
   * The approvals that wait for an answer, each with a description of its sign-in: of everybody, or of
   * an owner's agents.
   */
  async listOpen(owner_id?: string): Promise<(OpenApproval & SignInDescription)[]> {
    const open = await this.#parts.store.approvals.listOpen(this.#parts.clock.now(), owner_id)
    return await Promise.all(
      open.map(async (approval) => ({ ...approval, ...(await this.#describe(approval)) })),
    )
  }

  /**
   * Approves a sign-in for the operator: the agent signs in when it authenticates again.
   * @param remember whether such sign-ins need no approval from now on; by default as the policy says
   * @param agent_id names the agent where several wait for the same request
   * @throws {OAuthError} not_found when nothing waits for an answer; invalid_request when several do
   */
  approve(request_id: string, remember?: boolean, agent_id?: string): Promise<Approval> {
    return this.#answer(request_id, agent_id, {
      status: 'approved',
      ...(remember !== undefined && { remember: remember ? 1 : 0 }),
    })
  }

  /**
   * Denies a sign-in for the operator.
   * @throws {OAuthError} as `approve` does
   */
  deny(request_id: string, agent_id?: string): Promise<Approval> {
    return this.#answer(request_id, agent_id, { status: 'denied' })
  }

  /**
   * A sign-in of an owner's agent that waits for an answer, with all that the owner is to be shown.
   * @throws {OAuthError} not_found where none waits, also where it is another owner's; invalid_request
   *   where several agents wait for the same request and none is named
   */
  async findAsked(
    owner_id: string,
    { request_id, agent_id }: { request_id: string; agent_id?: string | undefined },
  ): Promise<AskedOwner> {
    const [open, another] = (
      await this.#parts.store.approvals.listOpen(this.#parts.clock.now(), owner_id)
    ).filter(
      (each) =>
        each.request_id === request_id && (agent_id === undefined || each.agent_id === agent_id),
    )
    if (open === undefined) throw nothingWaits(request_id)
    if (another !== undefined) throw severalWait(request_id)
    const description = await this.#describe(open)
    return { approval: open, description, shown: sha256(JSON.stringify(description)) }
  }

  /**
   * All that an owner is shown and chooses, as the text that a passkey signs the hash of.
   * @param shown what the page that the owner looks at was made of
   * @throws {OAuthError} invalid_request (409) when it is not that any more
   */
  toSubject(asked: AskedOwner, shown: string, remember: boolean): string {
    if (shown !== asked.shown) {
      throw new OAuthError(
        'invalid_request',
        'What is known of this sign-in has changed since the page was made: look at it again',
        { status: 409 },
      )
    }
    const { request_id, agent_id } = asked.approval
    return JSON.stringify({ request_id, agent_id, remember, sign_in: asked.description })
  }

  /**
   * Approves for an owner, whose passkey signed the subject: the agent signs in when it authenticates
   * again. The proof is kept with the event.
   * @throws {OAuthError} not_found when it was answered or ended in the meantime
   */
  approveAsOwner(
    owner_id: string,
    { approval: { request_id, agent_id } }: AskedOwner,
    remember: boolean,
    proof: { subject: string; proof: string },
  ): Promise<Approval> {
    const answer = { status: 'approved', remember: remember ? 1 : 0 } as const
    return this.#answer(request_id, agent_id, answer, { owner_id, proof })
  }

  /**
   * Denies for an owner.
   * @throws {OAuthError} as `findAsked` does
   */
  async denyAsOwner(owner_id: string, request_id: string, agent_id?: string): Promise<Approval> {
    const { approval } = await this.findAsked(owner_id, { request_id, agent_id })
    return await this.#answer(request_id, approval.agent_id, { status: 'denied' }, { owner_id })
  }

  /** Where the owner answers. */
  pageOf({ request_id, agent_id }: Pick<Approval, 'request_id' | 'agent_id'>): string {
    const query = new URLSearchParams({ agent_id })
    return `${this.#parts.settings.ISSUER}/account/approvals/${encodeURIComponent(request_id)}?${query}`
  }

  async #assertOwned(agent_id: string): Promise<void> {
    const agent = await this.#parts.store.agents.find(agent_id)
    if (typeof agent?.owner_id === 'string') return
    throw new OAuthError(
      'access_denied',
      'The owner has to approve with a passkey, and the agent belongs to no owner: the operator has to invite its owner',
      { reason: 'owner' },
    )
  }

  #passkeyState(approval: Approval): string {
    const mailed = approval.mailed_at === null ? '' : ', as a mail says'
    return `the owner answers with a passkey at ${this.pageOf(approval)}${mailed}`
  }

  async #answer(
    request_id: string,
    agent_id: string | undefined,
    answer: Pick<Approval, 'status'> & Partial<Approval>,
    by?: { owner_id: string; proof?: { subject: string; proof: string } },
  ): Promise<Approval> {
    const now = this.#parts.clock.now()
    const [open, another] = (await this.listOfRequest(request_id)).filter(
      (each) =>
        each.status === 'pending' &&
        each.expires_at > now &&
        (agent_id === undefined || each.agent_id === agent_id),
    )
    if (another !== undefined) throw severalWait(request_id)
    if (open?.answered_by === 'passkey' && answer.status === 'approved' && by === undefined) {
      throw new OAuthError(
        'access_denied',
        `Only the agent's owner can approve this, with a passkey at ${this.pageOf(open)}`,
        { reason: 'owner' },
      )
    }
    const description = open && (await this.#describe(open))
    const approval =
      open &&
      (await this.#parts.store.approvals.answer(
        open,
        answer,
        now,
        this.#parts.audit.toRow({
          event: 'approval',
          outcome: answer.status,
          client_id: description?.client_id,
          detail: description && toDetail(description),
          ...(by && { owner_id: by.owner_id, method: by.proof ? 'passkey' : 'session' }),
        }),
        by,
      ))
    if (approval === undefined) throw nothingWaits(request_id)
    return approval
  }

  /** The state of an approval that was asked for before, in words for the agent and its user. */
  #describeState({ mailed_at, mailing_until, mails_left }: Approval, now: number): string {
    if (mailed_at !== null) return `a code was sent by mail at ${describeTime(mailed_at)}`
    if (!this.#parts.mailer.works) return 'the operator of this server answers'
    if (mailing_until !== null && mailing_until > now) return 'the code is being sent by mail'
    return mails_left === 0
      ? 'no mail could be sent, so the operator of this server answers'
      : 'no mail could be sent yet, ask again in a minute'
  }

  /** Sends the code. It works only once the mail server has accepted it; the mail can be retried. */
  async #mail(approval: Approval, code: string, description: SignInDescription): Promise<void> {
    const { agent_id, expires_at, remember, answered_by } = approval
    const agent = await this.#parts.store.agents.find(agent_id)
    if (agent === undefined) {
      throw new OAuthError('invalid_request', 'The agent is gone', { status: 404 })
    }
    const minutes = Math.ceil((expires_at - this.#parts.clock.now()) / 60)
    try {
      const page = this.pageOf(approval)
      if (answered_by === 'passkey') {
        await this.#parts.mailer.send({ to: agent.email, ...passkeyMail(page) })
      } else
        await this.#parts.mailer.send({
          to: agent.email,
          subject: `Your agent asks to sign in to ${description.redirect_host}`,
          text: `${nameOf(agent)} asks to sign in for you.

${toLines(description)
  .map(([label, text]) => `  ${`${label}:`.padEnd(17)}${text}`)
  .join('\n')}

What is in quotation marks is what others call themselves, and is not checked.

If you want that, give your agent this code. It works once, within ${minutes === 1 ? '1 minute' : `${minutes} minutes`}:

  ${code}
${agent.owner_id === null ? '' : `\nOr answer yourself, with your passkey:\n\n  ${page}\n`}${remember === 1 ? '\nAfter that, your agent may sign in to this website without asking.\n' : ''}
If you did not expect this, do nothing and tell nobody the code: without it nobody is
signed in. If it happens again, have whoever runs this server
(${this.#parts.settings.ISSUER}/docs) disable the agent:

  auth-agent agent disable ${agent.agent_id}
`,
        })
    } catch (error) {
      await this.#parts.store.approvals.recordMail(approval, null)
      throw error
    }
    await this.#parts.store.approvals.recordMail(approval, this.#parts.clock.now())
  }

  async #describe(approval: SigningAgent & { request_id: string }): Promise<SignInDescription> {
    const request = await this.#parts.store.authorizationRequests.find(approval.request_id)
    if (request === undefined) {
      throw new OAuthError('not_found', `There is no ${approval.request_id}`)
    }
    return await this.#parts.describeSignIn(request, approval)
  }

  #hash({ request_id, agent_id }: Pick<Approval, 'request_id' | 'agent_id'>, code: string): string {
    return this.#parts.vault.fingerprint('approval', `${request_id} ${agent_id} ${code}`)
  }
}

function nothingWaits(request_id: string): OAuthError {
  return new OAuthError('not_found', `No approval of ${request_id} waits for an answer`)
}

function severalWait(request_id: string): OAuthError {
  return new OAuthError('invalid_request', `Several agents wait for ${request_id}: name one`)
}

function sha256(text: string): string {
  return hash('sha256', text, 'base64url')
}

function newCode(): string {
  return String(randomInt(1_000_000)).padStart(6, '0')
}

function nameOf({ name, agent_id }: Agent): string {
  return name === null ? `Your agent ${agent_id}` : `Your agent ${agent_id} (${quoteName(name)})`
}

function approvalRequired(
  { mailed_at, expires_at }: Approval,
  sign_in: SignInDescription,
  now: number,
  how: string,
): ApprovalRequired {
  return {
    status: 'requires_2fa',
    success: false,
    requires_2fa: true,
    expires_in: expires_at - now,
    mailed_at,
    message: `The owner has to approve this site: ${how}`,
    sign_in,
  }
}

function whyNotOpen(approval: Approval | undefined, proved: boolean): OAuthError {
  if (approval === undefined) {
    return new OAuthError('invalid_request', 'No approval was asked for this request')
  }
  const { status, answered_by, mailed_at, tries_left, unproved_tries_left } = approval
  if (status === 'denied') return denied()
  if (status === 'ended') {
    return new OAuthError('invalid_grant', 'The approval has ended: authenticate again')
  }
  if (status !== 'used' && answered_by === 'passkey') {
    return new OAuthError(
      'invalid_grant',
      'No code was made: the owner answers with a passkey. Authenticate again when the owner has',
    )
  }
  if (status !== 'used' && mailed_at === null) {
    return new OAuthError('invalid_grant', 'The owner was sent no code: the operator answers')
  }
  if (proved && tries_left === 0) return exhausted()
  if (!proved && unproved_tries_left === 0) return proofNeeded()
  return new OAuthError('invalid_grant', 'The approval was used already or has expired')
}

/** Fixed words and the link: what strangers chose, and all facts, are on the page alone. */
function passkeyMail(page: string): { subject: string; text: string } {
  return {
    subject: 'Your agent asks for your approval',
    text: `Your agent asks to sign in for you. See where, and answer with your passkey:

  ${page}

The page shows all that is known. Nothing happens before you answer, and no code is
needed: tell nobody one. If you did not expect this, deny it there.
`,
  }
}

function denied(): OAuthError {
  return new OAuthError('access_denied', 'The owner denied this sign-in', { reason: 'owner' })
}

function exhausted(): OAuthError {
  return new OAuthError('access_denied', 'Too many wrong codes, start the sign-in again', {
    reason: 'attempts',
  })
}

function proofNeeded(): OAuthError {
  return new OAuthError(
    'access_denied',
    "Too many wrong codes without proof: send the code with the agent's proof, as approval_code",
    { reason: 'attempts' },
  )
}

function blocked(until: number): OAuthError {
  return new OAuthError(
    'access_denied',
    `Too many wrong codes for this agent: until ${describeTime(until)} only the operator of this server can approve`,
    { reason: 'attempts' },
  )
}

declare module 'fastify' {
  interface FastifyInstance {
    approvals: Approvals
  }
}

export default fp<{ vault: Vault }>(
  async (app, { vault }) => {
    const { audit, clock, describeSignIn, mailer, settings, store, throttle } = app
    app.decorate(
      'approvals',
      new Approvals({ audit, clock, describeSignIn, mailer, settings, store, throttle, vault }),
    )
  },
  {
    name: 'approvals',
    dependencies: ['audit', 'clock', 'describeSignIn', 'mailer', 'settings', 'store', 'throttle'],
  },
)
