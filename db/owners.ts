import { type Act, all, db, one, statement } from './statement.ts'
import type { OwnerRow } from './tables.ts'

/** A person. */
export interface Owner extends Omit<OwnerRow, 'email_verified' | 'operator' | 'mail_sign_in'> {
  email_verified: boolean
  operator: boolean
  mail_sign_in: boolean
}
export type OwnerChange = Partial<
  Pick<Owner, 'name' | 'operator' | 'mail_sign_in' | 'email_verified' | 'disabled_at'>
>

const ownerById = statement<{ owner_id: string }>()((p) =>
  db.selectFrom('owners').selectAll().where('owner_id', '=', p.owner_id),
)

export function ownerFromRow(row: OwnerRow): Owner {
  return {
    ...row,
    email_verified: row.email_verified === 1,
    operator: row.operator === 1,
    mail_sign_in: row.mail_sign_in === 1,
  }
}

function toBit(value: boolean): number {
  return value ? 1 : 0
}

function toRow(owner: Owner): OwnerRow {
  return {
    ...owner,
    email_verified: toBit(owner.email_verified),
    operator: toBit(owner.operator),
    mail_sign_in: toBit(owner.mail_sign_in),
  }
}

/** Gives an owner with a verified address the agents that bear it and belong to nobody. */
function* claimAgents({ owner_id, email, email_verified }: Owner): Act<void> {
  if (!email_verified) return
  yield db
    .updateTable('agents')
    .set({ owner_id })
    .where('email', '=', email)
    .where('owner_id', 'is', null)
    .compile()
}

export const reads = {
  *find(owner_id: string): Act<Owner | undefined> {
    const row = yield* one(ownerById({ owner_id }))
    return row && ownerFromRow(row)
  },

  *findByEmail(email: string): Act<Owner | undefined> {
    const row = yield* one(db.selectFrom('owners').selectAll().where('email', '=', email).compile())
    return row && ownerFromRow(row)
  },

  *list(): Act<Owner[]> {
    const rows = yield* all(
      db.selectFrom('owners').selectAll().orderBy('created_at').orderBy('owner_id').compile(),
    )
    return rows.map(ownerFromRow)
  },
}

export const writes = {
  /** Makes an owner, unless the address has one. Of callers that race, one succeeds. */
  *create(owner: Owner): Act<boolean> {
    const row = yield* one(
      db
        .insertInto('owners')
        .values(toRow(owner))
        .onConflict((conflict) => conflict.doNothing())
        .returning('owner_id')
        .compile(),
    )
    if (row === undefined) return false
    yield* claimAgents(owner)
    return true
  },

  /** Changes what is named. A verified address brings the agents that bear it. */
  *update(owner_id: string, change: OwnerChange): Act<Owner | undefined> {
    const { email_verified, operator, mail_sign_in, ...rest } = change
    const row = yield* one(
      db
        .updateTable('owners')
        .set({
          ...rest,
          ...(email_verified !== undefined && { email_verified: toBit(email_verified) }),
          ...(operator !== undefined && { operator: toBit(operator) }),
          ...(mail_sign_in !== undefined && { mail_sign_in: toBit(mail_sign_in) }),
        })
        .where('owner_id', '=', owner_id)
        .returningAll()
        .compile(),
    )
    if (row === undefined) return undefined
    const owner = ownerFromRow(row)
    yield* claimAgents(owner)
    return owner
  },

  /** Removes the owner with sessions, passkeys and invitations; agents stay and belong to nobody. */
  *delete(owner_id: string): Act<boolean> {
    const row = yield* one(
      db.deleteFrom('owners').where('owner_id', '=', owner_id).returning('owner_id').compile(),
    )
    return row !== undefined
  },
}
