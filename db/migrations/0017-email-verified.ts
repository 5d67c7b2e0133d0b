import type { Kysely } from 'kysely'

/** Whether somebody vouches for an owner's e-mail address: nobody did so far. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('agents')
    .addColumn('email_verified', 'integer', (column) => column.notNull().defaultTo(0))
    .execute()
}
