import { type Act, all, db, pick, statement } from './statement.ts'
import type { SecretRow } from './tables.ts'

const columns = [
  'holder_id',
  'hint',
  'bcrypt_hash',
  'created_at',
  'expires_at',
] as const satisfies (keyof SecretRow)[]

const insertSecret = statement<SecretRow>()((p) =>
  db.insertInto('secrets').values(pick(p, columns)),
)

/** By the primary key's first column. */
const liveSecrets = statement<{ holder_id: string; now: number }>()((p) =>
  db
    .selectFrom('secrets')
    .select(['hint', 'bcrypt_hash'])
    .where('holder_id', '=', p.holder_id)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', p.now)])),
)

const endSecrets = statement<{ holder_id: string; at: number }>()((p) =>
  db
    .updateTable('secrets')
    .set({ expires_at: p.at })
    .where('holder_id', '=', p.holder_id)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', p.at)])),
)

const deleteSecrets = statement<{ holder_id: string }>()((p) =>
  db.deleteFrom('secrets').where('holder_id', '=', p.holder_id),
)

export type LiveSecret = Pick<SecretRow, 'hint' | 'bcrypt_hash'>

export function* addSecret(secret: SecretRow): Act<void> {
  yield insertSecret(secret)
}

export function* findLiveSecrets(holder_id: string, now: number): Act<LiveSecret[]> {
  return yield* all(liveSecrets({ holder_id, now }))
}

/**
 * Replaces the secrets of a holder; the old ones stay valid until `endOld`, in epoch seconds. Secrets that
 * end at once are deleted, so that setting the clock back does not make them valid again.
 */
export function* replaceSecret(secret: SecretRow, endOld: number): Act<void> {
  const { holder_id, created_at } = secret
  if (endOld > created_at) yield endSecrets({ holder_id, at: endOld })
  else yield deleteSecrets({ holder_id })
  yield insertSecret(secret)
}

export function* removeSecrets(holder_id: string): Act<void> {
  yield deleteSecrets({ holder_id })
}
