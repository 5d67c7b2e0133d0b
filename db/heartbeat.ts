import { type Act, db } from './statement.ts'

export const reads = {}

export const writes = {
  /** Writes the only row. Only a write shows that the database can be written. */
  *beat(at: number): Act<void> {
    yield db
      .insertInto('heartbeat')
      .values({ id: 1, at })
      .onConflict((conflict) => conflict.column('id').doUpdateSet({ at }))
      .compile()
  },
}
