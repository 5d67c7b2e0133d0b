import { type Kysely, sql } from 'kysely'

/** Who may ask for an API, and from which network a sign-in was opened and approval asked. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('resources')
    .addColumn('open_to', 'text', (column) => column.notNull().defaultTo(sql`'registered'`))
    .execute()
  await db.schema.alterTable('authorization_requests').addColumn('opened_from', 'text').execute()
  await db.schema.alterTable('approvals').addColumn('address', 'text').execute()
}
