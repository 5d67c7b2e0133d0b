import { type Kysely, sql } from 'kysely'

/**
 * Rows of strangers without a sign-in get the time of their removal, so that small indexes suffice to
 * count and remove them. Existing rows are not marked.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  for (const table of ['clients', 'remote_documents']) {
    await db.schema.alterTable(table).addColumn('unproved_until', 'bigint').execute()
    await db.schema
      .createIndex(`${table}_unproved_until`)
      .on(table)
      .column('unproved_until')
      .where(sql.ref('unproved_until'), 'is not', null)
      .execute()
  }
  await db.schema
    .createIndex('clients_jwks_uri')
    .on('clients')
    .column('jwks_uri')
    .where(sql.ref('jwks_uri'), 'is not', null)
    .execute()
  await db.schema
    .createIndex('authorization_requests_unproved')
    .on('authorization_requests')
    .columns(['grant_id', 'expires_at'])
    .where(sql.ref('grant_id'), 'is', null)
    .execute()
}
