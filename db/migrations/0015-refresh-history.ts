import type { Kysely } from 'kysely'

/** A used refresh token may come again, from another process of one host. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('clients').addColumn('refresh_reuse', 'text').execute()
  await db.schema.alterTable('grants').addColumn('refresh_history', 'text').execute()
}
