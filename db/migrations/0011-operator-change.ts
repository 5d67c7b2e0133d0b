import type { Kysely } from 'kysely'

/** What the operator changed on a client that he did not register stays when the client changes. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('clients').addColumn('operator_change', 'text').execute()
}
