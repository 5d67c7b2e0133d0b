import type { Kysely } from 'kysely'

/** Renames the holder of a secret (a client, agent or resource): an owner is a person. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('secrets').renameColumn('owner_id', 'holder_id').execute()
}
