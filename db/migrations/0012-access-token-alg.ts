import type { Kysely } from 'kysely'

/**
 * What signs access tokens for a resource (null for the server's ACCESS_TOKEN_ALG), and which
 * versions of this program have brought the tables up to date.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('resources').addColumn('access_token_alg', 'text').execute()
  await db.schema
    .createTable('versions')
    .addColumn('number', 'integer', (column) => column.notNull().primaryKey())
    .addColumn('version', 'text', (column) => column.notNull())
    .execute()
}
