import type { Kysely } from 'kysely'

/**
 * What owners see and stop of their agents' sign-ins is found in order of its age, of one agent and of
 * one agent at one website; and what a passkey signed when an owner approved is kept with its event.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropIndex('grants_agent_id').execute()
  await db.schema
    .createIndex('grants_agent_id')
    .on('grants')
    .columns(['agent_id', 'revoked_at', 'created_at'])
    .execute()
  await db.schema.dropIndex('grants_client_id').execute()
  await db.schema
    .createIndex('grants_client_id')
    .on('grants')
    .columns(['client_id', 'agent_id', 'revoked_at', 'created_at'])
    .execute()

  await db.schema
    .createTable('approval_proofs')
    .addColumn('event_id', 'text', (column) =>
      column.primaryKey().references('events.event_id').onDelete('cascade'),
    )
    .addColumn('request_id', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('proof', 'text', (column) => column.notNull())
    .execute()
}
