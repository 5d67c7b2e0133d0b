import type { Kysely } from 'kysely'

/**
 * Whether agents may poll the code of a request that no browser opened. On for those clients that
 * redeem it with a secret or key and that the operator registered.
 */
export async function up(db: Kysely<{ clients: { legacy_polling: number } & Known }>) {
  await db.schema
    .alterTable('clients')
    .addColumn('legacy_polling', 'integer', (column) => column.notNull().defaultTo(0))
    .execute()
  await db
    .updateTable('clients')
    .set({ legacy_polling: 1 })
    .where('origin', '=', 'operator')
    .where('token_endpoint_auth_method', '!=', 'none')
    .execute()
}

interface Known {
  origin: string
  token_endpoint_auth_method: string
}
