import type { Kysely } from 'kysely'

/** Clients with keys, clients that act for themselves, and clients that register themselves. */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const column of ['scope', 'jwks', 'jwks_uri', 'application_type'] as const) {
    await db.schema.alterTable('clients').addColumn(column, 'text').execute()
  }
  await db.schema
    .alterTable('clients')
    .addColumn('origin', 'text', (column) => column.notNull().defaultTo('operator'))
    .execute()
  await db.schema.alterTable('clients').addColumn('registration_token_hash', 'text').execute()
  await db.schema.alterTable('clients').addColumn('in_use_at', 'bigint').execute()
  await db.schema.alterTable('clients').addColumn('tokens_not_before', 'bigint').execute()
  await db.schema.createIndex('clients_in_use_at').on('clients').column('in_use_at').execute()

  await db.schema
    .createTable('client_assertions')
    .addColumn('client_id', 'text', (column) => column.notNull())
    .addColumn('jti', 'text', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('client_assertions_pk', ['client_id', 'jti'])
    .execute()
  await db.schema
    .createTable('remote_documents')
    .addColumn('url', 'text', (column) => column.primaryKey())
    .addColumn('body', 'text', (column) => column.notNull())
    .addColumn('fetched_at', 'bigint', (column) => column.notNull())
    .addColumn('fresh_until', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createTable('initial_access_tokens')
    .addColumn('token_id', 'text', (column) => column.primaryKey())
    .addColumn('token_hash', 'text', (column) => column.notNull().unique())
    .addColumn('name', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint')
    .execute()
  for (const table of ['client_assertions', 'remote_documents', 'initial_access_tokens']) {
    await db.schema.createIndex(`${table}_expires_at`).on(table).column('expires_at').execute()
  }
}
