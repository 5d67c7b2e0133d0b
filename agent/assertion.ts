import { randomUUID } from 'node:crypto'
import { importJWK, type JWK, SignJWT } from 'jose'
import { SignInError } from './errors.ts'

/** How long an assertion is valid, in seconds. */
const LIFETIME = 30

/** The one request at one client of one issuer that an assertion is for. */
export interface AssertionFacts {
  issuer: string
  agent_id: string
  request_id: string
  client_id: string
}

/**
 * Signs the JWT by which an agent proves itself for one request at one site. It is valid once, for 30
 * seconds.
 * @throws {SignInError} configuration, for a key that cannot sign
 */
export async function signAssertion(
  { issuer, agent_id, request_id, client_id }: AssertionFacts,
  private_jwk: JWK,
): Promise<string> {
  const alg = algorithmOf(private_jwk)
  const { kid } = private_jwk
  const iat = Math.floor(Date.now() / 1000)
  try {
    return await new SignJWT({ request_id, client_id })
      .setProtectedHeader({ alg, typ: 'agent-assertion+jwt', ...(kid !== undefined && { kid }) })
      .setIssuer(agent_id)
      .setSubject(agent_id)
      .setAudience(issuer)
      .setJti(randomUUID())
      .setIssuedAt(iat)
      .setExpirationTime(iat + LIFETIME)
      .sign(await importJWK(private_jwk, alg))
  } catch (cause) {
    throw new SignInError('configuration', "The agent's key cannot sign", { cause })
  }
}

/** `Ed25519` (RFC 9864) for a key that asks for it: issuers of older versions know only `EdDSA`. */
function algorithmOf({ kty, alg }: JWK): string {
  if (kty === 'EC') return 'ES256'
  return alg === 'Ed25519' ? alg : 'EdDSA'
}
