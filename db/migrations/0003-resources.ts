import type { Kysely } from 'kysely'

/** Protected resources (RFC 8707), and those that a request asked for and a grant has. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('resources')
    .addColumn('resource_id', 'text', (column) => column.primaryKey())
    .addColumn('uri', 'text', (column) => column.notNull())
    .addColumn('normal_uri', 'text', (column) => column.notNull().unique())
    .addColumn('name', 'text')
    .addColumn('scopes', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema.alterTable('authorization_requests').addColumn('resource', 'text').execute()
  await db.schema.alterTable('grants').addColumn('resource', 'text').execute()
}
