import type { Kysely } from 'kysely'

/** The history by which a used refresh token is accepted from another process of the same host. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('clients').addColumn('refresh_reuse', 'text').execute()
  await db.schema.alterTable('grants').addColumn('refresh_history', 'text').execute()
}
