import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Owner, OwnerSession } from '../../../db/store.ts'
import { PREFIXES } from '../../../schemas/identifier.ts'
import { hashToken, newId, newSecret } from '../crypto/secrets.ts'
import { OAuthError } from '../http/errors.ts'
import { normalAddress } from '../limits/network.ts'
import { relyingPartyId } from './passkeys.ts'
import { PersonCookie } from './person-cookie.ts'

/** How long a fresh passkey lasts for what is dangerous, in seconds. */
export const PASSKEY_FRESH = 300
/** A session's use is noted at most so often, in seconds. */
const NOTED_EVERY = 60

/** A person who is signed in in the browser that sent a request. */
export interface SignedIn {
  session: OwnerSession
  owner: Owner
}

/** A page needs a person, and nobody is signed in: the browser is led to the sign-in. */
export class SignInNeeded extends Error {
  override name = 'SignInNeeded'
}

/** A page needs a passkey that was used just now: the browser is led to confirm. */
export class PasskeyNeeded extends Error {
  override name = 'PasskeyNeeded'
  /** Whether a mailed code will do, of an owner without a passkey. */
  readonly mail: boolean

  constructor({ mail = false } = {}) {
    super()
    this.mail = mail
  }
}

/**
 * The browsers in which owners are signed in. A session is a random cookie, of which the database has
 * the hash. It ends after OWNER_SESSION_IDLE seconds without use and after OWNER_SESSION_TTL at the
 * latest; a sign-in always begins a new one (session fixation).
 */
export class Sessions {
  readonly #parts: Pick<FastifyInstance, 'clock' | 'settings' | 'store'>
  readonly #cookie: PersonCookie
  readonly #hasPasskeys: boolean

  constructor(parts: Pick<FastifyInstance, 'clock' | 'settings' | 'store'>) {
    this.#parts = parts
    const { ISSUER } = parts.settings
    this.#cookie = new PersonCookie(ISSUER, 'owner', PREFIXES.owner_session)
    this.#hasPasskeys = relyingPartyId(ISSUER) !== undefined
  }

  get limits(): { idle: number } {
    return { idle: this.#parts.settings.OWNER_SESSION_IDLE }
  }

  /**
   * Signs an owner in in the browser of this request.
   * @throws {OAuthError} access_denied when the owner is disabled or deleted
   */
  async start(
    owner_id: string,
    method: OwnerSession['method'],
    request: Pick<FastifyRequest, 'headers' | 'ip'>,
    reply: FastifyReply,
  ): Promise<void> {
    const now = this.#parts.clock.now()
    const value = newSecret(PREFIXES.owner_session)
    const { OWNER_SESSION_TTL } = this.#parts.settings
    const session: OwnerSession = {
      session_hash: hashToken(value),
      session_id: newId(PREFIXES.owner_session_id),
      owner_id,
      method,
      browser: describeBrowser(request.headers['user-agent']),
      address: normalAddress(request.ip),
      created_at: now,
      seen_at: now,
      authenticated_at: now,
      passkey_at: method === 'passkey' ? now : null,
      expires_at: now + OWNER_SESSION_TTL,
    }
    const former = this.#cookie.read(request)
    if (!(await this.#parts.store.ownerSessions.start(session, former && hashToken(former)))) {
      throw new OAuthError('access_denied', 'This account is disabled')
    }
    this.#cookie.set(reply, value, OWNER_SESSION_TTL)
  }

  /** Who is signed in in the browser that sent the request. */
  async find(request: Pick<FastifyRequest, 'headers'>): Promise<SignedIn | undefined> {
    const value = this.#cookie.read(request)
    if (value === undefined) return undefined
    const now = this.#parts.clock.now()
    const session_hash = hashToken(value)
    const found = await this.#parts.store.ownerSessions.find(session_hash, now, this.limits)
    if (found !== undefined && found.session.seen_at + NOTED_EVERY <= now) {
      await this.#parts.store.ownerSessions.touch(session_hash, now)
    }
    return found
  }

  /** @throws {SignInNeeded} */
  async assertOwner(request: Pick<FastifyRequest, 'headers'>): Promise<SignedIn> {
    const found = await this.find(request)
    if (found === undefined) throw new SignInNeeded()
    return found
  }

  /**
   * @throws {SignInNeeded}
   * @throws {OAuthError} access_denied for an owner who is no operator
   */
  async assertOperator(request: Pick<FastifyRequest, 'headers'>): Promise<SignedIn> {
    const found = await this.assertOwner(request)
    if (found.owner.operator) return found
    throw new OAuthError('access_denied', 'Only operators of this server may open the console')
  }

  /**
   * For what is dangerous: a passkey that was used within five minutes. Where the issuer is an address,
   * which can have no passkeys, a mailed code in its place.
   * @throws {PasskeyNeeded}
   */
  assertFreshPasskey({ session }: SignedIn): void {
    const proved_at = this.#hasPasskeys ? session.passkey_at : session.authenticated_at
    if (!this.#isFresh(proved_at)) throw new PasskeyNeeded()
  }

  /**
   * For what an owner without a passkey has to be able to do, such as to make the first: a sign-in or
   * a code within five minutes, and a passkey of whoever has one.
   * @throws {PasskeyNeeded}
   */
  assertFresh(signedIn: SignedIn, hasPasskey: boolean): void {
    if (hasPasskey) this.assertFreshPasskey(signedIn)
    else if (!this.#isFresh(signedIn.session.authenticated_at)) {
      throw new PasskeyNeeded({ mail: true })
    }
  }

  /** A time in the future, from a clock that went back, is never fresh. */
  #isFresh(at: number | null): boolean {
    const now = this.#parts.clock.now()
    return at !== null && at <= now && now - at < PASSKEY_FRESH
  }

  /** Notes that the owner has just confirmed to be there, with a passkey or by a mailed code. */
  async prove({ session }: SignedIn, method: 'passkey' | 'mail'): Promise<void> {
    const now = this.#parts.clock.now()
    await this.#parts.store.ownerSessions.prove(session.session_hash, now, method === 'passkey')
  }

  /** Signs out in the browser of this request. */
  async end(request: Pick<FastifyRequest, 'headers'>, reply: FastifyReply): Promise<void> {
    const found = await this.find(request)
    if (found !== undefined) {
      const { owner_id, session_id } = found.session
      await this.#parts.store.ownerSessions.end(owner_id, session_id)
    }
    this.#cookie.set(reply, '', 0)
  }
}

const BROWSERS = ['Firefox', 'Edg', 'OPR', 'Chrome', 'Safari']
const SYSTEMS = ['Windows', 'Android', 'iPhone', 'iPad', 'Mac OS X', 'Linux']

/** A browser in two words, for its owner to recognize; null for what names itself otherwise. */
function describeBrowser(agent = ''): string | null {
  const browser = BROWSERS.find((name) => agent.includes(`${name}/`))
  const system = SYSTEMS.find((name) => agent.includes(name))
  return browser === undefined || system === undefined ? null : `${browser} on ${system}`
}

declare module 'fastify' {
  interface FastifyInstance {
    sessions: Sessions
  }
}

export default fp(
  async (app) => {
    const { clock, settings, store } = app
    app.decorate('sessions', new Sessions({ clock, settings, store }))
  },
  { name: 'sessions', dependencies: ['clock', 'settings', 'store'] },
)
