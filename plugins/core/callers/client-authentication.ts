import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Client } from '../../../db/store.ts'
import type { ClientCredentials } from '../../../schemas/token.ts'
import { BASIC_CHALLENGE } from '../http/challenges.ts'
import { OAuthError } from '../http/errors.ts'
import { hasSecret } from '../registry/client-metadata.ts'
import {
  CLIENT_ASSERTION_TYPE,
  clientOfAssertion,
  verifyClientAssertion,
} from './client-assertion.ts'

/**
 * Authenticates a client in the way that it is registered for (RFC 6749 section 2.3). A client with a
 * secret sends it in the Authorization header or in the body, a client with keys sends an assertion
 * (RFC 7523 section 2.2); never both.
 */
export function createClientAuthentication(
  parts: Pick<
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
    const { client_assertion } = request.body
    if (client_assertion !== undefined) {
      return assertEnabled(await findProved(client_id, client_assertion, request.ip))
    }
    const client = await findClient(client_id, request.ip)
    if (client?.token_endpoint_auth_method === 'none' && client_secret === undefined) {
      return assertEnabled(client)
    }
    if (client_secret === undefined) {
      throw invalidClient(
        client
          ? 'The client must use the authentication method that it is registered with'
          : 'Unknown client or wrong secret',
      )
    }
    const attempt = { id: client_id, address: request.ip }
    const proved = await parts.throttle.verifyHolder(client, client_secret, attempt)
    if (proved === undefined || !hasSecret(proved)) {
      throw invalidClient('Unknown client or wrong secret')
    }
    return assertEnabled(proved)
  }

  /** RFC 6749 section 5.2: a client whose metadata document cannot be used gets the same error. */
  async function findClient(client_id: string, address: string) {
    try {
      return await parts.clients.findWithSecrets(client_id, address)
    } catch (error) {
      if (!(error instanceof OAuthError) || error.code !== 'invalid_client') throw error
      throw invalidClient(error.message, error)
    }
  }

  /** The client that signed an assertion. A failure counts like a wrong secret. */
  async function findProved(
    client_id: string,
    client_assertion: string,
    address: string,
  ): Promise<Client> {
    const named = clientOfAssertion(client_assertion)
    const client = named === client_id ? await findClient(client_id, address) : undefined
    try {
      if (named === undefined) throw invalidClient('The client_assertion is not a JWT of a client')
      if (named !== client_id) throw invalidClient('client_id differs from the client_assertion')
      if (client?.token_endpoint_auth_method !== 'private_key_jwt') {
        throw invalidClient('The client is unknown or has no keys')
      }
      await verifyClientAssertion(parts, client, client_assertion, address)
      return client
    } catch (error) {
      if (error instanceof OAuthError && error.code === 'invalid_client') {
        await parts.throttle.countFailure({ id: client_id, address })
      }
      throw error
    }
  }
}

interface Credentials {
  client_id: string
  client_secret: string | undefined
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
    if (client_id === undefined)
      throw invalidClient('client_id and client authentication are required')
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
    throw new OAuthError('invalid_request', 'Authenticate in one way only')
  }
  if (client_assertion === undefined || client_assertion_type !== CLIENT_ASSERTION_TYPE) {
    throw new OAuthError(
      'invalid_request',
      `client_assertion_type must be ${CLIENT_ASSERTION_TYPE}`,
    )
  }
  return {
    client_id: client_id ?? clientOfAssertion(client_assertion) ?? '',
    client_secret: undefined,
  }
}

/** RFC 6749 section 2.3.1: both parts are form-urlencoded, which leaves this server's own unchanged. */
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

/** The error for a client or resource that did not authenticate. */
export function invalidClient(description: string, cause?: unknown): OAuthError {
  return new OAuthError('invalid_client', description, {
    headers: BASIC_CHALLENGE,
    cause,
  })
}

declare module 'fastify' {
  interface FastifyInstance {
    authenticateClient: ReturnType<typeof createClientAuthentication>
  }
}

export default fp(
  async (app) => {
    const { clients, clock, metadata, remoteDocuments, settings, store, throttle } = app
    app.decorate(
      'authenticateClient',
      createClientAuthentication({
        clients,
        clock,
        metadata,
        remoteDocuments,
        settings,
        store,
        throttle,
      }),
    )
  },
  {
    name: 'authenticateClient',
    dependencies: [
      'clients',
      'clock',
      'metadata',
      'remoteDocuments',
      'settings',
      'store',
      'throttle',
    ],
  },
)
