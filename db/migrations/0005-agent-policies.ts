import type { CreateTableBuilder, Kysely } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.alterTable('authorization_requests').addColumn('deliver', 'text').execute()

  await ofAgent(db.schema.createTable('agent_keys'))
    .addColumn('kid', 'text', (column) => column.notNull())
    .addColumn('alg', 'text', (column) => column.notNull())
    .addColumn('public_jwk', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('agent_keys_pk', ['agent_id', 'kid'])
    .execute()

  await ofAgent(db.schema.createTable('used_assertions'))
    .addColumn('jti', 'text', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('used_assertions_pk', ['agent_id', 'jti'])
    .execute()
  await db.schema
    .createIndex('used_assertions_expires_at')
    .on('used_assertions')
    .column('expires_at')
    .execute()

  await ofAgent(db.schema.createTable('agent_policies'))
    .addColumn('sites', 'text', (column) => column.notNull())
    .addColumn('remember_sites', 'integer', (column) => column.notNull())
    .addColumn('deliver', 'text', (column) => column.notNull())
    .addColumn('secret', 'text', (column) => column.notNull())
    .addColumn('allowed_models', 'text', (column) => column.notNull())
    .addColumn('refused_models', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('agent_policies_pk', ['agent_id'])
    .execute()

  await ofAgent(db.schema.createTable('agent_sites'))
    .addColumn('site', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('agent_sites_pk', ['agent_id', 'site'])
    .execute()

  await db.schema
    .createTable('client_policies')
    .addColumn('client_id', 'text', (column) =>
      column.primaryKey().references('clients.client_id').onDelete('cascade'),
    )
    .addColumn('allowed_models', 'text', (column) => column.notNull())
    .addColumn('refused_models', 'text', (column) => column.notNull())
    .execute()

  await ofAgent(
    db.schema
      .createTable('approvals')
      .addColumn('request_id', 'text', (column) =>
        column.primaryKey().references('authorization_requests.request_id').onDelete('cascade'),
      ),
  )
    .addColumn('model', 'text', (column) => column.notNull())
    .addColumn('deliver', 'text')
    .addColumn('method', 'text', (column) => column.notNull())
    .addColumn('code_hash', 'text', (column) => column.notNull())
    .addColumn('tries_left', 'integer', (column) => column.notNull())
    .addColumn('status', 'text', (column) => column.notNull())
    .addColumn('remember', 'integer', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createIndex('approvals_agent_id')
    .on('approvals')
    .columns(['agent_id', 'created_at'])
    .execute()

  // No foreign keys: events are kept when their agent or client is deleted.
  await db.schema
    .createTable('events')
    .addColumn('event_id', 'text', (column) => column.primaryKey())
    .addColumn('at', 'bigint', (column) => column.notNull())
    .addColumn('event', 'text', (column) => column.notNull())
    .addColumn('outcome', 'text', (column) => column.notNull())
    .addColumn('agent_id', 'text')
    .addColumn('client_id', 'text')
    .addColumn('model', 'text')
    .addColumn('method', 'text')
    .addColumn('address', 'text')
    .addColumn('detail', 'text')
    .execute()
  await db.schema.createIndex('events_at').on('events').column('at').execute()
  await db.schema.createIndex('events_agent_id').on('events').columns(['agent_id', 'at']).execute()
}

function ofAgent<Name extends string, Columns extends string>(
  table: CreateTableBuilder<Name, Columns>,
) {
  return table.addColumn('agent_id', 'text', (column) =>
    column.notNull().references('agents.agent_id').onDelete('cascade'),
  )
}
