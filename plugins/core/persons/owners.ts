import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Guard, GuardedChange, Owner } from '../../../db/store.ts'
import { PREFIXES } from '../../../schemas/identifier.ts'
import { normalMailbox } from '../../../schemas/mailbox.ts'
import { describeTime } from '../audit/sign-in-lines.ts'
import { hashToken, newId, newSecret } from '../crypto/secrets.ts'
import { OAuthError } from '../http/errors.ts'
import { readName } from '../registry/names.ts'
import { assertAdded, MAX_PASSKEYS } from './passkeys.ts'

/** How long an invitation is good, in seconds. */
const INVITATION_TTL = 86_400

export interface Invitation {
  owner: Owner
  /** Whether the invitation made the owner; for one who was there before it is a recovery. */
  created: boolean
  invitation_url: string
  expires_at: number
}

/** Who does something to an owner, for the audit trail; nobody where the command line does. */
interface By {
  by?: string | undefined
  address?: string | undefined
}

interface Guarded extends By {
  /** Whether to go on although nobody could sign in afterwards. */
  even_if_last?: boolean | undefined
}

/**
 * Invites, changes and removes owners, for the command line and the pages: neither the last operator
 * nor an owner's last way in goes unknowingly.
 */
export class Owners {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** What keeps somebody from signing in here, and what to set; undefined when nothing does. */
  get obstacle(): string | undefined {
    const { mailer, passkeys, settings } = this.#parts
    if (passkeys.works || mailer.works) return undefined
    return `ISSUER is an address (${settings.ISSUER}), which can have no passkeys, and without SMTP_URL no code can be mailed: nobody can sign in. Set ISSUER to a name, such as http://localhost:8080, or set SMTP_URL and MAIL_FROM`
  }

  /**
   * Invites a person by a link that works once. For an address that has an owner it is a recovery.
   * @param mail whether the link is mailed, whose use then verifies the address
   * @throws {OAuthError} invalid_request, access_denied, temporarily_unavailable
   */
  async invite(
    address: string,
    given: By & { operator?: boolean; verified?: boolean; mail?: boolean; name?: string } = {},
  ): Promise<Invitation> {
    const email = normalMailbox(address)
    if (email === undefined) {
      throw new OAuthError(
        'invalid_request',
        `${address} is not one e-mail address, such as me@example.com`,
      )
    }
    const { audit, clock, mailer, settings, store } = this.#parts
    const { operator = false, verified = false, mail = false } = given
    if (mail && !mailer.works) {
      throw new OAuthError('access_denied', 'The invitation cannot be mailed: SMTP_URL is not set')
    }
    const former = await store.owners.findByEmail(email)
    if (former !== undefined && former.disabled_at !== null) {
      throw new OAuthError('access_denied', `The account of ${email} is disabled: enable it first`)
    }
    const now = clock.now()
    const token = newSecret(PREFIXES.invitation)
    const expires_at = now + INVITATION_TTL
    const { owner, created } = await store.ownerInvitations.invite(
      {
        owner_id: newId(PREFIXES.owner_id),
        email,
        email_verified: verified,
        name: given.name === undefined ? null : readName('The name', given.name),
        operator,
        mail_sign_in: true,
        created_at: now,
        disabled_at: null,
      },
      {
        token_hash: hashToken(token),
        verifies_email: mail ? 1 : 0,
        created_at: now,
        expires_at,
      },
      audit.toRow({ event: 'owner', outcome: 'invited', detail: email, ...byOf(given) }),
    )
    const invitation_url = `${settings.ISSUER}/account/invitation?token=${token}`
    if (mail) await this.#mail(owner, invitation_url, expires_at)
    return { owner, created, invitation_url, expires_at }
  }

  /**
   * Whom an invitation is for. Looking at it, as previews of mails and chats do, spends nothing.
   * @throws {OAuthError} not_found
   */
  async findInvited(token: string): Promise<{ owner: Owner; expires_at: number }> {
    const { clock, store } = this.#parts
    const found = await store.ownerInvitations.find(hashToken(token), clock.now())
    if (found === undefined) throw invitationGone()
    return { owner: found.owner, expires_at: found.invitation.expires_at }
  }

  /**
   * Uses an invitation up and signs its owner in in this browser, together with a first passkey where
   * there is one.
   * @param passkey what the browser answered; without it the owner signs in by mailed codes
   * @throws {OAuthError} not_found, access_denied; then the invitation is as it was
   */
  async acceptInvitation(
    token: string,
    passkey: { name: string; response: unknown } | undefined,
    request: Pick<FastifyRequest, 'headers' | 'ip'>,
    reply: FastifyReply,
  ): Promise<Owner> {
    const { audit, clock, mailer, passkeys, sessions, store } = this.#parts
    const { owner } = await this.findInvited(token)
    if (passkey === undefined && !(mailer.works && owner.mail_sign_in)) {
      throw new OAuthError(
        'access_denied',
        this.obstacle ?? 'A passkey is needed here, since no code can be mailed to you',
      )
    }
    const added =
      passkey === undefined
        ? undefined
        : {
            passkey: await passkeys.readRegistration(
              owner.owner_id,
              readName('The name of the passkey', passkey.name),
              passkey.response,
            ),
            limit: MAX_PASSKEYS,
          }
    const event = { event: 'owner', outcome: 'invitation_accepted', address: request.ip } as const
    const accepted = await store.ownerInvitations.accept(
      hashToken(token),
      clock.now(),
      added,
      audit.toRow(event),
    )
    if (accepted.outcome === 'gone') throw invitationGone()
    if (accepted.outcome !== 'accepted') {
      assertAdded(accepted.outcome)
      throw invitationGone()
    }
    const method = added === undefined ? 'invitation' : 'passkey'
    await sessions.start(owner.owner_id, method, request, reply)
    return accepted.owner
  }

  /** @throws {OAuthError} not_found */
  async find(owner_id: string): Promise<Owner> {
    const owner = await this.#parts.store.owners.find(owner_id)
    if (owner === undefined) throw new OAuthError('not_found', `There is no ${owner_id}`)
    return owner
  }

  /**
   * Disables an owner, which ends his sessions; his agents go on unless `agents` says otherwise.
   * @throws {OAuthError} not_found; access_denied for the last operator
   */
  disable(owner_id: string, given: Guarded & { agents?: boolean } = {}): Promise<Owner> {
    const change = { disabled_at: this.#parts.clock.now() }
    return this.#change(owner_id, change, 'disabled', given, given.agents)
  }

  /** @throws {OAuthError} not_found */
  enable(owner_id: string, by: By = {}): Promise<Owner> {
    return this.#change(owner_id, { disabled_at: null }, 'enabled', by)
  }

  /** Says whether an owner may administer. @throws {OAuthError} as `disable` does */
  setOperator(owner_id: string, operator: boolean, given: Guarded = {}): Promise<Owner> {
    const outcome = operator ? 'made_operator' : 'no_operator'
    return this.#change(owner_id, { operator }, outcome, given)
  }

  /**
   * The operator vouches that the address is the owner's, who receives the agents that bear it.
   * @throws {OAuthError} not_found
   */
  async vouch(owner_id: string, by: By = {}): Promise<Owner> {
    const { audit, store } = this.#parts
    const owner = await store.owners.update(owner_id, { email_verified: true })
    if (owner === undefined) throw new OAuthError('not_found', `There is no ${owner_id}`)
    await audit.record({ event: 'owner', outcome: 'verified', owner_id, ...byOf(by, owner_id) })
    return owner
  }

  /**
   * Removes an owner with sessions, passkeys and invitations. Agents go with all their sign-ins where
   * `agents` says so; else they stay and belong to nobody.
   * @throws {OAuthError} as `disable` does
   */
  async delete(owner_id: string, given: Guarded & { agents?: boolean } = {}): Promise<Owner> {
    const { audit, store } = this.#parts
    const row = audit.toRow({ event: 'owner', outcome: 'deleted', ...byOf(given, owner_id) })
    const { agents = false } = given
    const changed = await store.owners.delete(owner_id, this.guard(given), { agents }, row)
    return assertChanged(owner_id, changed)
  }

  /** Ends all sessions of an owner. @throws {OAuthError} not_found */
  async signOut(owner_id: string, by: By = {}): Promise<Owner> {
    const { audit, store } = this.#parts
    const owner = await this.find(owner_id)
    await store.ownerSessions.endAll(owner_id)
    await audit.record({ event: 'owner', outcome: 'signed_out', owner_id, ...byOf(by, owner_id) })
    return owner
  }

  /** Turns sign-in by mailed codes on or off. @throws {OAuthError} access_denied for the last way in */
  async setMailSignIn(owner_id: string, on: boolean, given: Guarded = {}): Promise<Owner> {
    const { audit, store } = this.#parts
    const outcome = on ? 'mail_sign_in_on' : 'mail_sign_in_off'
    const row = audit.toRow({ event: 'owner', outcome, ...byOf(given, owner_id) })
    const changed = await store.owners.changeMailSignIn(owner_id, on, this.guard(given), row)
    return assertChanged(owner_id, changed)
  }

  /** Removes a passkey of an owner. @throws {OAuthError} not_found; access_denied for the last way in */
  async removePasskey(owner_id: string, credential_id: string, given: Guarded = {}): Promise<void> {
    const { audit, store } = this.#parts
    const row = audit.toRow({
      event: 'owner',
      outcome: 'passkey_removed',
      ...byOf(given, owner_id),
    })
    const outcome = await store.passkeys.remove(owner_id, credential_id, this.guard(given), row)
    if (outcome === 'not_found') throw new OAuthError('not_found', 'There is no such passkey')
    if (outcome === 'last_way_in') throw lastWayIn()
  }

  /** What must not go unknowingly, with how people sign in here. */
  guard({ even_if_last = false }: Guarded): Guard {
    const { mailer, passkeys } = this.#parts
    return { rp_id: passkeys.rp_id, mail: mailer.works, even_if_last }
  }

  async #change(
    owner_id: string,
    change: Partial<Pick<Owner, 'operator' | 'disabled_at'>>,
    outcome: string,
    given: Guarded,
    agents = false,
  ): Promise<Owner> {
    const { audit, clock, store } = this.#parts
    const changed = await store.owners.changeGuarded(
      owner_id,
      change,
      this.guard(given),
      { agents, now: clock.now() },
      audit.toRow({ event: 'owner', outcome, ...byOf(given, owner_id) }),
    )
    return assertChanged(owner_id, changed)
  }

  async #mail({ email }: Owner, invitation_url: string, expires_at: number): Promise<void> {
    const { mailer, settings } = this.#parts
    await mailer.send({
      to: email,
      subject: `Your account at ${new URL(settings.ISSUER).host}`,
      text: `You are invited to an account at ${settings.ISSUER}, where you see and decide what
your agents may do. Open this page yourself, in your own browser:

  ${invitation_url}

It works once, until ${describeTime(expires_at)}. Whoever has the link has the account:
show it to nobody, neither a person nor an agent.
`,
    })
  }
}

type Parts = Pick<
  FastifyInstance,
  'audit' | 'clock' | 'mailer' | 'passkeys' | 'sessions' | 'settings' | 'store'
>

/** Who did it, in an event; of whom, where that is somebody else. */
function byOf({ by, address }: By, owner_id?: string) {
  return {
    ...(by !== undefined && { owner_id: by }),
    ...(by !== undefined && owner_id !== undefined && by !== owner_id && { detail: owner_id }),
    ...(address !== undefined && { address }),
  }
}

function assertChanged(owner_id: string, changed: GuardedChange): Owner {
  if (changed.outcome === 'changed') return changed.owner
  if (changed.outcome === 'not_found') {
    throw new OAuthError('not_found', `There is no ${owner_id}`)
  }
  if (changed.outcome === 'last_way_in') throw lastWayIn()
  throw new OAuthError(
    'access_denied',
    'This is the last operator who can sign in: without him the console is closed to everybody, and only the command line on the server administers. Nothing was changed. It takes --even-if-last, or the tick on the page, to go on all the same',
  )
}

function lastWayIn(): OAuthError {
  return new OAuthError(
    'access_denied',
    'This is the last way in to this account: without it nobody signs in to it until the operator sends a new invitation. Nothing was changed',
  )
}

function invitationGone(): OAuthError {
  return new OAuthError(
    'not_found',
    'This invitation was used already, was replaced by a newer one, or has expired: ask whoever runs this server for a new one',
  )
}

declare module 'fastify' {
  interface FastifyInstance {
    owners: Owners
  }
}

export default fp(
  async (app) => {
    const { audit, clock, mailer, passkeys, sessions, settings, store } = app
    app.decorate(
      'owners',
      new Owners({ audit, clock, mailer, passkeys, sessions, settings, store }),
    )
  },
  {
    name: 'owners',
    dependencies: ['audit', 'clock', 'mailer', 'passkeys', 'sessions', 'settings', 'store'],
  },
)
