import {
  addSecret,
  findLiveSecrets,
  type LiveSecret,
  removeSecrets,
  replaceSecret,
} from './secrets.ts'
import { type Act, all, db, one, statement } from './statement.ts'
import type { ClientRow, SecretRow } from './tables.ts'

/** A website that agents sign in to (RFC 6749 section 2, RFC 7591 section 2 for the names). */
export interface Client {
  client_id: string
  client_name: string
  redirect_uris: string[]
  grant_types: string[]
  /** `none` for a public client, else `client_secret_basic`, which allows `_post` as well. */
  token_endpoint_auth_method: string
  /** RS256 or ES256 (OpenID Connect Dynamic Client Registration section 2). */
  id_token_signed_response_alg: string
  /** REFRESH_REUSE_GRACE for this client, in seconds; null for the server's. */
  refresh_reuse_grace: number | null
  created_at: number
  disabled_at: number | null
}

export type ClientChange = Partial<
  Pick<
    Client,
    | 'client_name'
    | 'redirect_uris'
    | 'grant_types'
    | 'id_token_signed_response_alg'
    | 'refresh_reuse_grace'
    | 'disabled_at'
  >
>

const clientById = statement<{ client_id: string }>()((p) =>
  db.selectFrom('clients').selectAll().where('client_id', '=', p.client_id),
)

const endGrants = statement<{ client_id: string; now: number }>()((p) =>
  db
    .updateTable('grants')
    .set({ revoked_at: p.now })
    .where('client_id', '=', p.client_id)
    .where('revoked_at', 'is', null),
)

const endRequests = statement<{ client_id: string }>()((p) =>
  db.deleteFrom('authorization_requests').where('client_id', '=', p.client_id),
)

function fromRow(row: ClientRow): Client {
  return {
    ...row,
    redirect_uris: JSON.parse(row.redirect_uris),
    grant_types: JSON.parse(row.grant_types),
  }
}

export const reads = {
  *find(client_id: string): Act<Client | undefined> {
    const row = yield* one(clientById({ client_id }))
    return row && fromRow(row)
  },

  /** The client, with the secrets that are good at `now`. */
  *findWithSecrets(
    client_id: string,
    now: number,
  ): Act<(Client & { secrets: LiveSecret[] }) | undefined> {
    const row = yield* one(clientById({ client_id }))
    return row && { ...fromRow(row), secrets: yield* findLiveSecrets(client_id, now) }
  },

  *list(): Act<Client[]> {
    const rows = yield* all(
      db.selectFrom('clients').selectAll().orderBy('created_at').orderBy('client_id').compile(),
    )
    return rows.map(fromRow)
  },
}

export const writes = {
  *create(client: Client, secret: SecretRow | undefined): Act<void> {
    yield db
      .insertInto('clients')
      .values({
        ...client,
        redirect_uris: JSON.stringify(client.redirect_uris),
        grant_types: JSON.stringify(client.grant_types),
      })
      .compile()
    if (secret !== undefined) yield* addSecret(secret)
  },

  /** Changes what is named. Disabling ends the client's requests, codes and tokens with it. */
  *update(client_id: string, change: ClientChange, now: number): Act<Client | undefined> {
    const { redirect_uris, grant_types, ...rest } = change
    const set = {
      ...rest,
      ...(redirect_uris && { redirect_uris: JSON.stringify(redirect_uris) }),
      ...(grant_types && { grant_types: JSON.stringify(grant_types) }),
    }
    const row = yield* one(
      db
        .updateTable('clients')
        .set(set)
        .where('client_id', '=', client_id)
        .returningAll()
        .compile(),
    )
    if (row === undefined) return undefined
    if (typeof change.disabled_at === 'number') {
      yield endRequests({ client_id })
      yield endGrants({ client_id, now })
    }
    return fromRow(row)
  },

  /** Removes the client and, by the foreign keys, everything that hangs from it. */
  *delete(client_id: string): Act<boolean> {
    const row = yield* one(
      db.deleteFrom('clients').where('client_id', '=', client_id).returning('client_id').compile(),
    )
    yield* removeSecrets(client_id)
    return row !== undefined
  },

  *replaceSecret(secret: SecretRow, endOld: number): Act<void> {
    yield* replaceSecret(secret, endOld)
  },
}
