import { type Act, db, one, statement } from './statement.ts'

const insertJti = statement<{ client_id: string; jti: string; expires_at: number }>()((p) =>
  db
    .insertInto('client_assertions')
    .values({ client_id: p.client_id, jti: p.jti, expires_at: p.expires_at })
    .onConflict((conflict) => conflict.doNothing())
    .returning('jti'),
)

export const reads = {}

export const writes = {
  /** Records the `jti` of a client's assertion. Returns true to the first caller only. */
  *use(client_id: string, jti: string, expires_at: number): Act<boolean> {
    return (yield* one(insertJti({ client_id, jti, expires_at }))) !== undefined
  },
}
