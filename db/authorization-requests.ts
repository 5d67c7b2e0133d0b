import { repeatBriefly } from './bounded.ts'
import { proveClient } from './clients.ts'
import { recordEvent } from './events.ts'
import { type Act, all, db, one, pick, statement } from './statement.ts'
import type { AuthorizationRequestRow, EventRow, GrantRow } from './tables.ts'

export type AuthorizationRequest = AuthorizationRequestRow
const openedColumns = [
  'request_id',
  'client_id',
  'redirect_uri',
  'scope',
  'resource',
  'state',
  'nonce',
  'response_mode',
  'hinted_sub',
  'login_hint',
  'code_challenge',
  'browser_hash',
  'opened_from',
  'created_at',
  'expires_at',
] as const satisfies (keyof AuthorizationRequestRow)[]

type OpenedRow = Pick<AuthorizationRequestRow, (typeof openedColumns)[number]>
export type NewAuthorizationRequest = Omit<OpenedRow, 'resource'> & {
  /** The normal URIs of the resources asked for. */
  resource: string[]
}
export type AuthorizationRequestState = AuthorizationRequest & {
  /** When an agent authenticated it. */
  granted_at: number | null
  /** Is also set, to 0, when the grant is gone with its agent. */
  grant_revoked_at: number | null
  grant_ends_at: number | null
  grant_refreshable: number | null
}

/** Where a sign-in can stand. */
export type Standing =
  /** No agent has authenticated the request, and it can still do so. */
  | 'pending'
  /** No agent authenticated the request in time. */
  | 'expired'
  /** An owner refused the request. */
  | 'denied'
  /** An agent authenticated the request. The browser that opened it has not received the code. */
  | 'authenticated'
  /** The browser, or a polling library, has received the code. */
  | 'handed over'
  /** The code was not redeemed in time. */
  | 'code expired'
  /** The code was redeemed, whatever became of the grant afterwards. */
  | 'redeemed'
  /** The grant was revoked, or deleted with its agent, before the code was redeemed. */
  | 'revoked'

/** Where the sign-in of an authorization request stands. No other code derives this from the columns. */
export function standing(request: AuthorizationRequestState, now: number): Standing {
  const { grant_id, code_expires_at } = request
  if (grant_id === null || code_expires_at === null) {
    if (request.denied_at !== null) return 'denied'
    return request.expires_at <= now ? 'expired' : 'pending'
  }
  if (request.redeemed_at !== null) return 'redeemed'
  if (request.grant_revoked_at !== null) return 'revoked'
  if (code_expires_at <= now) return 'code expired'
  return request.completed_at === null ? 'authenticated' : 'handed over'
}

export interface Authentication {
  request_id: string
  agent_id: string
  model: string
  /** `agent` keeps the code from whoever opened the request. */
  deliver: 'agent' | null
  /** How the agent authenticated, in words separated by spaces (RFC 8176). */
  amr: string
  grant_id: string
  now: number
  code_expires_at: number
  /** What goes on record with it. */
  event: Pick<EventRow, 'event_id' | 'address' | 'detail'>
}

export type AuthenticationOutcome =
  | { outcome: 'authenticated'; request: AuthorizationRequest }
  | {
      outcome:
        | 'unknown'
        | 'expired'
        | 'authenticated_before'
        | 'agent_disabled'
        /** The website knows people by their owner, and the agent has none. */
        | 'agent_without_owner'
    }

const insertRequest = statement<OpenedRow>()((p) =>
  db.insertInto('authorization_requests').values(pick(p, openedColumns)),
)

/** Subqueries: on SQLite the driver needs ten times as long for a join that finds one row. */
const requestById = statement<{ request_id: string }>()((p) =>
  db
    .selectFrom('authorization_requests as request')
    .selectAll('request')
    .select((eb) => {
      const grant = eb.selectFrom('grants').whereRef('grants.grant_id', '=', 'request.grant_id')
      return [
        grant.select('grants.created_at').as('granted_at'),
        grant.select('grants.revoked_at').as('grant_revoked_at'),
        grant.select('grants.ends_at').as('grant_ends_at'),
        grant.select('grants.refreshable').as('grant_refreshable'),
      ]
    })
    .where('request.request_id', '=', p.request_id),
)

/** Binds a pending request to a grant: of those who race for it, one gets the row. */
export const bindRequest = statement<
  Pick<Authentication, 'request_id' | 'grant_id' | 'now' | 'code_expires_at'> & {
    deliver: AuthorizationRequestRow['deliver']
  }
>()((p) =>
  db
    .updateTable('authorization_requests')
    .set({ grant_id: p.grant_id, code_expires_at: p.code_expires_at, deliver: p.deliver })
    .where('request_id', '=', p.request_id)
    .where('grant_id', 'is', null)
    .where('denied_at', 'is', null)
    .where('expires_at', '>', p.now)
    .returningAll(),
)

/**
 * The owner as whom a website knows the agent; no row where it knows the agent itself. Subqueries: on
 * SQLite the driver needs ten times as long for a join that finds one row.
 */
const ownerAsSubject = statement<{ request_id: string; agent_id: string }>()((p) =>
  db
    .selectFrom('agents')
    .select('owner_id')
    .where('agent_id', '=', p.agent_id)
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('clients')
          .select('clients.client_id')
          .where('clients.subject', '=', 'owner')
          .where('clients.client_id', '=', (eb) =>
            eb
              .selectFrom('authorization_requests as request')
              .select('request.client_id')
              .where('request.request_id', '=', p.request_id),
          ),
      ),
    ),
)

export const newGrantColumns = [
  'grant_id',
  'client_id',
  'agent_id',
  'model',
  'scope',
  'resource',
  'amr',
  'owner_id',
  'subject',
  'auth_time',
  'acr',
  'ends_at',
  'refreshable',
  'created_at',
  'expires_at',
] as const satisfies (keyof GrantRow)[]

export const insertGrant = statement<Pick<GrantRow, (typeof newGrantColumns)[number]>>()((p) =>
  db.insertInto('grants').values({ ...pick(p, newGrantColumns), expiry_check_at: p.expires_at }),
)

/** One statement for each identifier: a list of any length would be a new text for each length. */
const settledRequest = statement<{ request_id: string }>()((p) =>
  db
    .selectFrom('authorization_requests')
    .select('request_id')
    .where('request_id', '=', p.request_id)
    .where((eb) => eb.or([eb('grant_id', 'is not', null), eb('denied_at', 'is not', null)])),
)

const liveAgent = statement<{ agent_id: string }>()((p) =>
  db
    .selectFrom('agents')
    .select('agent_id')
    .where('agent_id', '=', p.agent_id)
    .where('disabled_at', 'is', null),
)

const liveClient = statement<{ client_id: string }>()((p) =>
  db
    .selectFrom('clients')
    .select('client_id')
    .where('client_id', '=', p.client_id)
    .where('disabled_at', 'is', null),
)

const complete = statement<{ request_id: string; now: number }>()((p) =>
  db
    .updateTable('authorization_requests')
    .set({ completed_at: p.now })
    .where('request_id', '=', p.request_id)
    .where('completed_at', 'is', null),
)

const unprovedRequests = statement<object>()(() =>
  db
    .selectFrom('authorization_requests')
    .select((eb) => eb.fn.countAll().as('rows'))
    .where('grant_id', 'is', null),
)

const expiredUnproved = statement<{ before: number; limit: number }>()((p) =>
  db
    .deleteFrom('authorization_requests')
    .where('request_id', 'in', (eb) =>
      eb
        .selectFrom('authorization_requests')
        .select('request_id')
        .where('grant_id', 'is', null)
        .where('expires_at', '<', p.before)
        .limit(p.limit),
    )
    .returning('request_id'),
)

function* findRequest(request_id: string): Act<AuthorizationRequestState | undefined> {
  const row = yield* one(requestById({ request_id }))
  if (row === undefined) return undefined
  if (row.grant_id !== null && row.granted_at === null) return { ...row, grant_revoked_at: 0 }
  return row
}

/**
 * Binds a pending request to a new grant and puts that on record. Of agents that race for one
 * request, one succeeds.
 */
export function* authenticate(authentication: Authentication): Act<AuthenticationOutcome> {
  const { request_id, agent_id, model, amr, deliver, grant_id, now, code_expires_at } =
    authentication
  const agent = yield* one(liveAgent({ agent_id }))
  if (agent === undefined) return { outcome: 'agent_disabled' }
  const known = yield* one(ownerAsSubject({ request_id, agent_id }))
  if (known?.owner_id === null) return { outcome: 'agent_without_owner' }
  const request = yield* one(bindRequest({ request_id, deliver, grant_id, now, code_expires_at }))
  if (request === undefined) {
    const found = yield* findRequest(request_id)
    if (found === undefined) return { outcome: 'unknown' }
    return { outcome: standing(found, now) === 'expired' ? 'expired' : 'authenticated_before' }
  }
  const { client_id, scope, resource } = request
  const facts = { grant_id, client_id, agent_id, model, scope, resource, amr }
  yield insertGrant({
    ...facts,
    owner_id: null,
    subject: known?.owner_id ?? null,
    auth_time: null,
    acr: null,
    ends_at: null,
    refreshable: 1,
    created_at: now,
    expires_at: code_expires_at,
  })
  yield* proveClient(client_id)
  yield* recordEvent({
    ...authentication.event,
    owner_id: null,
    at: now,
    event: 'sign_in',
    outcome: 'granted',
    agent_id,
    client_id,
    model,
    method: amr,
  })
  return { outcome: 'authenticated', request }
}

export const reads = {
  find: findRequest,

  /** How many requests no agent has authenticated, by the partial index on `grant_id`. */
  *countUnproved(): Act<number> {
    return Number((yield* one(unprovedRequests({})))?.rows ?? 0)
  },

  /** Which of these requests are no longer pending. */
  *findSettled(request_ids: string[]): Act<string[]> {
    const settled: string[] = []
    for (const request_id of request_ids) {
      if ((yield* one(settledRequest({ request_id }))) !== undefined) settled.push(request_id)
    }
    return settled
  },
}

export const writes = {
  /** Opens a request, unless its client is gone or disabled meanwhile. Tells whether it did. */
  *open(request: NewAuthorizationRequest): Act<boolean> {
    if ((yield* one(liveClient(request))) === undefined) return false
    const resource = request.resource.length === 0 ? null : JSON.stringify(request.resource)
    yield insertRequest({ ...request, resource })
    return true
  },

  authenticate,

  /**
   * Removes, for some milliseconds, requests that expired before `before` without an agent. Tells
   * whether there may be more.
   */
  *removeUnproved(before: number): Act<boolean> {
    return yield* repeatBriefly(function* (limit) {
      return (yield* all(expiredUnproved({ before, limit }))).length
    })
  },

  /** Records that the code was handed to whoever opened the request. */
  *complete(request_id: string, now: number): Act<void> {
    yield complete({ request_id, now })
  },
}
