import type { FastifyInstance, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Resource } from '../../../db/store.ts'
import { PREFIXES } from '../../../schemas/identifier.ts'
import type { ClientCredentials } from '../../../schemas/token.ts'
import { invalidClient, readCredentials } from './client-authentication.ts'

/**
 * Authenticates a protected resource by its secret, which it sends as clients send theirs (RFC 7662
 * section 2.1). Undefined when the identifier is not that of a resource: it may be a client's.
 */
export function createResourceAuthentication(
  parts: Pick<FastifyInstance, 'store' | 'throttle' | 'clock'>,
) {
  return async function authenticateResource(
    request: Pick<FastifyRequest, 'headers' | 'ip'> & { body: ClientCredentials },
  ): Promise<Resource | undefined> {
    const { client_id, client_secret } = readCredentials(
      request.headers.authorization,
      request.body,
    )
    if (!client_id.startsWith(PREFIXES.resource_id)) return undefined
    if (client_secret === undefined) throw invalidClient('The resource must send its secret')
    const resource = await parts.store.resources.findWithSecrets(client_id, parts.clock.now())
    const attempt = { id: client_id, address: request.ip }
    const proved = await parts.throttle.verifyHolder(resource, client_secret, attempt)
    if (proved === undefined) throw invalidClient('Unknown resource or wrong secret')
    return proved
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    authenticateResource: ReturnType<typeof createResourceAuthentication>
  }
}

export default fp(
  async (app) => {
    const { clock, store, throttle } = app
    app.decorate('authenticateResource', createResourceAuthentication({ clock, store, throttle }))
  },
  { name: 'authenticateResource', dependencies: ['clock', 'store', 'throttle'] },
)
