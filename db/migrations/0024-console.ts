import { type Kysely, sql } from 'kysely'

/** What operators list, search and count, each by an index, whatever number of rows there is. */
export async function up(db: Kysely<unknown>): Promise<void> {
  // With all that is counted, so that counting reads the index alone.
  await db.schema
    .createIndex('events_event')
    .on('events')
    .columns(['event', 'at', 'position', 'outcome', 'client_id', 'model'])
    .execute()
  // Refusals are few among what was granted.
  await db.schema
    .createIndex('events_outcome')
    .on('events')
    .columns(['outcome', 'at', 'position'])
    .where('outcome', '!=', 'granted')
    .execute()
  await db.schema
    .createIndex('events_client_id')
    .on('events')
    .columns(['client_id', 'at', 'position'])
    .where('client_id', 'is not', null)
    .execute()
  for (const [table, id] of [
    ['clients', 'client_id'],
    ['agents', 'agent_id'],
    ['owners', 'owner_id'],
  ] as const) {
    await db.schema
      .createIndex(`${table}_created_at`)
      .on(table)
      .columns(['created_at', id])
      .execute()
    await db.schema
      .createIndex(`${table}_disabled_at`)
      .on(table)
      .column('disabled_at')
      .where('disabled_at', 'is not', null)
      .execute()
  }
  for (const [table, column] of [
    ['clients', 'client_name'],
    ['agents', 'name'],
    ['agents', 'email'],
    ['owners', 'name'],
    ['owners', 'email'],
  ] as const) {
    await db.schema
      .createIndex(`${table}_lower_${column}`)
      .on(table)
      .expression(sql`lower(${sql.ref(column)})`)
      .execute()
  }
}
