import { type Kysely, sql } from 'kysely'

/**
 * What a person decides at the waiting page: consents, the proofs of the passkey, how the person of a
 * grant signed in, and for how long. `subject` says whom a website knows: the agent or its owner.
 * `approval` says what answers for an agent that has to ask: a mailed code, or its owner's passkey.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  const { schema } = db
  await schema
    .alterTable('clients')
    .addColumn('subject', 'text', (column) => column.notNull().defaultTo('agent'))
    .execute()

  await schema
    .alterTable('authorization_requests')
    .renameColumn('hinted_agent_id', 'hinted_sub')
    .execute()
  await schema.alterTable('authorization_requests').addColumn('login_hint', 'text').execute()
  await schema.alterTable('authorization_requests').addColumn('denied_at', 'bigint').execute()

  await schema
    .alterTable('grants')
    .addColumn('owner_id', 'text', (column) =>
      column.references('owners.owner_id').onDelete('cascade'),
    )
    .execute()
  await schema.alterTable('grants').addColumn('subject', 'text').execute()
  await schema.alterTable('grants').addColumn('auth_time', 'bigint').execute()
  await schema.alterTable('grants').addColumn('acr', 'text').execute()
  await schema.alterTable('grants').addColumn('ends_at', 'bigint').execute()
  await schema
    .alterTable('grants')
    .addColumn('refreshable', 'integer', (column) => column.notNull().defaultTo(1))
    .execute()
  await schema
    .createIndex('grants_owner_id')
    .on('grants')
    .column('owner_id')
    .where(sql.ref('owner_id'), 'is not', null)
    .execute()

  await schema
    .alterTable('agent_policies')
    .addColumn('approval', 'text', (column) => column.notNull().defaultTo('mail'))
    .execute()
  await schema
    .alterTable('approvals')
    .addColumn('answered_by', 'text', (column) => column.notNull().defaultTo('code'))
    .execute()

  await schema
    .createTable('consent_proofs')
    .addColumn('grant_id', 'text', (column) =>
      column.primaryKey().references('grants.grant_id').onDelete('cascade'),
    )
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('proof', 'text', (column) => column.notNull())
    .execute()

  await schema
    .createTable('remembered_consents')
    .addColumn('grant_id', 'text', (column) => column.primaryKey())
    .addColumn('owner_id', 'text', (column) =>
      column.notNull().references('owners.owner_id').onDelete('cascade'),
    )
    .addColumn('agent_id', 'text', (column) =>
      column.notNull().references('agents.agent_id').onDelete('cascade'),
    )
    .addColumn('client_id', 'text', (column) =>
      column.notNull().references('clients.client_id').onDelete('cascade'),
    )
    .addColumn('redirect_host', 'text', (column) => column.notNull())
    .addColumn('scope', 'text', (column) => column.notNull())
    .addColumn('resource', 'text')
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('proof', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('ends_at', 'bigint')
    .execute()
  await schema
    .createIndex('remembered_consents_owner_id_client_id')
    .on('remembered_consents')
    .columns(['owner_id', 'client_id'])
    .execute()
  for (const column of ['agent_id', 'client_id', 'ends_at']) {
    await schema
      .createIndex(`remembered_consents_${column}`)
      .on('remembered_consents')
      .column(column)
      .execute()
  }
}
