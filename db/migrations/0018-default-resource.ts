import type { Kysely } from 'kysely'

/** What the tokens of a client are for whose software cannot send `resource`. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('clients').addColumn('default_resource', 'text').execute()
}
