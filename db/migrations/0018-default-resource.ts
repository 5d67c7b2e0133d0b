import type { Kysely } from 'kysely'

/** The resource for the tokens of clients whose software cannot send `resource`. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('clients').addColumn('default_resource', 'text').execute()
}
