import { randomInt, timingSafeEqual } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import type {
  Agent,
  Approval,
  Authentication,
  AuthenticationOutcome,
  AuthorizationRequest,
  OpenApproval,
} from '../../../db/store.ts'
import type { ApprovalRequired } from '../../../schemas/authenticate.ts'
import { redirectHost } from '../../../schemas/client.ts'
import type { Vault } from '../crypto/vault.ts'
import { OAuthError } from '../http/errors.ts'
import type { SignIn } from './policies.ts'

/** How many codes may be tried for one approval. */
const TRIES = 5
/** How many approvals an agent may ask for in this many seconds without one being given. */
const UNANSWERED = { limit: 5, within: 3600 }

/**
 * The owner's approval of a sign-in: a six-digit code that goes to the owner by mail, or the answer
 * of the operator on the command line. An approval is for one request, agent and model, lives as
 * long as the request, and is used once.
 */
export class Approvals {
  readonly #app: Pick<
    FastifyInstance,
    'audit' | 'clock' | 'mailer' | 'settings' | 'store' | 'throttle'
  >
  readonly #vault: Pick<Vault, 'fingerprint'>

  constructor(
    app: Pick<FastifyInstance, 'audit' | 'clock' | 'mailer' | 'settings' | 'store' | 'throttle'>,
    vault: Pick<Vault, 'fingerprint'>,
  ) {
    this.#app = app
    this.#vault = vault
  }

  /**
   * Asks the owner, once; undefined when the approval is there.
   * @throws {OAuthError} access_denied when it was denied; invalid_request (409) when the request
   *   waits for another approval; temporarily_unavailable when the owner was asked too often
   */
  async ask(
    {
      request_id,
      agent_id,
      model,
      deliver,
      method,
      remember,
      address,
    }: SignIn & {
      request_id: string
      method: string
      remember: boolean
      address: string
    },
    request: AuthorizationRequest,
  ): Promise<ApprovalRequired | undefined> {
    const now = this.#app.clock.now()
    const code = newCode()
    const { client_id } = request
    const asked = await this.#app.store.approvals.ask(
      {
        request_id,
        agent_id,
        model,
        deliver,
        method,
        code_hash: this.#hash(request_id, code),
        tries_left: TRIES,
        status: 'pending',
        remember: remember ? 1 : 0,
        created_at: now,
        expires_at: request.expires_at,
      },
      { limit: UNANSWERED.limit, since: now - UNANSWERED.within },
      this.#app.audit.toRow({
        event: 'approval',
        outcome: 'asked',
        agent_id,
        client_id,
        model,
        method,
        address,
      }),
    )
    switch (asked.outcome) {
      case 'approved':
        return undefined
      case 'denied':
        throw new OAuthError('access_denied', 'The owner denied this sign-in')
      case 'exhausted':
        throw exhausted()
      case 'another_agent':
        throw conflict('The request waits for the approval of another agent')
      case 'another_model':
        throw conflict('The approval was asked for another model')
      case 'too_many':
        throw new OAuthError('temporarily_unavailable', 'The owner was asked too often', {
          status: 429,
          headers: { 'retry-after': String(Math.max(1, asked.retry_at - now)) },
        })
      case 'asked':
        await this.#mail(asked.approval, code, request)
    }
    return {
      status: 'requires_2fa',
      success: false,
      requires_2fa: true,
      expires_in: asked.approval.expires_at - now,
      message: this.#app.mailer.works
        ? 'The owner has to approve this site: a code was sent by mail'
        : 'The owner has to approve this site: the operator of this server answers',
    }
  }

  find(request_id: string): Promise<Approval | undefined> {
    return this.#app.store.approvals.find(request_id)
  }

  /**
   * Signs in with the code that the owner was sent.
   * @throws {OAuthError} invalid_grant for a wrong code; access_denied when the approval was denied
   *   or too many codes were wrong
   */
  async verify(authentication: Authentication, code: string): Promise<AuthenticationOutcome> {
    const { request_id } = authentication
    const given = Buffer.from(this.#hash(request_id, code))
    const verified = await this.#app.store.approvals.verify(authentication, ({ code_hash }) =>
      timingSafeEqual(given, Buffer.from(code_hash)),
    )
    if (verified.outcome === 'verified') return verified.result
    if (verified.outcome === 'not_open') {
      const approval = await this.find(request_id)
      if (approval?.status === 'denied') {
        throw new OAuthError('access_denied', 'The owner denied this sign-in')
      }
      if (approval?.tries_left === 0) throw exhausted()
      throw new OAuthError('invalid_grant', 'The approval was used already or has expired')
    }
    const { agent_id, event } = authentication
    await this.#app.throttle.countFailure({ id: agent_id, address: event.address ?? '' })
    const { tries_left } = verified
    if (tries_left === 0) throw exhausted()
    throw new OAuthError(
      'invalid_grant',
      `The code is wrong, ${tries_left === 1 ? '1 try is' : `${tries_left} tries are`} left`,
    )
  }

  /** Those that wait for an answer. */
  listOpen(): Promise<OpenApproval[]> {
    return this.#app.store.approvals.listOpen(this.#app.clock.now())
  }

  /**
   * The operator's yes. The agent may sign in now, or with the code that is answered here.
   * @param remember whether the site is allowed from then on; by default as the policy says
   * @throws {OAuthError} not_found when nothing waits for an answer
   */
  async approve(
    request_id: string,
    remember?: boolean,
  ): Promise<{ approval: Approval; code: string }> {
    const code = newCode()
    const approval = await this.#answer(request_id, {
      status: 'approved',
      code_hash: this.#hash(request_id, code),
      tries_left: TRIES,
      ...(remember !== undefined && { remember: remember ? 1 : 0 }),
    })
    return { approval, code }
  }

  /**
   * The operator's no.
   * @throws {OAuthError} not_found when nothing waits for an answer
   */
  deny(request_id: string): Promise<Approval> {
    return this.#answer(request_id, { status: 'denied' })
  }

  async #answer(
    request_id: string,
    answer: Pick<Approval, 'status'> & Partial<Approval>,
  ): Promise<Approval> {
    const request = await this.#app.store.authorizationRequests.find(request_id)
    const approval = await this.#app.store.approvals.answer(
      request_id,
      answer,
      this.#app.clock.now(),
      this.#app.audit.toRow({
        event: 'approval',
        outcome: answer.status,
        client_id: request?.client_id,
      }),
    )
    if (approval === undefined) {
      throw new OAuthError('not_found', `No approval of ${request_id} waits for an answer`)
    }
    return approval
  }

  /** What could not be asked for leaves nothing behind. */
  async #mail(approval: Approval, code: string, request: AuthorizationRequest): Promise<void> {
    if (!this.#app.mailer.works) return
    const { request_id, agent_id, model, created_at, expires_at, remember } = approval
    const agent = await this.#app.store.agents.find(agent_id)
    const client = await this.#app.store.clients.find(request.client_id)
    if (agent === undefined || client === undefined) return
    const host = redirectHost(request.redirect_uri)
    const minutes = Math.ceil((expires_at - created_at) / 60)
    try {
      await this.#app.mailer.send({
        to: agent.email,
        subject: `Your agent asks to sign in to ${host}`,
        text: `${nameOf(agent)} asks to sign in to a website for you.

  Website:  ${client.client_name}
  Host:     ${host}
  Model:    ${model}
  Time:     ${new Date(created_at * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC

If you want that, give your agent this code. It works once, within ${minutes === 1 ? '1 minute' : `${minutes} minutes`}:

  ${code}
${remember === 1 ? '\nAfter that, your agent may sign in to this website without asking.\n' : ''}
If you did not expect this, do nothing and tell nobody the code: without it nobody is
signed in. If it happens again, have the agent disabled at ${this.#app.settings.ISSUER}.
`,
      })
    } catch (error) {
      await this.#app.store.approvals.withdraw(request_id)
      throw error
    }
  }

  #hash(request_id: string, code: string): string {
    return this.#vault.fingerprint('approval', `${request_id} ${code}`)
  }
}

function newCode(): string {
  return String(randomInt(1_000_000)).padStart(6, '0')
}

function nameOf({ name, agent_id }: Agent): string {
  return name === null ? `Your agent ${agent_id}` : `Your agent ${name} (${agent_id})`
}

function exhausted(): OAuthError {
  return new OAuthError('access_denied', 'Too many wrong codes, start the sign-in again')
}

function conflict(text: string): OAuthError {
  return new OAuthError('invalid_request', text, { status: 409 })
}
