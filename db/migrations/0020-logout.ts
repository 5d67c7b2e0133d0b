import type { Kysely } from 'kysely'

/** Where clients are told and led to when a sign-in ends, and what they have yet to be told. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('clients')
    .addColumn('post_logout_redirect_uris', 'text', (column) => column.notNull().defaultTo('[]'))
    .execute()
  await db.schema.alterTable('clients').addColumn('backchannel_logout_uri', 'text').execute()
  // No foreign key to the grant or agent: the client is told after they are gone.
  await db.schema
    .createTable('logout_notices')
    .addColumn('grant_id', 'text', (column) => column.primaryKey())
    .addColumn('client_id', 'text', (column) =>
      column.notNull().references('clients.client_id').onDelete('cascade'),
    )
    .addColumn('sub', 'text', (column) => column.notNull())
    .addColumn('attempts', 'integer', (column) => column.notNull())
    .addColumn('next_at', 'bigint', (column) => column.notNull())
    .execute()
  for (const column of ['client_id', 'next_at']) {
    await db.schema
      .createIndex(`logout_notices_${column}`)
      .on('logout_notices')
      .column(column)
      .execute()
  }
}
