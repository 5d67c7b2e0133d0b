import { type Act, all, db, statement } from './statement.ts'
import type { SecretRow } from './tables.ts'

const insertSecret = statement<SecretRow>()((p) =>
  db.insertInto('secrets').values({
    owner_id: p.owner_id,
    hint: p.hint,
    bcrypt_hash: p.bcrypt_hash,
    created_at: p.created_at,
    expires_at: p.expires_at,
  }),
)

/** By the primary key's first column. */
const liveSecrets = statement<{ owner_id: string; now: number }>()((p) =>
  db
    .selectFrom('secrets')
    .select(['hint', 'bcrypt_hash'])
    .where('owner_id', '=', p.owner_id)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', p.now)])),
)

const endSecrets = statement<{ owner_id: string; at: number }>()((p) =>
  db
    .updateTable('secrets')
    .set({ expires_at: p.at })
    .where('owner_id', '=', p.owner_id)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', p.at)])),
)

const deleteSecrets = statement<{ owner_id: string }>()((p) =>
  db.deleteFrom('secrets').where('owner_id', '=', p.owner_id),
)

export type LiveSecret = Pick<SecretRow, 'hint' | 'bcrypt_hash'>

export function* addSecret(secret: SecretRow): Act<void> {
  yield insertSecret(secret)
}

export function* findLiveSecrets(owner_id: string, now: number): Act<LiveSecret[]> {
  return yield* all(liveSecrets({ owner_id, now }))
}

/**
 * Replaces the secrets of an owner; the old ones stay good until `endOld`, in epoch seconds. Those that
 * end at once are deleted, so that a clock that is set back does not make them good again.
 */
export function* replaceSecret(secret: SecretRow, endOld: number): Act<void> {
  const { owner_id, created_at } = secret
  if (endOld > created_at) yield endSecrets({ owner_id, at: endOld })
  else yield deleteSecrets({ owner_id })
  yield insertSecret(secret)
}

export function* removeSecrets(owner_id: string): Act<void> {
  yield deleteSecrets({ owner_id })
}
