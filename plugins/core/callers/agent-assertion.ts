import type { FastifyInstance } from 'fastify'
import {
  decodeJwt,
  decodeProtectedHeader,
  errors,
  generateKeyPair,
  type JWTPayload,
  type JWTVerifyResult,
  jwtVerify,
} from 'jose'
import type { AgentKey } from '../../../db/store.ts'
import { OAuthError } from '../http/errors.ts'
import { AGENT_KEY_ALGS } from '../registry/agent-keys.ts'

/** For how long an assertion may be good, in seconds. */
const MAX_LIFETIME = 60
/** By how much the agent's clock may differ from ours, in seconds. */
const CLOCK_SKEW = 10
/** Without control characters and lone surrogates, so that every database stores it unchanged. */
const JTI = /^[^\p{Cc}\p{Cs}]{8,255}$/u
/** The explicit type (RFC 8725 section 3.11); a token with another type is refused. */
const TYPES = [undefined, 'JWT', 'agent-assertion+jwt']

/** `Ed25519` (RFC 9864) and `EdDSA` with such a key are one algorithm. */
function familyOf(alg: string): string {
  return alg === 'Ed25519' ? 'EdDSA' : alg
}

/**
 * The agent that an assertion names, before its signature is checked.
 * @throws {OAuthError} invalid_request when it is not an assertion
 */
export function readSubject(assertion: string): string {
  const { alg, typ, sub } = decode(assertion)
  if (!AGENT_KEY_ALGS.includes(alg ?? '')) {
    throw malformedAssertion(`must be signed with ${AGENT_KEY_ALGS.join(' or ')}`)
  }
  if (!TYPES.includes(typ)) throw malformedAssertion('must have the typ agent-assertion+jwt')
  if (typeof sub !== 'string' || sub === '')
    throw malformedAssertion('must have the agent_id as its sub')
  return sub
}

function decode(assertion: string) {
  try {
    const { alg, typ } = decodeProtectedHeader(assertion)
    const { sub } = decodeJwt(assertion)
    return { alg, typ, sub }
  } catch (error) {
    // jose reports a header that is not JSON as a TypeError.
    if (error instanceof errors.JOSEError || error instanceof TypeError) {
      throw malformedAssertion('is not a signed JWT')
    }
    throw error
  }
}

/** The claims that an agent signs to sign in to one site, once. */
export interface AssertionClaims extends JWTPayload {
  iss: string
  sub: string
  aud: string
  request_id: string
  client_id: string
  jti: string
  iat: number
  exp: number
}

/** The authorization request that an assertion was sent for. */
export interface AssertedRequest {
  request_id: string
  client_id: string
}

/**
 * Reads agent assertions: JWTs (modelled on RFC 7523 section 3) that an agent signs with its key for
 * this server, one authorization request and one client. A captured assertion works nowhere else, and
 * here only once.
 */
export class AgentAssertions {
  readonly #parts: Pick<FastifyInstance, 'agentKeys' | 'clock' | 'settings' | 'store'>
  /** Keys that nothing is signed with, so that verifying takes as long for an agent without a key. */
  readonly #unusedKeys = new Map(
    AGENT_KEY_ALGS.map((alg) => [alg, generateKeyPair(alg).then(({ publicKey }) => publicKey)]),
  )

  constructor(parts: Pick<FastifyInstance, 'agentKeys' | 'clock' | 'settings' | 'store'>) {
    this.#parts = parts
  }

  /**
   * The claims of an assertion that one of `keys` signed; undefined when none of them did. It takes the
   * same work when there are no keys.
   * @throws {OAuthError} invalid_credentials for a claim that does not hold, access_denied for
   *   another client than the request's
   */
  async verify(
    assertion: string,
    agent_id: string,
    keys: AgentKey[],
    request: AssertedRequest,
  ): Promise<AssertionClaims | undefined> {
    const { alg = '', kid } = decodeProtectedHeader(assertion)
    const fitting = keys.filter(
      (key) => familyOf(key.alg) === familyOf(alg) && (kid === undefined || key.kid === kid),
    )
    const publicKeys = fitting.map((key) => this.#parts.agentKeys.import(key))
    const unusedKey = this.#unusedKeys.get(alg)
    if (publicKeys.length === 0 && unusedKey !== undefined) publicKeys.push(unusedKey)
    for (const publicKey of publicKeys) {
      try {
        const { payload } = await jwtVerify<AssertionClaims>(assertion, await publicKey, {
          algorithms: AGENT_KEY_ALGS,
          issuer: agent_id,
          subject: agent_id,
          audience: this.#parts.settings.ISSUER,
          currentDate: new Date(this.#parts.clock.now() * 1000),
          clockTolerance: CLOCK_SKEW,
          maxTokenAge: MAX_LIFETIME,
          requiredClaims: ['aud', 'client_id', 'exp', 'iat', 'iss', 'jti', 'request_id', 'sub'],
        })
        this.#assertClaims(payload, request)
        return payload
      } catch (error) {
        if (error instanceof errors.JWSSignatureVerificationFailed) continue
        if (error instanceof errors.JOSEError) throw toInvalidAssertion(error)
        throw error
      }
    }
    return undefined
  }

  /**
   * Uses up an assertion: only one of several requests with it succeeds.
   * @throws {OAuthError} invalid_credentials for a second use
   */
  async use({ sub, jti, exp }: AssertionClaims): Promise<void> {
    const first = await this.#parts.store.agentKeys.useAssertion(
      sub,
      jti,
      // A NumericDate may have a fraction (RFC 7519 section 2), a row has whole seconds.
      Math.ceil(exp) + CLOCK_SKEW,
    )
    if (!first) throw invalidAssertion('was used before, its jti is good once')
  }

  #assertClaims(
    claims: JWTVerifyResult<AssertionClaims>['payload'],
    request: AssertedRequest,
  ): void {
    const { aud, exp, iat, jti } = claims
    if (Array.isArray(aud))
      throw invalidAssertion('must have the issuer, and nobody else, as its aud')
    if (exp - iat > MAX_LIFETIME)
      throw invalidAssertion(`may be good for at most ${MAX_LIFETIME} seconds`)
    if (typeof jti !== 'string' || !JTI.test(jti)) {
      throw invalidAssertion('must have a jti of 8 to 255 characters')
    }
    if (claims.request_id !== request.request_id)
      throw invalidAssertion('is for another request_id')
    if (claims.client_id !== request.client_id) {
      throw new OAuthError('access_denied', 'The agent_assertion is for another client_id', {
        reason: 'site',
      })
    }
  }
}

/** The refusal of an assertion whose signature is good; only a holder of the key can see it. */
function toInvalidAssertion(error: errors.JOSEError): OAuthError {
  if (error instanceof errors.JWTExpired) return invalidAssertion('has expired')
  if (!(error instanceof errors.JWTClaimValidationFailed))
    return malformedAssertion('is not a signed JWT')
  const { claim, reason } = error
  if (reason === 'missing') return invalidAssertion(`must have ${claim}`)
  if (claim === 'iat') return invalidAssertion('was issued in the future')
  if (claim === 'nbf') return invalidAssertion('is not good yet')
  if (claim === 'aud') return invalidAssertion('has another aud than this issuer')
  if (claim === 'iss') return invalidAssertion('must have the agent_id as its iss')
  return invalidAssertion(`has a ${claim} that is not acceptable`)
}

function invalidAssertion(text: string): OAuthError {
  return new OAuthError('invalid_credentials', `The agent_assertion ${text}`)
}

function malformedAssertion(text: string): OAuthError {
  return new OAuthError('invalid_request', `The agent_assertion ${text}`)
}
