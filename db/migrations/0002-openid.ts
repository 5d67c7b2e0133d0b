import type { Kysely } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .alterTable('clients')
    .addColumn('id_token_signed_response_alg', 'text', (column) =>
      column.notNull().defaultTo('RS256'),
    )
    .execute()
  await db.schema.alterTable('clients').addColumn('refresh_reuse_grace', 'integer').execute()

  await db.schema
    .alterTable('authorization_requests')
    .addColumn('response_mode', 'text', (column) => column.notNull().defaultTo('query'))
    .execute()
  await db.schema
    .alterTable('authorization_requests')
    .addColumn('hinted_agent_id', 'text')
    .execute()

  await db.schema
    .alterTable('grants')
    .addColumn('amr', 'text', (column) => column.notNull().defaultTo('agent_secret'))
    .execute()
}
