import { randomInt } from 'node:crypto'
import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { MailCodeBounds, Owner, OwnerMailCode } from '../../../db/store.ts'
import { PREFIXES } from '../../../schemas/identifier.ts'
import { normalMailbox } from '../../../schemas/mailbox.ts'
import { hashToken, newId, newSecret } from '../crypto/secrets.ts'
import type { Vault } from '../crypto/vault.ts'
import { OAuthError, tooMany } from '../http/errors.ts'
import { networksOf, shareOf } from '../limits/network.ts'
import { WindowCounts } from '../limits/window-counts.ts'
import { PersonCookie } from './person-cookie.ts'

export type MailCodePurpose = OwnerMailCode['purpose']

/** How long a code is good, in seconds. */
const CODE_TTL = 600
/** How many codes may be tried for one asking. */
const TRIES = 5
/** How long the row of a code is kept, since it counts, in seconds. */
export const MAIL_CODES_KEPT = 86_400
const BOUNDS: MailCodeBounds = {
  askings: { limit: 5, within: 3600 },
  // One in 40,000 guesses a day, each with a mail to the owner.
  wrong: { limit: 25, within: MAIL_CODES_KEPT },
  inAll: 50_000,
}
/** How many codes one address of the network may ask for. */
const PER_NETWORK = { limit: 20, within: 3600 }

const ACTIONS: Record<MailCodePurpose, string> = {
  'sign-in': 'sign in to your account',
  confirm: 'confirm that it is you',
  verify: 'confirm that this is your address',
}

/**
 * Six digits that are mailed to an address and prove that a person reads its mail. They are good in
 * the browser that asked alone. Nobody learns from an answer, its time or its bounds whether an address
 * is an owner's: every address has the same rows, and mails go out after the answer.
 */
export class MailCodes {
  readonly #parts: Parts
  readonly #cookie: PersonCookie
  readonly #networks: WindowCounts
  readonly #sending = new Set<Promise<void>>()

  constructor(parts: Parts) {
    this.#parts = parts
    this.#cookie = new PersonCookie(parts.settings.ISSUER, 'mail', PREFIXES.mail_browser)
    this.#networks = new WindowCounts(parts.clock, PER_NETWORK.within)
  }

  /** Whether codes can be mailed. */
  get works(): boolean {
    return this.#parts.mailer.works
  }

  /**
   * Mails a code to an address, if it is an owner's who takes codes, or anybody's where owners may
   * register themselves.
   * @throws {OAuthError} invalid_request, access_denied, temporarily_unavailable (429)
   */
  async ask(
    purpose: MailCodePurpose,
    address: string,
    request: Pick<FastifyRequest, 'ip'>,
    reply: FastifyReply,
  ): Promise<void> {
    this.#assertWorks()
    const email = normalMailbox(address.trim())
    if (email === undefined) {
      throw new OAuthError('invalid_request', 'This is not one e-mail address: check its spelling')
    }
    this.#countNetwork(request.ip)
    const { clock, settings, store, vault } = this.#parts
    const now = clock.now()
    const browser = newSecret(PREFIXES.mail_browser)
    const browser_hash = hashToken(browser)
    const code = String(randomInt(1_000_000)).padStart(6, '0')
    const open = purpose === 'sign-in' && settings.OWNER_REGISTRATION === 'open'
    const asked = await store.ownerMailCodes.ask(
      {
        code_id: newId(PREFIXES.mail_code_id),
        purpose,
        email,
        browser_hash,
        code_hash: hashCode(vault, purpose, browser_hash, code),
        tries_left: TRIES,
        wrong: 0,
        created_at: now,
        expires_at: now + CODE_TTL,
      },
      BOUNDS,
      open,
    )
    if (asked.outcome === 'too_many') {
      throw tooMany('Too many codes were asked for this address', asked.retry_at - now)
    }
    if (asked.outcome === 'full') {
      throw new OAuthError('temporarily_unavailable', 'Too many codes are being mailed', {
        headers: { 'retry-after': '3600' },
      })
    }
    this.#cookie.set(reply, browser, CODE_TTL)
    if (asked.outcome === 'mail') this.#send(email, purpose, code, asked.owner)
  }

  /**
   * The owner whose address got this code in this browser; its address is verified by that.
   * @throws {OAuthError} access_denied
   */
  async verify(
    purpose: MailCodePurpose,
    code: string,
    request: Pick<FastifyRequest, 'headers' | 'ip'>,
    reply: FastifyReply,
  ): Promise<Owner> {
    this.#assertWorks()
    const { audit, clock, settings, store, throttle, vault } = this.#parts
    const browser = this.#cookie.read(request)
    if (browser === undefined) throw notAsked()
    const browser_hash = hashToken(browser)
    const takeBack = await throttle.countAttempt({ id: 'mailed code', address: request.ip })
    const now = clock.now()
    const owner_id = newId(PREFIXES.owner_id)
    const make = purpose === 'sign-in' &&
      settings.OWNER_REGISTRATION === 'open' && {
        owner: {
          owner_id,
          email_verified: true,
          name: null,
          operator: false,
          mail_sign_in: true,
          created_at: now,
          disabled_at: null,
        },
        event: audit.toRow({
          event: 'owner',
          outcome: 'registered',
          owner_id,
          address: request.ip,
        }),
      }
    const code_hash = hashCode(vault, purpose, browser_hash, code.replace(/\s/g, ''))
    const result = await store.ownerMailCodes.verify(
      { browser_hash, purpose, code_hash },
      now,
      make || undefined,
    )
    if (result.outcome === 'none') throw notAsked()
    if (result.outcome === 'wrong') {
      const { tries_left } = result
      throw new OAuthError(
        'access_denied',
        tries_left === 0
          ? 'The code is wrong, and there were too many: ask for a new one'
          : `The code is wrong: ${tries_left} more ${tries_left === 1 ? 'try' : 'tries'}`,
      )
    }
    takeBack()
    this.#cookie.set(reply, '', 0)
    return result.owner
  }

  /** Resolves when every mail has been sent or has failed. */
  async settle(): Promise<void> {
    await Promise.all(this.#sending)
  }

  #assertWorks(): void {
    if (this.works) return
    throw new OAuthError(
      'access_denied',
      'This server sends no mail: its operator has to set SMTP_URL, or invite you anew',
    )
  }

  #countNetwork(address: string): void {
    const networks = networksOf(address)
    for (const network of networks) {
      const seconds = this.#networks.secondsLeft(network, PER_NETWORK.limit * shareOf(network))
      if (seconds !== undefined) throw tooMany('Too many codes for this network', seconds)
    }
    for (const network of networks) this.#networks.add(network)
  }

  /** Sends a mail after the answer, whose time would tell that there is one. */
  #send(email: string, purpose: MailCodePurpose, code: string, owner: Owner | undefined): void {
    const { faults, log, mailer, settings } = this.#parts
    const { host } = new URL(settings.ISSUER)
    const text = `Somebody, probably you, wants to ${ACTIONS[purpose]} at ${settings.ISSUER}.${
      owner === undefined ? '\nThere is no account for this address yet: the code makes one.' : ''
    }

Enter this code in the page where you asked for it. It works once, there alone, within
10 minutes:

  ${code}

If it was not you, do nothing and tell nobody the code, neither a person nor an agent.
`
    const sending: Promise<void> = setImmediate()
      .then(() => mailer.send({ to: email, subject: `Your code for ${host}`, text }))
      .catch((error) => faults.report(log, error, 'the code of an owner could not be mailed'))
      .finally(() => this.#sending.delete(sending))
    this.#sending.add(sending)
  }
}

type Parts = Pick<
  FastifyInstance,
  'audit' | 'clock' | 'faults' | 'log' | 'mailer' | 'settings' | 'store' | 'throttle'
> & { vault: Vault }

function hashCode(vault: Vault, purpose: string, browser_hash: string, code: string): string {
  return vault.fingerprint('owner mail code', `${purpose} ${browser_hash} ${code}`)
}

function notAsked(): OAuthError {
  return new OAuthError(
    'access_denied',
    'No code waits in this browser: it was used, has expired, or was asked for elsewhere. Ask for a new one',
  )
}

declare module 'fastify' {
  interface FastifyInstance {
    mailCodes: MailCodes
  }
}

export default fp<{ vault: Vault }>(
  async (app, { vault }) => {
    const { audit, clock, faults, log, mailer, settings, store, throttle } = app
    const parts = { audit, clock, faults, log, mailer, settings, store, throttle, vault }
    const mailCodes = new MailCodes(parts)
    app.decorate('mailCodes', mailCodes)
    app.addHook('preClose', () => mailCodes.settle())
  },
  {
    name: 'mailCodes',
    dependencies: ['audit', 'clock', 'faults', 'mailer', 'settings', 'store', 'throttle'],
  },
)
