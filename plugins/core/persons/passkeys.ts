import { hash, randomBytes } from 'node:crypto'
import { isIP } from 'node:net'
import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server'
import type { Static, TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { Passkey, PasskeyChallenge } from '../../../db/store.ts'
import { PasskeyAssertion, PasskeyRegistration } from '../../../schemas/passkey.ts'
import { OAuthError } from '../http/errors.ts'

/** What an assertion is good for. */
export type Purpose = 'sign-in' | 'confirm' | 'approve' | 'consent'

/** Whose passkey is asked for, and what its use agrees to. */
export interface Asked {
  /** The only owner whose passkey counts; anybody's where it is absent. */
  owner_id?: string | undefined
  /** All that the owner is shown and chooses, as canonical JSON. */
  subject?: string | undefined
}

/** A passkey that was used. */
export interface PasskeyUse {
  owner_id: string
  credential_id: string
  /** JSON of the challenge and the signed data, to keep with what was agreed to. */
  proof: string
}

/** How long a person has for a passkey, in seconds. */
const CHALLENGE_TTL = 300
/** How many challenges may wait: for one owner, and for all sign-ins. */
const CHALLENGES = { ofOwner: 100, ofSignIns: 20_000 }
/** EdDSA, ES256 and RS256 (RFC 9053): what Node checks without experimental algorithms. */
const ALGORITHMS = [-8, -7, -257]
/** How many passkeys an owner can have. */
export const MAX_PASSKEYS = 20

/** The host that passkeys of this issuer are for; undefined for an address, which can have none. */
export function relyingPartyId(issuer: string): string | undefined {
  const { hostname } = new URL(issuer)
  return isIP(hostname.replace(/^\[|\]$/g, '')) === 0 ? hostname : undefined
}

/**
 * The passkeys of owners (WebAuthn Level 3). Every use needs user verification: a fingerprint, a face
 * or a PIN, which an agent that drives the browser does not have. A challenge is random, good for one
 * purpose, and used up by the first answer to it, right or wrong. The library is loaded when it is
 * first needed.
 */
export class Passkeys {
  readonly #parts: Pick<FastifyInstance, 'audit' | 'clock' | 'settings' | 'store'>
  readonly #origin: string
  /** The host that passkeys made now are for. */
  readonly rp_id: string | undefined

  constructor(parts: Pick<FastifyInstance, 'audit' | 'clock' | 'settings' | 'store'>) {
    this.#parts = parts
    this.#origin = new URL(parts.settings.ISSUER).origin
    this.rp_id = relyingPartyId(parts.settings.ISSUER)
  }

  /** Whether there can be passkeys: not where the issuer is an address. */
  get works(): boolean {
    return this.rp_id !== undefined
  }

  /** The passkeys of an owner that are good at this host. */
  async listUsable(owner_id: string): Promise<Passkey[]> {
    const passkeys = await this.#parts.store.passkeys.listOfOwner(owner_id)
    return passkeys.filter(({ rp_id }) => rp_id === this.rp_id)
  }

  /** @throws {OAuthError} not_found, access_denied, temporarily_unavailable */
  async registrationOptions(owner_id: string): Promise<PublicKeyCredentialCreationOptionsJSON> {
    const rpID = this.#assertWorks()
    const owner = await this.#parts.store.owners.find(owner_id)
    if (owner === undefined) throw new OAuthError('not_found', 'There is no such owner')
    const { generateRegistrationOptions } = await loadLibrary()
    const passkeys = await this.listUsable(owner_id)
    return await generateRegistrationOptions({
      rpName: `Auth Agent at ${rpID}`,
      rpID,
      userID: Uint8Array.from(Buffer.from(owner_id)),
      userName: owner.email,
      userDisplayName: owner.name ?? owner.email,
      challenge: await this.#makeChallenge('register', { owner_id }),
      timeout: CHALLENGE_TTL * 1000,
      attestationType: 'none',
      supportedAlgorithmIDs: ALGORITHMS,
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
      excludeCredentials: passkeys.map(({ credential_id: id }) => ({ id })),
    })
  }

  /**
   * Checks what a browser answered to `registrationOptions` and uses up its challenge. The passkey
   * counts when it is stored.
   * @throws {OAuthError} access_denied
   */
  async readRegistration(owner_id: string, name: string, given: unknown): Promise<Passkey> {
    const rp_id = this.#assertWorks()
    const response = parse(PasskeyRegistration, given)
    const challenge = await this.#takeChallenge(response.response.clientDataJSON, 'register', {
      owner_id,
    })
    const { verifyRegistrationResponse } = await loadLibrary()
    const { registrationInfo } = await orDenied(() =>
      verifyRegistrationResponse({
        response: response as Parameters<typeof verifyRegistrationResponse>[0]['response'],
        expectedChallenge: challenge,
        expectedOrigin: this.#origin,
        expectedRPID: rp_id,
        requireUserVerification: true,
        supportedAlgorithmIDs: ALGORITHMS,
      }),
    )
    if (registrationInfo === undefined) throw notAccepted()
    const { credential } = registrationInfo
    return {
      credential_id: credential.id,
      owner_id,
      public_key: Buffer.from(credential.publicKey).toString('base64url'),
      sign_count: credential.counter,
      transports: JSON.stringify(response.response.transports ?? []),
      rp_id,
      name,
      created_at: this.#parts.clock.now(),
      last_used_at: null,
    }
  }

  /** Stores the passkey that a browser made. @throws {OAuthError} access_denied */
  async register(owner_id: string, name: string, given: unknown): Promise<Passkey> {
    const passkey = await this.readRegistration(owner_id, name, given)
    const { audit, store } = this.#parts
    const event = { event: 'owner', outcome: 'passkey_added', owner_id, detail: name } as const
    const { outcome } = await store.passkeys.add(passkey, MAX_PASSKEYS, audit.toRow(event))
    assertAdded(outcome)
    return passkey
  }

  /** @throws {OAuthError} access_denied, temporarily_unavailable */
  async requestOptions(
    purpose: Purpose,
    asked: Asked = {},
  ): Promise<PublicKeyCredentialRequestOptionsJSON> {
    const rpID = this.#assertWorks()
    const passkeys = asked.owner_id === undefined ? [] : await this.listUsable(asked.owner_id)
    if (asked.owner_id !== undefined && passkeys.length === 0) {
      throw new OAuthError('access_denied', 'You have no passkey here yet: add one under Security')
    }
    const { generateAuthenticationOptions } = await loadLibrary()
    return await generateAuthenticationOptions({
      rpID,
      challenge: await this.#makeChallenge(purpose, asked),
      timeout: CHALLENGE_TTL * 1000,
      userVerification: 'required',
      allowCredentials: passkeys.map(({ credential_id: id, transports }) => ({
        id,
        transports: JSON.parse(transports),
      })),
    })
  }

  /**
   * Whose passkey answered `requestOptions` with the same purpose, owner and subject.
   * @param given what the browser answered, as JSON text or object
   * @throws {OAuthError} access_denied
   */
  async verify(purpose: Purpose, given: unknown, asked: Asked = {}): Promise<PasskeyUse> {
    const rp_id = this.#assertWorks()
    const response = parse(PasskeyAssertion, given)
    const { clientDataJSON, authenticatorData, signature, userHandle } = response.response
    const challenge = await this.#takeChallenge(clientDataJSON, purpose, asked)
    const { clock, store } = this.#parts
    const found = await store.passkeys.find(response.id)
    if (found === undefined || found.passkey.rp_id !== rp_id) throw notAccepted()
    const { passkey, owner } = found
    if (asked.owner_id !== undefined && owner.owner_id !== asked.owner_id) throw notAccepted()
    // WebAuthn Level 3 section 7.2, step 6: the user handle names the owner of the credential.
    const handle = userHandle == null ? undefined : Buffer.from(userHandle, 'base64url').toString()
    if (handle === undefined ? asked.owner_id === undefined : handle !== owner.owner_id) {
      throw notAccepted()
    }
    const { verifyAuthenticationResponse } = await loadLibrary()
    const { verified, authenticationInfo } = await orDenied(() =>
      verifyAuthenticationResponse({
        response: response as Parameters<typeof verifyAuthenticationResponse>[0]['response'],
        expectedChallenge: challenge,
        expectedOrigin: this.#origin,
        expectedRPID: rp_id,
        requireUserVerification: true,
        credential: {
          id: passkey.credential_id,
          publicKey: Uint8Array.from(Buffer.from(passkey.public_key, 'base64url')),
          counter: passkey.sign_count,
        },
      }),
    )
    if (!verified) throw notAccepted()
    const { newCounter } = authenticationInfo
    const { credential_id, owner_id } = passkey
    if (!(await store.passkeys.use(credential_id, newCounter, clock.now()))) throw notAccepted()
    const proof = JSON.stringify({
      credential_id,
      challenge,
      client_data: clientDataJSON,
      authenticator_data: authenticatorData,
      signature,
    })
    return { owner_id, credential_id, proof }
  }

  async #makeChallenge(
    purpose: Purpose | 'register',
    { owner_id, subject }: Asked,
  ): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = Uint8Array.from(randomBytes(32))
    const now = this.#parts.clock.now()
    const challenge: PasskeyChallenge = {
      challenge_hash: sha256(Buffer.from(bytes).toString('base64url')),
      purpose,
      owner_id: owner_id ?? null,
      subject: subject === undefined ? null : sha256(subject),
      expires_at: now + CHALLENGE_TTL,
    }
    const limit = owner_id === undefined ? CHALLENGES.ofSignIns : CHALLENGES.ofOwner
    if (!(await this.#parts.store.passkeys.addChallenge(challenge, now, limit))) {
      throw new OAuthError(
        'temporarily_unavailable',
        'Too many passkeys are being asked for, try again in five minutes',
        { status: 429, headers: { 'retry-after': String(CHALLENGE_TTL) } },
      )
    }
    return bytes
  }

  /** The challenge in the browser's answer, which is used up by this one look at it. */
  async #takeChallenge(
    clientDataJSON: string,
    purpose: Purpose | 'register',
    { owner_id, subject }: Asked,
  ): Promise<string> {
    const { challenge, crossOrigin } = readClientData(clientDataJSON)
    if (challenge === undefined || crossOrigin) throw notAccepted()
    const { clock, store } = this.#parts
    const found = await store.passkeys.takeChallenge(sha256(challenge), clock.now())
    const isMeant =
      found !== undefined &&
      found.purpose === purpose &&
      found.owner_id === (owner_id ?? null) &&
      found.subject === (subject === undefined ? null : sha256(subject))
    if (isMeant) return challenge
    throw new OAuthError(
      'access_denied',
      'The passkey was asked for too long ago, or for something else: open the page again',
    )
  }

  #assertWorks(): string {
    if (this.rp_id !== undefined) return this.rp_id
    throw new OAuthError(
      'access_denied',
      'This server is reached by an address, and passkeys need a name: its ISSUER has to be one',
    )
  }
}

/** @throws {OAuthError} access_denied for a passkey that was not added */
export function assertAdded(outcome: 'added' | 'too_many' | 'taken'): void {
  if (outcome === 'added') return
  throw new OAuthError(
    'access_denied',
    outcome === 'taken'
      ? 'This passkey is registered already'
      : `You have ${MAX_PASSKEYS} passkeys, which is the most there can be: remove one first`,
  )
}

/** It takes a tenth of a second, which the start of most servers need not wait for. */
function loadLibrary() {
  return import('@simplewebauthn/server')
}

function sha256(text: string): string {
  return hash('sha256', text, 'base64url')
}

function readClientData(text: string): { challenge?: string; crossOrigin: boolean } {
  const { challenge, crossOrigin, topOrigin } = Object(
    parseJson(Buffer.from(text, 'base64url').toString()),
  )
  return {
    ...(typeof challenge === 'string' && { challenge }),
    crossOrigin: (crossOrigin !== undefined && crossOrigin !== false) || topOrigin !== undefined,
  }
}

function parse<Schema extends TSchema>(schema: Schema, given: unknown): Static<Schema> {
  const value = typeof given === 'string' ? parseJson(given) : given
  if (Value.Check(schema, value)) return value
  throw new OAuthError('invalid_request', "The passkey's answer is missing or malformed")
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

async function orDenied<T>(verify: () => Promise<T>): Promise<T> {
  try {
    return await verify()
  } catch (cause) {
    throw notAccepted(cause)
  }
}

function notAccepted(cause?: unknown): OAuthError {
  return new OAuthError('access_denied', 'This passkey is not accepted here', { cause })
}

declare module 'fastify' {
  interface FastifyInstance {
    passkeys: Passkeys
  }
}

export default fp(
  async (app) => {
    const { audit, clock, settings, store } = app
    app.decorate('passkeys', new Passkeys({ audit, clock, settings, store }))
  },
  { name: 'passkeys', dependencies: ['audit', 'clock', 'settings', 'store'] },
)
