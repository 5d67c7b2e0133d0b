import type { FastifyInstance } from 'fastify'
import { PREFIXES } from '../../../schemas/identifier.ts'
import { hashToken, newId, newSecret } from '../crypto/secrets.ts'
import { readName } from './names.ts'

/** Makes the tokens with which clients may register themselves (RFC 7591 section 3). */
export function createInitialAccessTokens({
  clock,
  store,
}: Pick<FastifyInstance, 'clock' | 'store'>) {
  return {
    /** A new token, which works for `expires_in` seconds, or until the operator deletes it. */
    async createInitialAccessToken(
      name?: string,
      expires_in?: number,
    ): Promise<{ token_id: string; expires_at: number | null; initial_access_token: string }> {
      const token_id = newId(PREFIXES.initial_access_token_id)
      const initial_access_token = newSecret(PREFIXES.initial_access_token)
      const created_at = clock.now()
      const expires_at = expires_in === undefined ? null : created_at + expires_in
      await store.initialAccessTokens.create({
        token_id,
        token_hash: hashToken(initial_access_token),
        name: name === undefined ? null : readName('The name', name),
        created_at,
        expires_at,
      })
      return { token_id, expires_at, initial_access_token }
    },
  }
}
