import { type Owner, ownerFromRow } from './owners.ts'
import { type Act, all, db, one, statement } from './statement.ts'
import type { OwnerSessionRow } from './tables.ts'

export type OwnerSession = OwnerSessionRow

/** How long a session can live, in seconds. */
export interface SessionLimits {
  /** Without being used. */
  idle: number
}

const sessionByHash = statement<{ session_hash: string }>()((p) =>
  db.selectFrom('owner_sessions').selectAll().where('session_hash', '=', p.session_hash),
)

const liveOwner = statement<{ owner_id: string }>()((p) =>
  db
    .selectFrom('owners')
    .selectAll()
    .where('owner_id', '=', p.owner_id)
    .where('disabled_at', 'is', null),
)

export const reads = {
  /** A session that has not ended, with its owner, who is not disabled. */
  *find(
    session_hash: string,
    now: number,
    { idle }: SessionLimits,
  ): Act<{ session: OwnerSession; owner: Owner } | undefined> {
    const session = yield* one(sessionByHash({ session_hash }))
    if (session === undefined || session.expires_at <= now) return undefined
    if (session.seen_at + idle <= now) return undefined
    const row = yield* one(liveOwner(session))
    return row && { session, owner: ownerFromRow(row) }
  },

  /** The sessions of an owner that have not ended, the newest first. */
  *listOfOwner(owner_id: string, now: number, { idle }: SessionLimits): Act<OwnerSession[]> {
    return yield* all(
      db
        .selectFrom('owner_sessions')
        .selectAll()
        .where('owner_id', '=', owner_id)
        .where('expires_at', '>', now)
        .where('seen_at', '>', now - idle)
        .orderBy('created_at', 'desc')
        .orderBy('session_id')
        .compile(),
    )
  },
}

export const writes = {
  /** Begins a session; `replaced` is the hash of the one that the browser had, which ends. */
  *start(session: OwnerSession, replaced?: string): Act<boolean> {
    if (replaced !== undefined) {
      yield db.deleteFrom('owner_sessions').where('session_hash', '=', replaced).compile()
    }
    if ((yield* one(liveOwner(session))) === undefined) return false
    yield db.insertInto('owner_sessions').values(session).compile()
    return true
  },

  /** Notes that a session is in use. */
  *touch(session_hash: string, now: number): Act<void> {
    yield db
      .updateTable('owner_sessions')
      .set({ seen_at: now })
      .where('session_hash', '=', session_hash)
      .where('seen_at', '<', now)
      .compile()
  },

  /** Notes that the owner has proved to be there, with a passkey or otherwise. */
  *prove(session_hash: string, now: number, passkey: boolean): Act<void> {
    yield db
      .updateTable('owner_sessions')
      .set({ authenticated_at: now, ...(passkey && { passkey_at: now }) })
      .where('session_hash', '=', session_hash)
      .compile()
  },

  /** Ends one session of an owner. Tells whether it was there. */
  *end(owner_id: string, session_id: string): Act<boolean> {
    const row = yield* one(
      db
        .deleteFrom('owner_sessions')
        .where('session_id', '=', session_id)
        .where('owner_id', '=', owner_id)
        .returning('session_id')
        .compile(),
    )
    return row !== undefined
  },

  /** Ends all sessions of an owner but the one that is named. */
  *endAll(owner_id: string, kept_session_id?: string): Act<void> {
    let query = db.deleteFrom('owner_sessions').where('owner_id', '=', owner_id)
    if (kept_session_id !== undefined) query = query.where('session_id', '!=', kept_session_id)
    yield query.compile()
  },
}
