import { type Act, all, db, one } from './statement.ts'
import type { SigningKeyRow } from './tables.ts'

export type SigningKey = SigningKeyRow

/** In the order in which they succeeded one another. */
function* list(): Act<SigningKey[]> {
  return yield* all(
    db
      .selectFrom('signing_keys')
      .selectAll()
      .orderBy('remove_at', (order) => order.asc().nullsLast())
      .orderBy('active_from')
      .orderBy('kid')
      .compile(),
  )
}

export const reads = { list }

export const writes = {
  /** Adds the first key of its algorithm. Of concurrent callers, one succeeds. */
  *createFirst(key: SigningKey): Act<boolean> {
    const keys = yield* list()
    if (keys.some(({ alg, remove_at }) => alg === key.alg && remove_at === null)) return false
    yield db.insertInto('signing_keys').values(key).compile()
    return true
  },

  /**
   * Adds a key that succeeds `old`, which leaves the key set at `remove_at`. Of concurrent callers that
   * replace the same key, one succeeds.
   */
  *succeed(key: SigningKey, old: { kid: string; remove_at: number }): Act<boolean> {
    const replaced = yield* one(
      db
        .updateTable('signing_keys')
        .set({ remove_at: old.remove_at })
        .where('kid', '=', old.kid)
        .where('remove_at', 'is', null)
        .returning('kid')
        .compile(),
    )
    if (replaced === undefined) return false
    yield db.insertInto('signing_keys').values(key).compile()
    return true
  },
}
