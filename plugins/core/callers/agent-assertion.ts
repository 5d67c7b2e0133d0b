import type { FastifyInstance } from 'fastify'
import { decodeJwt, decodeProtectedHeader, errors, generateKeyPair } from 'jose'
import type { AgentKey } from '../../../db/store.ts'
import { OAuthError } from '../http/errors.ts'
import { AGENT_KEY_ALGS } from '../registry/agent-keys.ts'
import {
  type AssertionClaims,
  AssertionError,
  type AssertionRules,
  useAssertion,
  verifyAssertion,
} from './assertion.ts'

const RULES: AssertionRules = {
  identifier: 'agent_id',
  algorithms: AGENT_KEY_ALGS,
  maxLifetime: 60,
  clockSkew: 10,
  countedFromIssue: true,
  audienceMayBeArray: false,
  shortestJti: 8,
  requiredClaims: ['client_id', 'request_id'],
}

/** The explicit type (RFC 8725 section 3.11); a token with another type is refused. */
const TYPES = [undefined, 'JWT', 'agent-assertion+jwt']

/** `Ed25519` (RFC 9864) and `EdDSA` with an Ed25519 key are the same algorithm. */
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
interface AgentClaims extends AssertionClaims {
  request_id: string
  client_id: string
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
  /** Unused keys, so that verifying takes as long for an agent without a key. */
  readonly #unusedKeys = new Map(
    AGENT_KEY_ALGS.map((alg) => [alg, generateKeyPair(alg).then(({ publicKey }) => publicKey)]),
  )

  constructor(parts: Pick<FastifyInstance, 'agentKeys' | 'clock' | 'settings' | 'store'>) {
    this.#parts = parts
  }

  /**
   * The claims of an assertion that one of `keys` signed; undefined when none of them did. The work is
   * the same without keys.
   * @throws {OAuthError} invalid_credentials for an invalid claim, access_denied for another client
   *   than the request's
   */
  async verify(
    assertion: string,
    agent_id: string,
    keys: AgentKey[],
    request: AssertedRequest,
  ): Promise<AgentClaims | undefined> {
    const { alg = '', kid } = decodeProtectedHeader(assertion)
    const fitting = keys.filter(
      (key) => familyOf(key.alg) === familyOf(alg) && (kid === undefined || key.kid === kid),
    )
    const publicKeys = fitting.map((key) => this.#parts.agentKeys.import(key))
    const unusedKey = this.#unusedKeys.get(alg)
    if (publicKeys.length === 0 && unusedKey !== undefined) publicKeys.push(unusedKey)
    const caller = {
      id: agent_id,
      audience: [this.#parts.settings.ISSUER],
      now: this.#parts.clock.now(),
    }
    for (const publicKey of publicKeys) {
      try {
        const claims = await verifyAssertion<AgentClaims>(assertion, () => publicKey, caller, RULES)
        assertRequest(claims, request)
        return claims
      } catch (error) {
        if (error instanceof errors.JWSSignatureVerificationFailed) continue
        if (error instanceof AssertionError) throw invalidAssertion(error.message)
        if (error instanceof errors.JOSEError) throw malformedAssertion('is not a signed JWT')
        throw error
      }
    }
    return undefined
  }

  /**
   * Uses up an assertion: only one of several requests with it succeeds.
   * @throws {OAuthError} invalid_credentials for a second use
   */
  async use(claims: AgentClaims): Promise<void> {
    try {
      await useAssertion(claims, RULES, this.#parts.store.agentKeys.useAssertion)
    } catch (error) {
      throw error instanceof AssertionError ? invalidAssertion(error.message) : error
    }
  }
}

function assertRequest(claims: AgentClaims, request: AssertedRequest): void {
  if (claims.request_id !== request.request_id) throw invalidAssertion('is for another request_id')
  if (claims.client_id !== request.client_id) {
    throw new OAuthError('access_denied', 'The agent_assertion is for another client_id', {
      reason: 'site',
    })
  }
}

function invalidAssertion(text: string): OAuthError {
  return new OAuthError('invalid_credentials', `The agent_assertion ${text}`)
}

function malformedAssertion(text: string): OAuthError {
  return new OAuthError('invalid_request', `The agent_assertion ${text}`)
}
