import type { Kysely } from 'kysely'

/** The operator's changes to a client that the operator did not register, kept when the client changes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('clients').addColumn('operator_change', 'text').execute()
}
