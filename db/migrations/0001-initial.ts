import type { Kysely } from 'kysely'

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('clients')
    .addColumn('client_id', 'text', (column) => column.primaryKey())
    .addColumn('client_name', 'text', (column) => column.notNull())
    .addColumn('redirect_uris', 'text', (column) => column.notNull())
    .addColumn('grant_types', 'text', (column) => column.notNull())
    .addColumn('token_endpoint_auth_method', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('disabled_at', 'bigint')
    .execute()

  await db.schema
    .createTable('agents')
    .addColumn('agent_id', 'text', (column) => column.primaryKey())
    .addColumn('email', 'text', (column) => column.notNull())
    .addColumn('name', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('disabled_at', 'bigint')
    .execute()

  await db.schema
    .createTable('secrets')
    .addColumn('owner_id', 'text', (column) => column.notNull())
    .addColumn('hint', 'text', (column) => column.notNull())
    .addColumn('bcrypt_hash', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint')
    .addPrimaryKeyConstraint('secrets_pk', ['owner_id', 'hint'])
    .execute()

  await db.schema
    .createTable('grants')
    .addColumn('grant_id', 'text', (column) => column.primaryKey())
    .addColumn('client_id', 'text', (column) =>
      column.notNull().references('clients.client_id').onDelete('cascade'),
    )
    .addColumn('agent_id', 'text', (column) =>
      column.notNull().references('agents.agent_id').onDelete('cascade'),
    )
    .addColumn('model', 'text', (column) => column.notNull())
    .addColumn('scope', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .addColumn('refresh_generation', 'integer')
    .addColumn('refreshed_at', 'bigint')
    .addColumn('revoked_at', 'bigint')
    .execute()
  for (const column of ['client_id', 'agent_id', 'expires_at']) {
    await db.schema.createIndex(`grants_${column}`).on('grants').column(column).execute()
  }

  await db.schema
    .createTable('authorization_requests')
    .addColumn('request_id', 'text', (column) => column.primaryKey())
    .addColumn('client_id', 'text', (column) =>
      column.notNull().references('clients.client_id').onDelete('cascade'),
    )
    .addColumn('redirect_uri', 'text', (column) => column.notNull())
    .addColumn('scope', 'text', (column) => column.notNull())
    .addColumn('state', 'text')
    .addColumn('nonce', 'text')
    .addColumn('code_challenge', 'text', (column) => column.notNull())
    .addColumn('browser_hash', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .addColumn('grant_id', 'text')
    .addColumn('code_expires_at', 'bigint')
    .addColumn('completed_at', 'bigint')
    .addColumn('redeemed_at', 'bigint')
    .execute()
  for (const column of ['client_id', 'grant_id', 'expires_at']) {
    await db.schema
      .createIndex(`authorization_requests_${column}`)
      .on('authorization_requests')
      .column(column)
      .execute()
  }

  await db.schema
    .createTable('revoked_access_tokens')
    .addColumn('jti', 'text', (column) => column.primaryKey())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createIndex('revoked_access_tokens_expires_at')
    .on('revoked_access_tokens')
    .column('expires_at')
    .execute()

  await db.schema
    .createTable('signing_keys')
    .addColumn('kid', 'text', (column) => column.primaryKey())
    .addColumn('alg', 'text', (column) => column.notNull())
    .addColumn('public_jwk', 'text', (column) => column.notNull())
    .addColumn('private_jwk_encrypted', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('active_from', 'bigint', (column) => column.notNull())
    .addColumn('remove_at', 'bigint')
    .execute()
}
