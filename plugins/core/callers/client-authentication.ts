import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Client } from '../../../db/store.ts'
import type { ClientCredentials } from '../../../schemas/token.ts'
import { OAuthError } from '../http/errors.ts'
import {
  CLIENT_ASSERTION_TYPE,
  clientOfAssertion,
  verifyClientAssertion,
} from './client-assertion.ts'

/** The methods of `token_endpoint_auth_methods_supported` (RFC 8414 section 2). */
export const CLIENT_AUTHENTICATION_METHODS = [
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
  'none',
]

/**
 * Who is calling: the client, authenticated as it is registered (RFC 6749 section 2.3). A
 * client with a secret may send it in the Authorization header or in the body, one with keys sends an
 * assertion (RFC 7523 section 2.2); never two of these.
 */
export function createClientAuthentication(
  app: Pick<
    FastifyInstance,
    'clients' | 'clock' | 'metadata' | 'remoteDocuments' | 'settings' | 'store' | 'throttle'
  >,
) {
  return async function authenticateClient(
    request: Pick<FastifyRequest, 'headers' | 'ip'> & { body: ClientCredentials },
  ): Promise<Client> {
    const { client_id, client_secret } = readCredentials(
      request.headers.authorization,
      request.body,
    )
    const client = await app.clients.findWithSecrets(client_id, request.ip)
    const { client_assertion } = request.body
    if (client_assertion !== undefined) {
      if (client?.token_endpoint_auth_method !== 'private_key_jwt') {
        throw invalidClient('Unknown client, or one without keys')
      }
      await verifyClientAssertion(app, client, client_assertion)
      return assertEnabled(client)
    }
    if (client?.token_endpoint_auth_method === 'none' && client_secret === undefined) {
      return assertEnabled(client)
    }
    if (client_secret === undefined) {
      throw invalidClient(
        client
          ? 'The client must authenticate as it is registered'
          : 'Unknown client or wrong secret',
      )
    }
    const attempt = { id: client_id, address: request.ip }
    const matches = await app.throttle.verifySecret(client_secret, client?.secrets ?? [], attempt)
    if (!matches || client === undefined || !hasSecret(client)) {
      throw invalidClient('Unknown client or wrong secret')
    }
    return assertEnabled(client)
  }
}

interface Credentials {
  client_id: string
  client_secret: string | undefined
}

/** Whether a client authenticates with a secret. */
export function hasSecret({ token_endpoint_auth_method }: Client): boolean {
  return token_endpoint_auth_method.startsWith('client_secret_')
}

/** The credentials of a caller, in the Authorization header or in the body. */
export function readCredentials(
  authorization: string | undefined,
  body: ClientCredentials,
): Credentials {
  const { client_id, client_secret } = body
  if (body.client_assertion !== undefined || body.client_assertion_type !== undefined) {
    return readAssertion(authorization, body)
  }
  if (authorization === undefined) {
    if (client_id === undefined) throw invalidClient('The client must name itself and authenticate')
    return { client_id, client_secret }
  }
  if (client_secret !== undefined) {
    throw new OAuthError(
      'invalid_request',
      'Authenticate in the Authorization header or in the body, not in both',
    )
  }
  const basic = readBasic(authorization)
  if (basic === undefined) throw invalidClient('The Authorization header is not Basic credentials')
  if (client_id !== undefined && client_id !== basic.client_id) {
    throw new OAuthError('invalid_request', 'client_id differs from the Authorization header')
  }
  return basic
}

/** RFC 7521 section 4.2: `client_id` is optional beside an assertion, and must then agree with it. */
function readAssertion(authorization: string | undefined, body: ClientCredentials): Credentials {
  const { client_id, client_secret, client_assertion_type, client_assertion } = body
  if (authorization !== undefined || client_secret !== undefined) {
    throw new OAuthError('invalid_request', 'Authenticate in one way, not in several')
  }
  if (client_assertion === undefined || client_assertion_type !== CLIENT_ASSERTION_TYPE) {
    throw new OAuthError(
      'invalid_request',
      `client_assertion_type must be ${CLIENT_ASSERTION_TYPE}`,
    )
  }
  const named = clientOfAssertion(client_assertion)
  if (named === undefined) throw invalidClient('The client_assertion is not a JWT of a client')
  if (client_id !== undefined && client_id !== named) {
    throw invalidClient('client_id differs from the client_assertion')
  }
  return { client_id: named, client_secret: undefined }
}

/** RFC 6749 section 2.3.1: both halves are form-urlencoded; ours read the same with and without. */
function readBasic(authorization: string): Credentials | undefined {
  const [, encoded] = authorization.match(/^Basic +([A-Za-z0-9+/=_-]+) *$/i) ?? []
  if (encoded === undefined) return undefined
  const text = Buffer.from(encoded, 'base64').toString('utf8')
  const colon = text.indexOf(':')
  if (colon < 1) return undefined
  try {
    return {
      client_id: formDecode(text.slice(0, colon)),
      client_secret: formDecode(text.slice(colon + 1)) || undefined,
    }
  } catch {
    return undefined
  }
}

function formDecode(text: string): string {
  return decodeURIComponent(text.replaceAll('+', ' '))
}

function assertEnabled(client: Client): Client {
  if (client.disabled_at !== null) throw invalidClient('The client is disabled')
  return client
}

/** RFC 9110 section 15.5.2 wants a challenge with every 401. */
export function invalidClient(description: string): OAuthError {
  return new OAuthError('invalid_client', description, {
    headers: { 'www-authenticate': 'Basic realm="auth-agent", charset="UTF-8"' },
  })
}
