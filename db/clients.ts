import { endApprovalsOfClient } from './approvals.ts'
import { repeatBriefly } from './bounded.ts'
import { noticeLogouts } from './logout-notices.ts'
import { beginsLike, eachOnce, isOlder, lowerCase, type PageFilter } from './pages.ts'
import { forgetConsentsOfClient } from './remembered-consents.ts'
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
  /** `client_secret_basic` allows `_post` as well; a public client has `none`. */
  token_endpoint_auth_method: string
  /** RS256 or ES256 (OpenID Connect Dynamic Client Registration section 2). */
  id_token_signed_response_alg: string
  /** REFRESH_REUSE_GRACE for this client, in seconds; null for the server's. */
  refresh_reuse_grace: number | null
  /**
   * Whether a used refresh token is accepted again from networks that have used the sign-in; null for
   * the default of this kind of client.
   */
  refresh_reuse: 'strict' | 'known-networks' | null
  /** The only scopes that it may ask for; null when it may ask for any. */
  scope: string | null
  /** Whom its tokens name as their subject: the agent, or the owner of the agent. */
  subject: 'agent' | 'owner'
  /** The URI of the resource for requests that name none (RFC 8707 section 2); null for this server. */
  default_resource: string | null
  /** RFC 7517 section 5. */
  jwks: { keys: Record<string, unknown>[] } | null
  jwks_uri: string | null
  /** Where a browser may be led after signing out (OpenID Connect RP-Initiated Logout 1.0 section 3). */
  post_logout_redirect_uris: string[]
  /** Where it is told of the end of a sign-in (OpenID Connect Back-Channel Logout 1.0 section 2.2). */
  backchannel_logout_uri: string | null
  application_type: 'native' | 'web' | null
  /** Whether agents may poll the code of a request that no browser opened. */
  legacy_polling: boolean
  /** Who registered it: the operator, itself (RFC 7591), or the document at its `client_id`. */
  origin: 'operator' | 'dynamic' | 'document'
  /**
   * The operator's changes to a client that the operator did not register. They override what the
   * client says of itself afterwards. Null when there are none.
   */
  operator_change: OperatorChange | null
  created_at: number
  disabled_at: number | null
}

export interface Unused {
  origin: 'dynamic' | 'document'
  before: number
  now: number
}

export type ClientChange = Partial<
  Omit<Client, 'client_id' | 'origin' | 'operator_change' | 'created_at'>
>
export type OperatorChange = Omit<ClientChange, 'disabled_at'>
/** What a client says of itself, in its metadata document or in dynamic registration. */
export type ClientStatement = Omit<Client, 'operator_change'>

export type RedirectUriEdit =
  | { outcome: 'edited'; client: Client }
  | { outcome: 'not_registered'; uri: string }
  | { outcome: 'unknown' | 'none_left' | 'too_many' }

const lockClient = statement<{ client_id: string }>()((p) =>
  db
    .updateTable('clients')
    .set((row) => ({ client_id: row.ref('client_id') }))
    .where('client_id', '=', p.client_id)
    .returningAll(),
)

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

/** The client's own tokens (RFC 6749 section 4.4) belong to no grant. */
const forgetTokens = statement<{ client_id: string; now: number }>()((p) =>
  db.updateTable('clients').set({ tokens_not_before: p.now }).where('client_id', '=', p.client_id),
)

function* endSignIns(client_id: string, now: number): Act<void> {
  yield endRequests({ client_id })
  yield* noticeLogouts({ client_id }, now)
  yield endGrants({ client_id, now })
}

function fromRow(row: ClientRow): Client {
  const {
    registration_token_hash: _,
    in_use_at: __,
    tokens_not_before: ___,
    unproved_until: ____,
    ...rest
  } = row
  return {
    ...rest,
    redirect_uris: JSON.parse(row.redirect_uris),
    grant_types: JSON.parse(row.grant_types),
    post_logout_redirect_uris: JSON.parse(row.post_logout_redirect_uris),
    jwks: row.jwks === null ? null : JSON.parse(row.jwks),
    application_type: row.application_type as Client['application_type'],
    legacy_polling: row.legacy_polling === 1,
    origin: row.origin as Client['origin'],
    refresh_reuse: row.refresh_reuse as Client['refresh_reuse'],
    operator_change: row.operator_change === null ? null : JSON.parse(row.operator_change),
  }
}

function toRow(client: ClientStatement) {
  return {
    ...client,
    redirect_uris: JSON.stringify(client.redirect_uris),
    grant_types: JSON.stringify(client.grant_types),
    post_logout_redirect_uris: JSON.stringify(client.post_logout_redirect_uris),
    jwks: client.jwks && JSON.stringify(client.jwks),
    legacy_polling: client.legacy_polling ? 1 : 0,
  }
}

/** The columns of the given members. */
function toColumns({
  redirect_uris,
  grant_types,
  post_logout_redirect_uris,
  jwks,
  legacy_polling,
  ...rest
}: ClientChange) {
  return {
    ...rest,
    ...(redirect_uris && { redirect_uris: JSON.stringify(redirect_uris) }),
    ...(grant_types && { grant_types: JSON.stringify(grant_types) }),
    ...(post_logout_redirect_uris && {
      post_logout_redirect_uris: JSON.stringify(post_logout_redirect_uris),
    }),
    ...(jwks !== undefined && { jwks: jwks && JSON.stringify(jwks) }),
    ...(legacy_polling !== undefined && { legacy_polling: legacy_polling ? 1 : 0 }),
  }
}

/** Clients that the operator did not register, by the index on origin and time. */
const longUnseen = statement<{ origin: string; before: number; limit: number }>()((p) =>
  db
    .selectFrom('clients')
    .select(['client_id', 'disabled_at', 'operator_change'])
    .where('in_use_at', '<', p.before)
    .where('origin', '=', p.origin)
    .limit(p.limit),
)

/** Strangers' clients whose `unproved_until` has passed, by the partial index on it. */
const overdueUnproved = statement<{ now: number; limit: number }>()((p) =>
  db
    .selectFrom('clients')
    .select(['client_id', 'disabled_at'])
    .where('unproved_until', '<=', p.now)
    .limit(p.limit),
)

const unprovedClients = statement<object>()(() =>
  db
    .selectFrom('clients')
    .select((eb) => eb.fn.countAll().as('rows'))
    .where('unproved_until', 'is not', null),
)

const setUnprovedUntil = statement<{ client_id: string; at: number | null }>()((p) =>
  db
    .updateTable('clients')
    .set({ unproved_until: p.at })
    .where('client_id', '=', p.client_id)
    .where('unproved_until', 'is not', null),
)

const anyGrant = statement<{ client_id: string }>()((p) =>
  db.selectFrom('grants').select('grant_id').where('client_id', '=', p.client_id).limit(1),
)

/** Marks a client as proved: an agent signed in to it, or the operator acted on it. */
export function* proveClient(client_id: string): Act<void> {
  yield setUnprovedUntil({ client_id, at: null })
}

interface Some {
  client_id: string
  now: number
  limit: number
}

const someGrants = statement<Some>()((p) =>
  db
    .selectFrom('grants')
    .select(['grant_id', 'expires_at', 'revoked_at'])
    .where('client_id', '=', p.client_id)
    .limit(p.limit),
)

const removeDeadGrants = statement<Some>()((p) =>
  db
    .deleteFrom('grants')
    .where('grant_id', 'in', (eb) =>
      eb
        .selectFrom('grants')
        .select('grant_id')
        .where('client_id', '=', p.client_id)
        .limit(p.limit),
    )
    .where((eb) => eb.or([eb('expires_at', '<=', p.now), eb('revoked_at', 'is not', null)])),
)

const someRequests = statement<Some>()((p) =>
  db
    .selectFrom('authorization_requests')
    .select(['request_id', 'expires_at'])
    .where('client_id', '=', p.client_id)
    .limit(p.limit),
)

const removeDeadRequests = statement<Some>()((p) =>
  db
    .deleteFrom('authorization_requests')
    .where('request_id', 'in', (eb) =>
      eb
        .selectFrom('authorization_requests')
        .select('request_id')
        .where('client_id', '=', p.client_id)
        .limit(p.limit),
    )
    .where('expires_at', '<=', p.now),
)

/**
 * Reads up to `limit` of a client's grants and requests. If none of them is alive, removes them: deleting
 * the client with any number of them would take too long. Returns `more` when some may be left.
 */
function* removeDead(some: Some): Act<'living' | 'more' | 'none'> {
  const { limit, now } = some
  const grants = yield* all(someGrants(some))
  if (grants.some((grant) => grant.expires_at > now && grant.revoked_at === null)) return 'living'
  const requests = yield* all(someRequests(some))
  if (requests.some(({ expires_at }) => expires_at > now)) return 'living'
  if (grants.length > 0) yield removeDeadGrants(some)
  if (requests.length > 0) yield removeDeadRequests(some)
  return grants.length === limit || requests.length === limit ? 'more' : 'none'
}

const clientPolicy = statement<{ client_id: string }>()((p) =>
  db.selectFrom('client_policies').select('client_id').where('client_id', '=', p.client_id),
)

const markInUse = statement<{ client_id: string; now: number }>()((p) =>
  db.updateTable('clients').set({ in_use_at: p.now }).where('client_id', '=', p.client_id),
)

/** Whether an owner has a remembered approval for the client, which keeps it from being removed. */
const rememberedClient = statement<{ client_id: string }>()((p) =>
  db
    .selectFrom('remembered_approvals')
    .select('grant_id')
    .where('client_id', '=', p.client_id)
    .limit(1),
)

const consentedClient = statement<{ client_id: string }>()((p) =>
  db
    .selectFrom('remembered_consents')
    .select('grant_id')
    .where('client_id', '=', p.client_id)
    .limit(1),
)

/** What owners are shown of a client, or rely on. A change by a stranger needs a new approval. */
const SHOWN = [
  'client_name',
  'redirect_uris',
  'token_endpoint_auth_method',
  'jwks',
  'jwks_uri',
] as const

/**
 * Ends what owners approved and consented to of a client that the operator did not register and that
 * has changed; of any client, when it is to know owners by another name.
 */
function* endWhenChanged(before: ClientRow, after: Partial<ClientRow>): Act<void> {
  const changes = (name: keyof ClientRow) =>
    after[name] !== undefined && after[name] !== before[name]
  const isShown = before.origin !== 'operator' && SHOWN.some(changes)
  if (!isShown && !changes('subject')) return
  yield* endApprovalsOfClient(before.client_id)
  yield* forgetConsentsOfClient(before.client_id)
}

const deleteClient = statement<{ client_id: string }>()((p) =>
  db.deleteFrom('clients').where('client_id', '=', p.client_id).returning('client_id'),
)

/** Deletes the client and, by the foreign keys, every row that refers to it. */
function* removeClient(client_id: string): Act<boolean> {
  const row = yield* one(deleteClient({ client_id }))
  yield* removeSecrets(client_id)
  return row !== undefined
}

export const reads = {
  *find(client_id: string): Act<Client | undefined> {
    const row = yield* one(clientById({ client_id }))
    return row && fromRow(row)
  },

  /** The client, with the secrets that are valid at `now`. */
  *findWithSecrets(
    client_id: string,
    now: number,
  ): Act<(Client & { secrets: LiveSecret[] }) | undefined> {
    const row = yield* one(clientById({ client_id }))
    return row && { ...fromRow(row), secrets: yield* findLiveSecrets(client_id, now) }
  },

  /** The hash of the token with which the client changes its own registration. */
  *findRegistrationTokenHash(client_id: string): Act<string | undefined> {
    return (yield* one(clientById({ client_id })))?.registration_token_hash ?? undefined
  },

  /** The number of strangers' clients that no agent has signed in to. */
  *countUnproved(): Act<number> {
    return Number((yield* one(unprovedClients({})))?.rows ?? 0)
  },

  /** A page of them, the newest first, or what a search finds. By the indexes on age and names. */
  *page({ before, search, limit }: PageFilter): Act<Client[]> {
    let query = db.selectFrom('clients').selectAll().limit(limit)
    if (search !== undefined) {
      const found = [
        ...(yield* all(query.where('client_id', '=', search).compile())),
        ...(yield* all(
          query
            .where(beginsLike('client_name', search))
            .orderBy(lowerCase('client_name'))
            .compile(),
        )),
      ]
      return eachOnce(found, (row) => row.client_id, limit).map(fromRow)
    }
    if (before !== undefined) query = query.where(isOlder('client_id', before))
    const rows = yield* all(
      query.orderBy('created_at', 'desc').orderBy('client_id', 'desc').compile(),
    )
    return rows.map(fromRow)
  },

  /** How many there are, and how many are disabled, by the index on those. */
  *count(): Act<{ all: number; disabled: number }> {
    const counted = db.selectFrom('clients').select((eb) => eb.fn.countAll().as('count'))
    const every = yield* one(counted.compile())
    const disabled = yield* one(counted.where('disabled_at', 'is not', null).compile())
    return { all: Number(every?.count ?? 0), disabled: Number(disabled?.count ?? 0) }
  },

  *list(): Act<Client[]> {
    const rows = yield* all(
      db.selectFrom('clients').selectAll().orderBy('created_at').orderBy('client_id').compile(),
    )
    return rows.map(fromRow)
  },
}

/** How long a stranger's client is kept without a first sign-in, in seconds. */
const UNPROVED_KEPT = 3600
/** How much longer it is kept while one of its requests is open, in seconds. */
const UNPROVED_POSTPONED = 300

export const writes = {
  /** @param vouched whether the operator, or the holder of an initial access token, registers the client */
  *create(
    client: Client,
    secret: SecretRow | undefined,
    registration_token_hash: string | null = null,
    vouched = client.origin === 'operator',
  ): Act<void> {
    const in_use_at = client.origin === 'operator' ? null : client.created_at
    const unproved_until = vouched ? null : client.created_at + UNPROVED_KEPT
    yield db
      .insertInto('clients')
      .values({ ...toRow(client), registration_token_hash, in_use_at, unproved_until })
      .compile()
    if (secret !== undefined) yield* addSecret(secret)
  },

  /**
   * Saves what a metadata document says of its client. Keeps the operator's changes, and a disabled
   * client disabled.
   */
  *saveDocument(said: ClientStatement): Act<Client> {
    const known = yield* one(clientById(said))
    if (known === undefined) {
      yield db
        .insertInto('clients')
        .values({
          ...toRow(said),
          in_use_at: said.created_at,
          unproved_until: said.created_at + UNPROVED_KEPT,
        })
        .compile()
      return { ...said, operator_change: null }
    }
    const { created_at, disabled_at, operator_change } = fromRow(known)
    const client = { ...said, ...operator_change, created_at, disabled_at }
    yield* endWhenChanged(known, toRow(client))
    yield db
      .updateTable('clients')
      .set(toRow(client))
      .where('client_id', '=', said.client_id)
      .compile()
    return { ...client, operator_change }
  },

  /**
   * Changes the given members. Disabling the client ends its requests, codes and tokens. A change by
   * the operator to a client that the operator did not register overrides the client's own later
   * changes, and keeps the client from being removed as unused.
   */
  *update(
    client_id: string,
    given: ClientChange,
    now: number,
    by: 'operator' | 'client' = 'operator',
  ): Act<Client | undefined> {
    const known = yield* one(clientById({ client_id }))
    if (known === undefined) return undefined
    const { origin, operator_change } = fromRow(known)
    const change = by === 'operator' ? given : { ...given, ...operator_change }
    const { disabled_at: _, ...changedByOperator } = { ...operator_change, ...given }
    const keeps =
      by === 'operator' && origin !== 'operator' && Object.keys(changedByOperator).length > 0
    const disables = typeof change.disabled_at === 'number'
    yield* endWhenChanged(known, toColumns(change))
    const row = yield* one(
      db
        .updateTable('clients')
        .set({
          ...toColumns(change),
          ...(keeps && { operator_change: JSON.stringify(changedByOperator) }),
          ...(disables && { tokens_not_before: now }),
        })
        .where('client_id', '=', client_id)
        .returningAll()
        .compile(),
    )
    if (row === undefined) return undefined
    if (by === 'operator') yield* proveClient(client_id)
    if (disables) {
      yield* endSignIns(client_id, now)
      yield* forgetConsentsOfClient(client_id)
    }
    return fromRow(row)
  },

  /**
   * Removes and adds redirect URIs and changes the other given members, or does nothing at all.
   */
  *editRedirectUris(
    client_id: string,
    { add, remove, limit }: { add: string[]; remove: string[]; limit: number },
    change: Omit<ClientChange, 'redirect_uris'>,
    now: number,
  ): Act<RedirectUriEdit> {
    // Write first, without a change: other processes then cannot write between the read and the update.
    const row = yield* one(lockClient({ client_id }))
    if (row === undefined) return { outcome: 'unknown' }
    const known = fromRow(row)
    const uri = remove.find((each) => !known.redirect_uris.includes(each))
    if (uri !== undefined) return { outcome: 'not_registered', uri }
    const kept = known.redirect_uris.filter((each) => !remove.includes(each))
    const redirect_uris = [...new Set([...kept, ...add])]
    const { grant_types = known.grant_types } = change
    if (redirect_uris.length > limit) return { outcome: 'too_many' }
    if (redirect_uris.length === 0 && grant_types.includes('authorization_code')) {
      return { outcome: 'none_left' }
    }
    const client = yield* writes.update(client_id, { ...change, redirect_uris }, now)
    return client === undefined ? { outcome: 'unknown' } : { outcome: 'edited', client }
  },

  *delete(client_id: string): Act<boolean> {
    return yield* removeClient(client_id)
  },

  /**
   * Removes, for some milliseconds, clients of this origin that were last in use before `before` and
   * have no live grant or request, unless the operator has disabled or changed them or has given them
   * a policy. Returns whether there may be more.
   */
  *removeUnused({ origin, before, now }: Unused): Act<boolean> {
    return yield* repeatBriefly(function* (limit) {
      const candidates = yield* all(longUnseen({ origin, before, limit }))
      for (const { client_id, disabled_at, operator_change } of candidates) {
        const kept =
          disabled_at ??
          operator_change ??
          (yield* one(clientPolicy({ client_id }))) ??
          (yield* one(rememberedClient({ client_id }))) ??
          (yield* one(consentedClient({ client_id })))
        const found = kept === undefined ? yield* removeDead({ client_id, now, limit }) : 'living'
        if (found === 'more') return limit
        if (found === 'none') yield* removeClient(client_id)
        else yield markInUse({ client_id, now })
      }
      return candidates.length
    })
  },

  /**
   * Removes, for some milliseconds, strangers' clients that had no sign-in in time, unless the operator
   * has acted on them or one of their requests is open. Returns whether there may be more.
   */
  *removeUnproved(now: number): Act<boolean> {
    return yield* repeatBriefly(function* (limit) {
      const candidates = yield* all(overdueUnproved({ now, limit }))
      for (const { client_id, disabled_at } of candidates) {
        const kept =
          disabled_at ??
          (yield* one(clientPolicy({ client_id }))) ??
          (yield* one(anyGrant({ client_id })))
        if (kept !== undefined) {
          yield* proveClient(client_id)
          continue
        }
        const found = yield* removeDead({ client_id, now, limit })
        if (found === 'more') return limit
        if (found === 'none') yield* removeClient(client_id)
        else yield setUnprovedUntil({ client_id, at: now + UNPROVED_POSTPONED })
      }
      return candidates.length
    })
  },

  /** Replaces the secret. If the old one is `compromised`, all requests, codes and tokens end. */
  *replaceSecret(secret: SecretRow, endOld: number, compromised: boolean): Act<void> {
    const { holder_id: client_id, created_at: now } = secret
    yield* replaceSecret(secret, endOld)
    yield* proveClient(client_id)
    if (!compromised) return
    yield forgetTokens({ client_id, now })
    yield* endSignIns(client_id, now)
  },
}
