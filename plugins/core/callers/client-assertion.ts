import { Value } from '@sinclair/typebox/value'
import type { FastifyInstance } from 'fastify'
import { createLocalJWKSet, decodeJwt, errors, type JSONWebKeySet, jwtVerify } from 'jose'
import type { Client } from '../../../db/store.ts'
import { JsonWebKeySet } from '../../../schemas/client.ts'
import { OAuthError } from '../http/errors.ts'
import { RemoteDocumentError } from '../registry/remote-documents.ts'

/** RFC 7523 section 2.2. */
export const CLIENT_ASSERTION_TYPE = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

/** `token_endpoint_auth_signing_alg_values_supported` (RFC 8414 section 2). */
export const CLIENT_ASSERTION_ALGORITHMS = ['ES256', 'ES384', 'EdDSA', 'Ed25519', 'RS256', 'PS256']

/** The longest that an assertion may live, and how far the two clocks may differ, in seconds. */
const MAX_LIFETIME = 600
const CLOCK_SKEW = 30
/** For how many seconds a key set is not fetched again because of an unknown key. */
const REFETCH_AFTER = 30
const KEY_SET_BYTES = 64 * 1024

/** The client that an assertion names, before anything of it is believed. */
export function clientOfAssertion(client_assertion: string): string | undefined {
  try {
    return decodeJwt(client_assertion).sub
  } catch {
    return undefined
  }
}

/**
 * Checks that a client signed an assertion for this server, which works once (RFC 7523 section 3,
 * OpenID Connect Core section 9, `private_key_jwt`). Its audience is the issuer or the token
 * endpoint and nobody else.
 * @throws {OAuthError} invalid_client
 */
export async function verifyClientAssertion(
  app: Pick<FastifyInstance, 'clock' | 'metadata' | 'remoteDocuments' | 'settings' | 'store'>,
  client: Client,
  client_assertion: string,
): Promise<void> {
  const { client_id } = client
  const now = app.clock.now()
  const { jti, exp } = await verify().catch((error) => {
    throw error instanceof OAuthError ? error : refused(error)
  })
  if (exp > now + MAX_LIFETIME + CLOCK_SKEW) throw refused('It lives too long')
  if (!(await app.store.clientAssertions.use(client_id, jti, exp + CLOCK_SKEW))) {
    throw refused('It was used before')
  }

  async function verify(): Promise<{ jti: string; exp: number }> {
    const audience = [app.settings.ISSUER, app.metadata.url('/token')]
    const options = {
      algorithms: CLIENT_ASSERTION_ALGORITHMS,
      issuer: client_id,
      subject: client_id,
      audience,
      requiredClaims: ['exp', 'jti'],
      clockTolerance: CLOCK_SKEW,
      currentDate: new Date(now * 1000),
    }
    const { payload } = await jwtVerify(
      client_assertion,
      createLocalJWKSet(await clientKeys(0)),
      options,
    ).catch(async (error) => {
      if (!(error instanceof errors.JWKSNoMatchingKey) || client.jwks_uri === null) throw error
      const fresh = await clientKeys(now - REFETCH_AFTER)
      return await jwtVerify(client_assertion, createLocalJWKSet(fresh), options)
    })
    const { jti, exp, aud } = payload
    // An assertion that names others as well could be passed on to us by them.
    if (Array.isArray(aud) && aud.some((one) => !audience.includes(one))) {
      throw refused('It is meant for others too')
    }
    if (typeof jti !== 'string' || jti === '' || jti.length > 255 || exp === undefined) {
      throw refused('Its jti must have 1 to 255 characters')
    }
    return { jti, exp }
  }

  async function clientKeys(notBefore: number): Promise<JSONWebKeySet> {
    if (client.jwks_uri === null) return { keys: client.jwks?.keys ?? [] } as JSONWebKeySet
    const text = await app.remoteDocuments.read(client.jwks_uri, KEY_SET_BYTES, notBefore)
    const keySet: unknown = JSON.parse(text)
    if (!Value.Check(JsonWebKeySet, keySet)) throw refused('jwks_uri has no key set')
    return keySet as JSONWebKeySet
  }
}

function refused(reason: unknown): OAuthError {
  const why =
    typeof reason === 'string'
      ? reason
      : reason instanceof errors.JOSEError || reason instanceof RemoteDocumentError
        ? reason.message
        : 'Its key cannot be used'
  return new OAuthError('invalid_client', `The client_assertion is refused: ${why}`, {
    headers: { 'www-authenticate': 'Basic realm="auth-agent", charset="UTF-8"' },
    cause: reason,
  })
}
