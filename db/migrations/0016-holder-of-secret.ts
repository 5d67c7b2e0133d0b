import type { Kysely } from 'kysely'

/** A secret's holder is a client, an agent or a resource. An owner is a person. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('secrets').renameColumn('owner_id', 'holder_id').execute()
}
