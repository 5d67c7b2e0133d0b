import { type Act, db } from './statement.ts'

export const reads = {}

export const writes = {
  /** Writes the one row there is: nothing but a write shows that the disk takes one. */
  *beat(at: number): Act<void> {
    yield db
      .insertInto('heartbeat')
      .values({ id: 1, at })
      .onConflict((conflict) => conflict.column('id').doUpdateSet({ at }))
      .compile()
  },
}
