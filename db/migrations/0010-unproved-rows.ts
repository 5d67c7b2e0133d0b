import { type Kysely, sql } from 'kysely'

/**
 * What strangers had stored and no agent has signed in with is marked with the time at which it goes,
 * so that it can be counted and removed by small indexes. What was stored before keeps its time.
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
