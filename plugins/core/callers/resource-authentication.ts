import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Resource } from '../../../db/store.ts'
import type { ClientCredentials } from '../../../schemas/token.ts'
import { invalidClient, readCredentials } from './client-authentication.ts'

/** What the identifiers of protected resources start with. */
export const RESOURCE_ID_PREFIX = 'rs_'

/**
 * Which protected resource is calling, by its secret, sent as clients send theirs (RFC 7662 section
 * 2.1). Undefined when the credentials are not those of a resource, but perhaps of a client.
 */
export function createResourceAuthentication(
  app: Pick<FastifyInstance, 'store' | 'throttle' | 'clock'>,
) {
  return async function authenticateResource(
    request: Pick<FastifyRequest, 'headers' | 'ip'> & { body: ClientCredentials },
  ): Promise<Resource | undefined> {
    const { client_id, client_secret } = readCredentials(
      request.headers.authorization,
      request.body,
    )
    if (!client_id.startsWith(RESOURCE_ID_PREFIX)) return undefined
    if (client_secret === undefined) throw invalidClient('The resource must send its secret')
    const resource = await app.store.resources.findWithSecrets(client_id, app.clock.now())
    const attempt = { id: client_id, address: request.ip }
    const matches = await app.throttle.verifySecret(client_secret, resource?.secrets ?? [], attempt)
    if (!matches || resource === undefined) {
      throw invalidClient('Unknown resource or wrong secret')
    }
    return resource
  }
}
