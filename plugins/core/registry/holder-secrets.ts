import type { SecretRow } from '../../../db/store.ts'
import type { PREFIXES } from '../../../schemas/identifier.ts'
import { newSecret, type Secrets } from '../crypto/secrets.ts'

export interface SecretRotation {
  /** How long the old secret still works, in seconds. */
  overlap?: number
  /** Whether the sign-ins and tokens that the old secret may have given a thief end (RFC 9700 section 4.14.2). */
  compromised?: boolean
}

type SecretPrefix = (typeof PREFIXES)['client_secret' | 'agent_secret' | 'resource_secret']

/** Makes the secrets of clients, agents and resources. Only the hash of a secret is stored. */
export class HolderSecrets {
  readonly #secrets: Pick<Secrets, 'toRow'>
  readonly #prefix: SecretPrefix

  constructor(secrets: Pick<Secrets, 'toRow'>, prefix: SecretPrefix) {
    this.#secrets = secrets
    this.#prefix = prefix
  }

  /** A new secret, and the row that stores it. */
  async create(holder_id: string): Promise<{ secret: string; row: SecretRow }> {
    const secret = newSecret(this.#prefix)
    return { secret, row: await this.#secrets.toRow(holder_id, secret) }
  }

  /**
   * Gives a holder a new secret.
   * @param replace the act that stores the new secret and ends the old one at `endOld`
   */
  async rotate(
    holder_id: string,
    { overlap = 0, compromised = false }: SecretRotation,
    replace: (row: SecretRow, endOld: number, compromised: boolean) => Promise<void>,
  ): Promise<string> {
    const { secret, row } = await this.create(holder_id)
    await replace(row, row.created_at + overlap, compromised)
    return secret
  }
}
