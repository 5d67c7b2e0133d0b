import type { Kysely } from 'kysely'

/**
 * Every asking for a mailed code is a row, also for an address that nobody has: so both are the same
 * work, and the rows bound askings and guesses for an address. The table of before was never written.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropTable('owner_mail_codes').execute()
  await db.schema
    .createTable('owner_mail_codes')
    .addColumn('code_id', 'text', (column) => column.primaryKey())
    .addColumn('purpose', 'text', (column) => column.notNull())
    .addColumn('email', 'text', (column) => column.notNull())
    .addColumn('browser_hash', 'text', (column) => column.notNull())
    .addColumn('code_hash', 'text', (column) => column.notNull())
    .addColumn('mailed', 'integer', (column) => column.notNull())
    .addColumn('tries_left', 'integer', (column) => column.notNull())
    .addColumn('wrong', 'integer', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createIndex('owner_mail_codes_email')
    .on('owner_mail_codes')
    .columns(['email', 'created_at'])
    .execute()
  await db.schema
    .createIndex('owner_mail_codes_browser')
    .on('owner_mail_codes')
    .column('browser_hash')
    .execute()
  await db.schema
    .createIndex('owner_mail_codes_created_at')
    .on('owner_mail_codes')
    .column('created_at')
    .execute()
}
