import type { Kysely } from 'kysely'

/** Whether the operator vouches for an owner's e-mail address; false for existing agents. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('agents')
    .addColumn('email_verified', 'integer', (column) => column.notNull().defaultTo(0))
    .execute()
}
