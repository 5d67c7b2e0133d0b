import { randomUUID } from 'node:crypto'
import { importJWK, type JWK, SignJWT } from 'jose'
import { SignInError } from './errors.ts'

/** For how many seconds an assertion is good. */
const LIFETIME = 30

/** What an assertion is good for, and nothing else. */
export interface AssertionFacts {
  issuer: string
  agent_id: string
  request_id: string
  client_id: string
}

/**
 * A JWT by which an agent proves itself for one request at one site, once, for 30 seconds.
 * @throws {SignInError} configuration, for a key that cannot sign
 */
export async function signAssertion(
  { issuer, agent_id, request_id, client_id }: AssertionFacts,
  private_jwk: JWK,
): Promise<string> {
  const alg = private_jwk.kty === 'EC' ? 'ES256' : 'EdDSA'
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
