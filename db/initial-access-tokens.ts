import { type Act, all, db, one, statement } from './statement.ts'
import type { InitialAccessTokenRow } from './tables.ts'

/** A token that allows its holder to register clients (RFC 7591 section 3). */
export type InitialAccessToken = InitialAccessTokenRow

const liveToken = statement<{ token_hash: string; now: number }>()((p) =>
  db
    .selectFrom('initial_access_tokens')
    .select('token_id')
    .where('token_hash', '=', p.token_hash)
    .where((eb) => eb.or([eb('expires_at', 'is', null), eb('expires_at', '>', p.now)])),
)

export const reads = {
  *isLive(token_hash: string, now: number): Act<boolean> {
    return (yield* one(liveToken({ token_hash, now }))) !== undefined
  },

  *list(): Act<Omit<InitialAccessToken, 'token_hash'>[]> {
    return yield* all(
      db
        .selectFrom('initial_access_tokens')
        .select(['token_id', 'name', 'created_at', 'expires_at'])
        .orderBy('created_at')
        .orderBy('token_id')
        .compile(),
    )
  },
}

export const writes = {
  *create(token: InitialAccessToken): Act<void> {
    yield db.insertInto('initial_access_tokens').values(token).compile()
  },

  *delete(token_id: string): Act<boolean> {
    const row = yield* one(
      db
        .deleteFrom('initial_access_tokens')
        .where('token_id', '=', token_id)
        .returning('token_id')
        .compile(),
    )
    return row !== undefined
  },
}
