import type { Kysely } from 'kysely'

/**
 * The algorithm that signs access tokens for a resource (null for the server's ACCESS_TOKEN_ALG), and
 * the versions of this program that have migrated the tables.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('resources').addColumn('access_token_alg', 'text').execute()
  await db.schema
    .createTable('versions')
    .addColumn('number', 'integer', (column) => column.notNull().primaryKey())
    .addColumn('version', 'text', (column) => column.notNull())
    .execute()
}
