import type { FastifyInstance } from 'fastify'
import type { Client, ReusePolicy } from '../../core/core.ts'
import { networksOf } from '../../core/limits/network.ts'

/**
 * Which used refresh tokens of a client may come again. The rule of every client is that none may.
 * Hosts are several processes on one store of credentials, which refresh at the same moment, keep an
 * old token in memory or never save the new one: theirs come again from networks that the sign-in is
 * known by. REFRESH_REUSE_GRACE and a client's own grace hold for every network.
 */
export function reusePolicy(
  app: Pick<FastifyInstance, 'settings' | 'tokens'>,
  client: Client,
  grant_id: string,
  address: string,
): ReusePolicy {
  const { REFRESH_REUSE_GRACE, PUBLIC_REFRESH_REUSE_GRACE } = app.settings
  const grace = client.refresh_reuse_grace ?? REFRESH_REUSE_GRACE
  if (!isHost(client)) return { grace }
  const network = app.tokens.hashNetwork(grant_id, networksOf(address)[0])
  return { grace, known_networks: { network, grace: PUBLIC_REFRESH_REUSE_GRACE } }
}

/** A public client that registered itself or is known by its document, or one that is marked so. */
function isHost({ refresh_reuse, token_endpoint_auth_method, origin }: Client): boolean {
  if (refresh_reuse !== null) return refresh_reuse === 'known-networks'
  return token_endpoint_auth_method === 'none' && origin !== 'operator'
}
