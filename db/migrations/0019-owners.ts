import type { Kysely } from 'kysely'

/**
 * Owners are persons: with passkeys, sessions, invitations, and the agents that are theirs. Agents of
 * before belong to nobody until their owner's address is verified.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('owners')
    .addColumn('owner_id', 'text', (column) => column.primaryKey())
    .addColumn('email', 'text', (column) => column.notNull().unique())
    .addColumn('email_verified', 'integer', (column) => column.notNull())
    .addColumn('name', 'text')
    .addColumn('operator', 'integer', (column) => column.notNull())
    .addColumn('mail_sign_in', 'integer', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('disabled_at', 'bigint')
    .execute()

  await db.schema
    .createTable('passkeys')
    .addColumn('credential_id', 'text', (column) => column.primaryKey())
    .addColumn('owner_id', 'text', (column) =>
      column.notNull().references('owners.owner_id').onDelete('cascade'),
    )
    .addColumn('public_key', 'text', (column) => column.notNull())
    .addColumn('sign_count', 'bigint', (column) => column.notNull())
    .addColumn('transports', 'text', (column) => column.notNull())
    .addColumn('rp_id', 'text', (column) => column.notNull())
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('last_used_at', 'bigint')
    .execute()

  await db.schema
    .createTable('passkey_challenges')
    .addColumn('challenge_hash', 'text', (column) => column.primaryKey())
    .addColumn('purpose', 'text', (column) => column.notNull())
    .addColumn('owner_id', 'text', (column) =>
      column.references('owners.owner_id').onDelete('cascade'),
    )
    .addColumn('subject', 'text')
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .execute()

  await db.schema
    .createTable('owner_sessions')
    .addColumn('session_hash', 'text', (column) => column.primaryKey())
    .addColumn('session_id', 'text', (column) => column.notNull().unique())
    .addColumn('owner_id', 'text', (column) =>
      column.notNull().references('owners.owner_id').onDelete('cascade'),
    )
    .addColumn('method', 'text', (column) => column.notNull())
    .addColumn('browser', 'text')
    .addColumn('address', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('seen_at', 'bigint', (column) => column.notNull())
    .addColumn('authenticated_at', 'bigint', (column) => column.notNull())
    .addColumn('passkey_at', 'bigint')
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .execute()

  await db.schema
    .createTable('owner_invitations')
    .addColumn('token_hash', 'text', (column) => column.primaryKey())
    .addColumn('owner_id', 'text', (column) =>
      column.notNull().references('owners.owner_id').onDelete('cascade'),
    )
    .addColumn('verifies_email', 'integer', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .execute()

  await db.schema
    .createTable('owner_mail_codes')
    .addColumn('owner_id', 'text', (column) =>
      column.notNull().references('owners.owner_id').onDelete('cascade'),
    )
    .addColumn('browser_hash', 'text', (column) => column.notNull())
    .addColumn('code_hash', 'text', (column) => column.notNull())
    .addColumn('tries_left', 'integer', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('owner_mail_codes_pk', ['owner_id', 'browser_hash'])
    .execute()

  for (const table of ['passkeys', 'owner_sessions', 'owner_invitations', 'passkey_challenges']) {
    await db.schema.createIndex(`${table}_owner_id`).on(table).column('owner_id').execute()
  }
  for (const table of [
    'passkey_challenges',
    'owner_sessions',
    'owner_invitations',
    'owner_mail_codes',
  ]) {
    await db.schema.createIndex(`${table}_expires_at`).on(table).column('expires_at').execute()
  }

  await db.schema
    .alterTable('agents')
    .addColumn('owner_id', 'text', (column) =>
      column.references('owners.owner_id').onDelete('set null'),
    )
    .execute()
  await db.schema.createIndex('agents_owner_id').on('agents').column('owner_id').execute()
  await db.schema.createIndex('agents_email').on('agents').column('email').execute()
  // No foreign key: the trail keeps what an owner did who is gone.
  await db.schema.alterTable('events').addColumn('owner_id', 'text').execute()
  await db.schema
    .createIndex('events_owner_id')
    .on('events')
    .columns(['owner_id', 'at'])
    .where('owner_id', 'is not', null)
    .execute()
}
