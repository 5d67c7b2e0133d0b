import { type Kysely, sql } from 'kysely'

/**
 * Remembered approvals hold what the owner was shown. An approval belongs to a request and an agent, and
 * has the time at which its mail was accepted. The counts of questions and guesses are in tables of
 * their own.
 */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('new_approvals')
    .addColumn('request_id', 'text', (column) =>
      column.notNull().references('authorization_requests.request_id').onDelete('cascade'),
    )
    .addColumn('agent_id', 'text', (column) =>
      column.notNull().references('agents.agent_id').onDelete('cascade'),
    )
    .addColumn('model', 'text', (column) => column.notNull())
    .addColumn('deliver', 'text')
    .addColumn('method', 'text', (column) => column.notNull())
    .addColumn('address', 'text')
    .addColumn('code_hash', 'text')
    .addColumn('tries_left', 'integer', (column) => column.notNull())
    .addColumn('unproved_tries_left', 'integer', (column) => column.notNull())
    .addColumn('status', 'text', (column) => column.notNull())
    .addColumn('remember', 'integer', (column) => column.notNull())
    .addColumn('mailed_at', 'bigint')
    .addColumn('mailing_until', 'bigint')
    .addColumn('mails_left', 'integer', (column) => column.notNull())
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .addColumn('expires_at', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('approvals_pk', ['request_id', 'agent_id'])
    .execute()
  // It is unknown whether their mail was accepted: it is sent again when the agent comes back.
  await sql`INSERT INTO new_approvals (request_id, agent_id, model, deliver, method, address, code_hash,
      tries_left, unproved_tries_left, status, remember, mails_left, created_at, expires_at)
    SELECT request_id, agent_id, model, deliver, method, address, NULL,
      tries_left, tries_left, status, remember, 3, created_at, expires_at FROM approvals`.execute(
    db,
  )
  await db.schema.dropTable('approvals').execute()
  await db.schema.alterTable('new_approvals').renameTo('approvals').execute()
  await db.schema.createIndex('approvals_agent_id').on('approvals').column('agent_id').execute()

  // No foreign key to a request or client: a count must stay when a stranger deletes these.
  await db.schema
    .createTable('approval_askings')
    .addColumn('asking_id', 'text', (column) => column.primaryKey())
    .addColumn('agent_id', 'text', (column) =>
      column.notNull().references('agents.agent_id').onDelete('cascade'),
    )
    .addColumn('request_id', 'text', (column) => column.notNull())
    .addColumn('asked_at', 'bigint', (column) => column.notNull())
    .execute()
  await db.schema
    .createIndex('approval_askings_agent_id')
    .on('approval_askings')
    .columns(['agent_id', 'asked_at'])
    .execute()
  await db.schema
    .createTable('approval_guesses')
    .addColumn('agent_id', 'text', (column) =>
      column.notNull().references('agents.agent_id').onDelete('cascade'),
    )
    .addColumn('proved', 'integer', (column) => column.notNull())
    .addColumn('since', 'bigint', (column) => column.notNull())
    .addColumn('wrong', 'integer', (column) => column.notNull())
    .addPrimaryKeyConstraint('approval_guesses_pk', ['agent_id', 'proved'])
    .execute()

  await db.schema
    .createTable('remembered_approvals')
    .addColumn('grant_id', 'text', (column) => column.primaryKey())
    .addColumn('agent_id', 'text', (column) =>
      column.notNull().references('agents.agent_id').onDelete('cascade'),
    )
    .addColumn('client_id', 'text', (column) =>
      column.notNull().references('clients.client_id').onDelete('cascade'),
    )
    .addColumn('redirect_host', 'text', (column) => column.notNull())
    .addColumn('scope', 'text', (column) => column.notNull())
    .addColumn('resource', 'text')
    .addColumn('created_at', 'bigint', (column) => column.notNull())
    .execute()
  for (const columns of [['agent_id', 'client_id'], ['client_id']]) {
    await db.schema
      .createIndex(`remembered_approvals_${columns[0]}`)
      .on('remembered_approvals')
      .columns(columns)
      .execute()
  }

  // Until now an approved site and one that the operator entered had the same row.
  // An agent without a policy has none that the operator entered.
  await sql`DELETE FROM agent_sites
    WHERE agent_id NOT IN (SELECT agent_id FROM agent_policies)`.execute(db)
  // An entry for a client that the operator did not register may come from an approval of less than it
  // allows, so the owner is asked once more. Entries of a `list` policy stay: it never asks the owner.
  await sql`DELETE FROM agent_sites
    WHERE (substr(site, 1, 7) = 'client_' OR site LIKE '%/%')
      AND site NOT IN (SELECT client_id FROM clients WHERE origin = 'operator')
      AND agent_id NOT IN (SELECT agent_id FROM agent_policies WHERE sites = 'list')`.execute(db)
}
