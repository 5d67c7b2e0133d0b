import { Value } from '@sinclair/typebox/value'
import type { FastifyInstance } from 'fastify'
import { createLocalJWKSet, decodeJwt, errors, type JSONWebKeySet } from 'jose'
import type { Client } from '../../../db/store.ts'
import { JsonWebKeySet } from '../../../schemas/client.ts'
import { BASIC_CHALLENGE } from '../http/challenges.ts'
import { OAuthError } from '../http/errors.ts'
import { RemoteDocumentError } from '../registry/fetch-document.ts'
import {
  type AssertionClaims,
  AssertionError,
  type AssertionRules,
  useAssertion,
  verifyAssertion,
} from './assertion.ts'

/** RFC 7523 section 2.2. */
export const CLIENT_ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** `token_endpoint_auth_signing_alg_values_supported` (RFC 8414 section 2). */
export const CLIENT_ASSERTION_ALGORITHMS = ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'RS256', 'PS256']

const RULES: AssertionRules = {
  identifier: 'client_id',
  algorithms: CLIENT_ASSERTION_ALGORITHMS,
  maxLifetime: 600,
  clockSkew: 30,
  countedFromIssue: false,
  audienceMayBeArray: true,
  shortestJti: 1,
  requiredClaims: [],
}

/** How long a key set is not fetched again for an unknown key, in seconds. */
const REFETCH_AFTER = 30
export const KEY_SET_BYTES = 64 * 1024

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
  try {
    await useAssertion(await verify(), RULES, parts.store.clientAssertions.use)
  } catch (error) {
    if (error instanceof AssertionError) throw invalidAssertion(error.message, error)
    if (error instanceof errors.JOSEError) {
      throw invalidAssertion(`cannot be verified: ${error.message}`, error)
    }
    if (error instanceof RemoteDocumentError) {
      throw invalidAssertion(`cannot be verified: The jwks_uri ${error.message}`, error)
    }
    throw error
  }

  async function verify(): Promise<AssertionClaims> {
    try {
      return await verifyWith(await clientKeys(0))
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || client.jwks_uri === null) throw error
      return await verifyWith(await clientKeys(now - REFETCH_AFTER))
    }
  }

  async function verifyWith(keySet: JSONWebKeySet): Promise<AssertionClaims> {
    try {
      const key = createLocalJWKSet(keySet)
      return await verifyAssertion(client_assertion, key, { id: client_id, audience, now }, RULES)
    } catch (error) {
      // jose reports a key that it cannot import or use as a TypeError, WebCrypto as a DOMException.
      if (error instanceof TypeError || error instanceof DOMException) {
        throw invalidAssertion('is signed by a key that cannot be used', error)
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
    const error = invalidAssertion('cannot be verified: The jwks_uri has no key set')
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

function invalidAssertion(text: string, cause?: unknown): OAuthError {
  return new OAuthError('invalid_client', `The client_assertion ${text}`, {
    headers: BASIC_CHALLENGE,
    cause,
  })
}
