import { Value } from '@sinclair/typebox/value'
import type { FastifyInstance } from 'fastify'
import {
  createLocalJWKSet,
  decodeJwt,
  errors,
  type JSONWebKeySet,
  type JWTPayload,
  jwtVerify,
} from 'jose'
import type { Client } from '../../../db/store.ts'
import { JsonWebKeySet } from '../../../schemas/client.ts'
import { BASIC_CHALLENGE } from '../http/challenges.ts'
import { OAuthError } from '../http/errors.ts'
import { RemoteDocumentError } from '../registry/fetch-document.ts'

/** RFC 7523 section 2.2. */
export const CLIENT_ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** `token_endpoint_auth_signing_alg_values_supported` (RFC 8414 section 2). */
export const CLIENT_ASSERTION_ALGORITHMS = ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'RS256', 'PS256']

/** The longest life of an assertion, and the largest difference between the clocks, in seconds. */
const MAX_LIFETIME = 600
const CLOCK_SKEW = 30
/** For how many seconds a key set is not fetched again because of an unknown key. */
const REFETCH_AFTER = 30
export const KEY_SET_BYTES = 64 * 1024

/** Without control characters and lone surrogates, so that every database stores it unchanged. */
const JTI = /^[^\p{Cc}\p{Cs}]{1,255}$/u

/** The client that an assertion names, before its signature is checked. */
export function clientOfAssertion(client_assertion: string): string | undefined {
  let sub: unknown
  try {
    sub = decodeJwt(client_assertion).sub
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined
    throw error
  }
  return typeof sub === 'string' && sub !== '' ? sub : undefined
}

/**
 * Checks that a client signed an assertion for this server, which works once (RFC 7523 section 3,
 * OpenID Connect Core section 9, `private_key_jwt`). Its audience is the issuer or the token
 * endpoint alone.
 * @param address the caller's network address
 * @throws {OAuthError} invalid_client; temporarily_unavailable when its keys cannot be fetched now
 */
export async function verifyClientAssertion(
  parts: Pick<FastifyInstance, 'clock' | 'metadata' | 'remoteDocuments' | 'settings' | 'store'>,
  client: Client,
  client_assertion: string,
  address: string,
): Promise<void> {
  const { client_id } = client
  const now = parts.clock.now()
  const audience = [parts.settings.ISSUER, parts.metadata.url('/token')]
  const { jti, exp, aud } = await verify().catch((error) => {
    const known = error instanceof errors.JOSEError || error instanceof RemoteDocumentError
    throw known ? invalidAssertion(whyNot(error), error) : error
  })
  // An assertion that names others as well could be passed on to us by them.
  if (Array.isArray(aud) && aud.some((one) => !audience.includes(one))) {
    throw invalidAssertion('It is meant for others too')
  }
  if (typeof jti !== 'string' || !JTI.test(jti)) {
    throw invalidAssertion('Its jti must have 1 to 255 characters')
  }
  if (exp === undefined || exp > now + MAX_LIFETIME + CLOCK_SKEW)
    throw invalidAssertion('It lives too long')
  // A NumericDate may have a fraction (RFC 7519 section 2), a row has whole seconds.
  if (!(await parts.store.clientAssertions.use(client_id, jti, Math.ceil(exp) + CLOCK_SKEW))) {
    throw invalidAssertion('It was used before')
  }

  async function verify(): Promise<JWTPayload> {
    try {
      return await verifyWith(await clientKeys(0))
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || client.jwks_uri === null) throw error
      return await verifyWith(await clientKeys(now - REFETCH_AFTER))
    }
  }

  async function verifyWith(keySet: JSONWebKeySet): Promise<JWTPayload> {
    try {
      const { payload } = await jwtVerify(client_assertion, createLocalJWKSet(keySet), {
        algorithms: CLIENT_ASSERTION_ALGORITHMS,
        issuer: client_id,
        subject: client_id,
        audience,
        requiredClaims: ['exp', 'jti'],
        clockTolerance: CLOCK_SKEW,
        currentDate: new Date(now * 1000),
      })
      return payload
    } catch (error) {
      // jose reports a key that it cannot import or use as a TypeError, WebCrypto as a DOMException.
      if (error instanceof TypeError || error instanceof DOMException) {
        throw invalidAssertion('Its key cannot be used', error)
      }
      throw error
    }
  }

  async function clientKeys(notBefore: number): Promise<JSONWebKeySet> {
    if (client.jwks_uri === null) return { keys: client.jwks?.keys ?? [] } as JSONWebKeySet
    const asked = { address, notBefore }
    const { remoteDocuments } = parts
    const text = await remoteDocuments.read(client.jwks_uri, KEY_SET_BYTES, asked)
    const keySet = readKeySet(text)
    if (keySet !== undefined) return keySet
    const error = invalidAssertion('The jwks_uri has no key set')
    throw remoteDocuments.unusable(client.jwks_uri, error)
  }
}

function readKeySet(text: string): JSONWebKeySet | undefined {
  let keySet: unknown
  try {
    keySet = JSON.parse(text)
  } catch {
    return undefined
  }
  return Value.Check(JsonWebKeySet, keySet) ? (keySet as JSONWebKeySet) : undefined
}

function whyNot(error: errors.JOSEError | RemoteDocumentError): string {
  return error instanceof RemoteDocumentError ? `The jwks_uri ${error.message}` : error.message
}

function invalidAssertion(why: string, cause?: unknown): OAuthError {
  return new OAuthError('invalid_client', `The client_assertion is refused: ${why}`, {
    headers: BASIC_CHALLENGE,
    cause,
  })
}
