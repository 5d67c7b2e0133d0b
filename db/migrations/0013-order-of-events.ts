import type { Kysely } from 'kysely'

/**
 * The order in which events of one second were recorded, across processes, and an index for the removal
 * of old events.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('events')
    .addColumn('position', 'bigint', (column) => column.notNull().defaultTo(0))
    .execute()
  await db.schema.dropIndex('events_at').execute()
  await db.schema.createIndex('events_at').on('events').columns(['at', 'position']).execute()
  await db.schema.dropIndex('clients_in_use_at').execute()
  await db.schema
    .createIndex('clients_in_use_at')
    .on('clients')
    .columns(['origin', 'in_use_at'])
    .execute()
  await db.schema.createIndex('secrets_expires_at').on('secrets').column('expires_at').execute()
}
