import { type Act, all, db, statement } from './statement.ts'
import type { LogoutNoticeRow } from './tables.ts'

/** That a client has yet to be told of the end of a sign-in (OpenID Connect Back-Channel Logout 1.0). */
export type LogoutNotice = LogoutNoticeRow

/** The sign-ins that end: those to which everything that is named applies. */
interface Ending {
  grant_id?: string | undefined
  agent_id?: string | undefined
  client_id?: string | undefined
}

const living = (now: number) =>
  db
    .selectFrom('grants')
    .select((eb) => [
      'grant_id',
      'client_id',
      eb.fn.coalesce('subject', 'agent_id').as('sub'),
      eb.val(0).as('attempts'),
      eb.val(now).as('next_at'),
    ])
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', now)
    .where((eb) =>
      eb.exists(
        eb
          .selectFrom('clients')
          .select('clients.client_id')
          .whereRef('clients.client_id', '=', 'grants.client_id')
          .where('clients.backchannel_logout_uri', 'is not', null),
      ),
    )

/** Has the clients told of sign-ins that the same act is about to end, where they asked for that. */
export function* noticeLogouts({ grant_id, agent_id, client_id }: Ending, now: number): Act<void> {
  let ending = living(now)
  if (grant_id !== undefined) ending = ending.where('grant_id', '=', grant_id)
  if (agent_id !== undefined) ending = ending.where('agent_id', '=', agent_id)
  if (client_id !== undefined) ending = ending.where('client_id', '=', client_id)
  yield db
    .insertInto('logout_notices')
    .columns(['grant_id', 'client_id', 'sub', 'attempts', 'next_at'])
    .expression(ending)
    .onConflict((conflict) => conflict.doNothing())
    .compile()
}

const claimDue = statement<{ now: number; until: number; limit: number }>()((p) =>
  db
    .updateTable('logout_notices')
    .set((eb) => ({ attempts: eb('attempts', '+', 1), next_at: p.until }))
    .where('grant_id', 'in', (eb) =>
      eb
        .selectFrom('logout_notices')
        .select('grant_id')
        .where('next_at', '<=', p.now)
        .orderBy('next_at')
        .limit(p.limit),
    )
    // Decides between processes that found the same notice.
    .where('next_at', '<=', p.now)
    .returningAll(),
)

export const reads = {
  /** Whether a client has to be told something by then, by the index on `next_at`. */
  *isDue(now: number): Act<boolean> {
    const rows = yield* all(
      db
        .selectFrom('logout_notices')
        .select('grant_id')
        .where('next_at', '<=', now)
        .limit(1)
        .compile(),
    )
    return rows.length > 0
  },
}

export const writes = {
  /** Takes notices that are due; nobody else has them until then. */
  *claim(now: number, until: number, limit: number): Act<LogoutNotice[]> {
    return yield* all(claimDue({ now, until, limit }))
  },

  /** Has the client told again at that time. */
  *postpone(grant_id: string, next_at: number, attempts: number): Act<void> {
    yield db
      .updateTable('logout_notices')
      .set({ next_at, attempts })
      .where('grant_id', '=', grant_id)
      .compile()
  },

  /** The client was told, or cannot be. */
  *delete(grant_id: string): Act<void> {
    yield db.deleteFrom('logout_notices').where('grant_id', '=', grant_id).compile()
  },
}
