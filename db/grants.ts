import { scopeWords } from '../schemas/scope.ts'
import { isEmailVerified, type OwnerClaims } from './agents.ts'
import { endApprovalsAt, endApprovalsOfAgent } from './approvals.ts'
import {
  type AuthorizationRequestState,
  newGrantColumns,
  reads as requests,
  standing,
} from './authorization-requests.ts'
import { recordEvent } from './events.ts'
import { noticeLogouts } from './logout-notices.ts'
import { ownedAgents } from './owned-agents.ts'
import {
  mayComeAgain,
  parseHistory,
  type ReusePolicy,
  recordCopies,
  recordUse,
  startHistory,
} from './refresh-history.ts'
import { forgetApprovals } from './remembered-approvals.ts'
import { forgetConsentsAt } from './remembered-consents.ts'
import { findGranted, type Resource } from './resources.ts'
import { type Act, all, db, one, statement } from './statement.ts'
import type { EventRow, GrantRow } from './tables.ts'

export type Grant = Omit<GrantRow, 'expiry_check_at'>

/** What the tokens of a grant can be for. It is read before the grant is changed. */
interface Extent {
  /** Those that the grant names and that are still registered. */
  resources: Resource[]
  /** Where the scope gives an ID Token with the owner's address. */
  owner: OwnerClaims | undefined
}

/** An authorization code that its client can present. It may have been redeemed before. */
export interface PresentedCode extends Extent {
  request: AuthorizationRequestState
  grant_id: string
  /** When the agent authenticated the request. */
  granted_at: number
  /** When the grant ends at the latest; null where nobody has chosen that. */
  ends_at: number | null
  /** Whether it may have refresh tokens. */
  refreshable: boolean
}

/** A refresh token's grant, which can be refreshed. The token may have been used before. */
export interface RefreshableGrant extends Extent {
  grant: Grant
}

export interface Redemption {
  request_id: string
  /** The grant of the request, which `findCode` has found. */
  grant_id: string
  now: number
  /** When the grant ends unless it is refreshed. */
  expires_at: number
  /** The number of the first refresh token; null for a client that gets none. */
  refresh_generation: number | null
  /** Which of the grant's refresh tokens may come again. */
  reuse: ReusePolicy
}

export type RedemptionOutcome =
  | { outcome: 'redeemed'; grant: Grant }
  | { outcome: 'replayed'; grant_id: string }
  | { outcome: 'invalid' }

export interface Rotation {
  grant_id: string
  client_id: string
  /** The number that the presented refresh token carries. */
  generation: number
  now: number
  /** When the grant ends unless it is refreshed again. */
  expires_at: number
  reuse: ReusePolicy
}

export type RotationOutcome =
  | {
      outcome: 'rotated'
      grant: Grant
      /** The number of the newest refresh token. */
      generation: number
      /** Whether it is to be recorded that several copies of one client share the sign-in. */
      hasCopies: boolean
    }
  | { outcome: 'replayed'; grant_id: string }
  | { outcome: 'invalid' }

export interface TokenFacts {
  /** Undefined for a token that a client got for itself. */
  grant_id?: string | undefined
  client_id: string
  jti: string
  iat: number
}

const grantColumns = [
  ...newGrantColumns,
  'refresh_generation',
  'refreshed_at',
  'refresh_history',
  'revoked_at',
] as const satisfies (keyof Grant)[]

const grantById = statement<{ grant_id: string }>()((p) =>
  db.selectFrom('grants').select(grantColumns).where('grant_id', '=', p.grant_id),
)

const ownerOfGrant = statement<{ grant_id: string }>()((p) =>
  db
    .selectFrom('agents')
    .select((eb) => [
      'agent_id',
      'email',
      'email_verified',
      eb
        .selectFrom('owners')
        .select('owners.email_verified')
        .whereRef('owners.owner_id', '=', 'agents.owner_id')
        .as('owner_verified'),
    ])
    .where('agent_id', '=', (eb) =>
      eb.selectFrom('grants').select('agent_id').where('grant_id', '=', p.grant_id),
    ),
)

function* findOwnerClaims(grant_id: string): Act<(OwnerClaims & { agent_id: string }) | undefined> {
  const row = yield* one(ownerOfGrant({ grant_id }))
  if (row === undefined) return undefined
  const { agent_id, email } = row
  return {
    agent_id,
    email,
    email_verified: isEmailVerified(row, { email_verified: row.owner_verified }),
  }
}

/** A request whose grant has ended is not marked. */
const redeem = statement<{ request_id: string; grant_id: string; now: number }>()((p) =>
  db
    .updateTable('authorization_requests')
    .set((eb) => ({
      redeemed_at: p.now,
      completed_at: eb.fn.coalesce('completed_at', eb.val(p.now)),
    }))
    .where('request_id', '=', p.request_id)
    .where('redeemed_at', 'is', null)
    .where('grant_id', '=', (eb) =>
      eb
        .selectFrom('grants')
        .select('grant_id')
        .where('grant_id', '=', p.grant_id)
        .where('revoked_at', 'is', null),
    )
    .returning('request_id'),
)

const startTokens = statement<{
  grant_id: string
  expires_at: number
  refresh_generation: number | null
  refresh_history: string | null
}>()((p) =>
  db
    .updateTable('grants')
    .set({
      expires_at: p.expires_at,
      refresh_generation: p.refresh_generation,
      refresh_history: p.refresh_history,
    })
    .where('grant_id', '=', p.grant_id)
    .where('revoked_at', 'is', null)
    .returning(grantColumns),
)

const rotate = statement<{
  grant_id: string
  generation: number
  next: number
  now: number
  expires_at: number
  refresh_history: string | null
}>()((p) =>
  db
    .updateTable('grants')
    .set({
      refresh_generation: p.next,
      refreshed_at: p.now,
      expires_at: p.expires_at,
      refresh_history: p.refresh_history,
    })
    .where('grant_id', '=', p.grant_id)
    // A database that was restored from a backup knows less than the tokens that are about.
    .where('refresh_generation', '<=', p.generation)
    .where('revoked_at', 'is', null)
    .returning('grant_id'),
)

const saveHistory = statement<{ grant_id: string; refresh_history: string }>()((p) =>
  db
    .updateTable('grants')
    .set({ refresh_history: p.refresh_history })
    .where('grant_id', '=', p.grant_id),
)

const revoke = statement<{ grant_id: string; now: number }>()((p) =>
  db
    .updateTable('grants')
    .set({ revoked_at: p.now })
    .where('grant_id', '=', p.grant_id)
    .where('revoked_at', 'is', null)
    .returning('grant_id'),
)

/** A subquery: on SQLite the driver needs ten times as long for a join that finds one row. */
const revokedToken = (jti: string) =>
  db.selectFrom('revoked_access_tokens').select('jti').where('jti', '=', jti)

const liveToken = statement<{ grant_id: string; jti: string }>()((p) =>
  db
    .selectFrom('grants')
    .select('grant_id')
    .where('grant_id', '=', p.grant_id)
    .where('revoked_at', 'is', null)
    .where((eb) => eb.not(eb.exists(revokedToken(p.jti)))),
)

const liveClientToken = statement<{ client_id: string; jti: string; iat: number }>()((p) =>
  db
    .selectFrom('clients')
    .select('client_id')
    .where('client_id', '=', p.client_id)
    .where('disabled_at', 'is', null)
    .where((eb) =>
      eb.or([eb('tokens_not_before', 'is', null), eb('tokens_not_before', '<', p.iat)]),
    )
    .where((eb) => eb.not(eb.exists(revokedToken(p.jti)))),
)

const revokeToken = statement<{ jti: string; expires_at: number }>()((p) =>
  db
    .insertInto('revoked_access_tokens')
    .values({ jti: p.jti, expires_at: p.expires_at })
    .onConflict((conflict) => conflict.doNothing()),
)

/** Ends a grant, of which its client is told. Tells whether it was alive. */
function* endGrant(grant_id: string, now: number): Act<boolean> {
  yield* noticeLogouts({ grant_id }, now)
  return (yield* one(revoke({ grant_id, now }))) !== undefined
}

/** What becomes of a refresh token that was used already: the newest one, or the grant's end. */
function* reuseToken({ grant_id, generation, now, reuse }: Rotation): Act<RotationOutcome> {
  const grant = yield* one(grantById({ grant_id }))
  const newest = grant?.refresh_generation ?? null
  if (grant === undefined || grant.revoked_at !== null || newest === null) {
    return { outcome: 'invalid' }
  }
  const { refreshed_at } = grant
  const use = { generation, newest, refreshed_at, now, reuse }
  if (!mayComeAgain(parseHistory(grant.refresh_history), use)) {
    yield* endGrant(grant_id, now)
    return { outcome: 'replayed', grant_id }
  }
  const refresh_history = recordCopies(grant.refresh_history, now)
  if (refresh_history !== undefined) yield saveHistory({ grant_id, refresh_history })
  const hasCopies = refresh_history !== undefined
  return { outcome: 'rotated', grant, generation: newest, hasCopies }
}

function* findExtent({
  grant_id,
  scope,
  resource,
}: Pick<Grant, 'grant_id' | 'scope' | 'resource'>): Act<Extent> {
  const words = scopeWords(scope)
  const tellsEmail = words.includes('openid') && words.includes('email')
  const owner = tellsEmail ? yield* findOwnerClaims(grant_id) : undefined
  return { resources: yield* findGranted(resource), owner }
}

/** Which of an owner's living sign-ins, from one place in their list on. */
export interface OwnedGrantFilter {
  agent_id?: string | undefined
  client_id?: string | undefined
  now: number
  /** The newest that is older than this one. */
  before?: Pick<Grant, 'created_at' | 'grant_id'> | undefined
  limit: number
}

function* listOfAgent(
  agent_id: string,
  { client_id, now, before, limit }: OwnedGrantFilter,
): Act<Grant[]> {
  let query = db
    .selectFrom('grants')
    .select(grantColumns)
    .where('agent_id', '=', agent_id)
    .where('revoked_at', 'is', null)
    .where('expires_at', '>', now)
  if (client_id !== undefined) query = query.where('client_id', '=', client_id)
  if (before !== undefined) {
    const { created_at, grant_id } = before
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('created_at', 'grant_id'), '<', tuple(created_at, grant_id)),
    )
  }
  return yield* all(
    query.orderBy('created_at', 'desc').orderBy('grant_id', 'desc').limit(limit).compile(),
  )
}

function compareAge(one: Grant, other: Grant): number {
  if (one.created_at !== other.created_at) return other.created_at - one.created_at
  return one.grant_id < other.grant_id ? 1 : -1
}

export const reads = {
  *find(grant_id: string): Act<Grant | undefined> {
    return yield* one(grantById({ grant_id }))
  },

  /**
   * What an authorization code stands for, if it is this client's. Undefined for a code that is
   * unknown or expired, or whose grant has ended. Nothing of it changes later except `redeemCode`'s
   * part, so that the parameters of a token request can be checked before anything is written.
   */
  *findCode(request_id: string, client_id: string, now: number): Act<PresentedCode | undefined> {
    const request = yield* requests.find(request_id)
    if (request === undefined || request.client_id !== client_id) return undefined
    const { grant_id, granted_at, grant_revoked_at, scope, resource } = request
    if (grant_id === null || granted_at === null || grant_revoked_at !== null) return undefined
    if (standing(request, now) === 'code expired') return undefined
    const extent = yield* findExtent({ grant_id, scope, resource })
    const { grant_ends_at: ends_at, grant_refreshable } = request
    const refreshable = grant_refreshable !== 0
    return { request, grant_id, granted_at, ends_at, refreshable, ...extent }
  },

  /** Of the agent of a grant. */
  findOwnerClaims,

  /** The grant of a refresh token, if it is this client's and can be refreshed. */
  *findRefreshable(
    grant_id: string,
    client_id: string,
    now: number,
  ): Act<RefreshableGrant | undefined> {
    const grant = yield* one(grantById({ grant_id }))
    if (grant === undefined || grant.client_id !== client_id) return undefined
    if (grant.revoked_at !== null || grant.refresh_generation === null) return undefined
    if (grant.expires_at <= now) return undefined
    return { grant, ...(yield* findExtent(grant)) }
  },

  /**
   * Whether an access token that has not expired is still good: neither it nor the grant that it
   * hangs from was revoked, nor, if it hangs from none, the client disabled since.
   */
  *isAlive({ grant_id, client_id, jti, iat }: TokenFacts): Act<boolean> {
    const found =
      grant_id === undefined
        ? yield* one(liveClientToken({ client_id, jti, iat }))
        : yield* one(liveToken({ grant_id, jti }))
    return found !== undefined
  },

  /** The living sign-ins of an owner's agents, the newest first. By the indexes that end with the time. */
  *listOfOwner(owner_id: string, filter: OwnedGrantFilter): Act<Grant[]> {
    const found: Grant[] = []
    for (const agent_id of yield* ownedAgents(owner_id, filter.agent_id)) {
      found.push(...(yield* listOfAgent(agent_id, filter)))
    }
    return found.sort(compareAge).slice(0, filter.limit)
  },

  /** The ended sign-ins of an agent that are still stored, in order of their end, after one of them. */
  *listEnded(
    agent_id: string,
    after: Pick<Grant, 'revoked_at' | 'created_at' | 'grant_id'> | undefined,
    limit: number,
  ): Act<Grant[]> {
    let query = db
      .selectFrom('grants')
      .select(grantColumns)
      .where('agent_id', '=', agent_id)
      .where('revoked_at', 'is not', null)
    if (after !== undefined) {
      const { revoked_at, created_at, grant_id } = after
      query = query.where(({ eb, refTuple, tuple }) =>
        eb(
          refTuple('revoked_at', 'created_at', 'grant_id'),
          '>',
          tuple(revoked_at, created_at, grant_id),
        ),
      )
    }
    return yield* all(
      query.orderBy('revoked_at').orderBy('created_at').orderBy('grant_id').limit(limit).compile(),
    )
  },

  /** How many sign-ins are alive, and how many of these have a refresh token. Reads every grant. */
  *countAlive(now: number): Act<{ alive: number; refreshable: number }> {
    const row = yield* one(
      db
        .selectFrom('grants')
        .select((eb) => [
          eb.fn.countAll().as('alive'),
          eb.fn.count('refresh_generation').as('refreshable'),
        ])
        .where('revoked_at', 'is', null)
        .where('expires_at', '>', now)
        .compile(),
    )
    return { alive: Number(row?.alive ?? 0), refreshable: Number(row?.refreshable ?? 0) }
  },

  *list(filter: { agent_id?: string; client_id?: string }): Act<Grant[]> {
    let query = db
      .selectFrom('grants')
      .select(grantColumns)
      .orderBy('created_at')
      .orderBy('grant_id')
    if (filter.agent_id) query = query.where('agent_id', '=', filter.agent_id)
    if (filter.client_id) query = query.where('client_id', '=', filter.client_id)
    return yield* all(query.compile())
  },
}

/** One sign-in, those of one agent, those at one website, or all of an owner. */
export interface StoppedSignIns {
  owner_id: string
  grant_id?: string | undefined
  agent_id?: string | undefined
  client_id?: string | undefined
}

function* endOfAgent(
  agent_id: string,
  { grant_id, client_id }: Pick<StoppedSignIns, 'grant_id' | 'client_id'>,
  now: number,
): Act<Pick<Grant, 'client_id'>[]> {
  yield* noticeLogouts({ agent_id, grant_id, client_id }, now)
  let query = db
    .updateTable('grants')
    .set({ revoked_at: now })
    .where('agent_id', '=', agent_id)
    .where('revoked_at', 'is', null)
  if (grant_id !== undefined) query = query.where('grant_id', '=', grant_id)
  if (client_id !== undefined) query = query.where('client_id', '=', client_id)
  return yield* all(query.returning('client_id').compile())
}

export const writes = {
  /**
   * Redeems a code that `findCode` has found. Of callers that race, one succeeds; a later use revokes
   * the grant (RFC 6749 section 4.1.2).
   */
  *redeemCode(redemption: Redemption): Act<RedemptionOutcome> {
    const { request_id, grant_id, now, expires_at, refresh_generation, reuse } = redemption
    const redeemed = yield* one(redeem({ request_id, grant_id, now }))
    if (redeemed === undefined) {
      const ended = yield* endGrant(grant_id, now)
      return ended ? { outcome: 'replayed', grant_id } : { outcome: 'invalid' }
    }
    const refresh_history = startHistory(reuse)
    const grant = yield* one(
      startTokens({ grant_id, expires_at, refresh_generation, refresh_history }),
    )
    return grant === undefined ? { outcome: 'invalid' } : { outcome: 'redeemed', grant }
  },

  /**
   * Exchanges refresh token number `generation` for the next one. Of callers that race, one
   * succeeds; a later use revokes the grant (RFC 9700 section 4.14.2), unless the token may come
   * again and gets the newest one.
   */
  *rotate(rotation: Rotation): Act<RotationOutcome> {
    const { grant_id, client_id, generation, now, expires_at, reuse } = rotation
    const grant = yield* one(grantById({ grant_id }))
    if (grant === undefined || grant.client_id !== client_id) return { outcome: 'invalid' }
    const next = generation + 1
    const refresh_history = recordUse(grant.refresh_history, { generation, now, reuse })
    const rotated = yield* one(
      rotate({ grant_id, generation, next, now, expires_at, refresh_history }),
    )
    if (rotated === undefined) return yield* reuseToken(rotation)
    const changed = { ...grant, expires_at }
    return { outcome: 'rotated', grant: changed, generation: next, hasCopies: false }
  },

  /** Ends a grant and all of its tokens. Tells whether it was alive. */
  *revoke(grant_id: string, now: number): Act<boolean> {
    return yield* endGrant(grant_id, now)
  },

  /**
   * Ends sign-ins of an owner's agents, with the approvals that were not used yet and the consents that
   * would begin them again; where `forget` says
   * so, also what was remembered of them. What is not the owner's is not touched. An event is recorded
   * for each agent and website. Returns how many sign-ins ended.
   */
  *stop({ owner_id, ...which }: StoppedSignIns, forget: boolean, event: EventRow): Act<number> {
    let count = 0
    let events = 0
    for (const agent_id of yield* ownedAgents(owner_id, which.agent_id)) {
      const ended = yield* endOfAgent(agent_id, which, event.at)
      if (which.grant_id === undefined) {
        if (which.client_id === undefined) yield* endApprovalsOfAgent(agent_id)
        else yield* endApprovalsAt(agent_id, which.client_id)
      }
      for (const [client_id, { length }] of Map.groupBy(ended, (row) => row.client_id)) {
        const detail =
          length === 1 ? 'The owner stopped it' : `The owner stopped ${length} sign-ins`
        const event_id = events === 0 ? event.event_id : `${event.event_id}.${events}`
        yield* recordEvent({ ...event, event_id, agent_id, client_id, detail, owner_id })
        events += 1
        yield* forgetConsentsAt(agent_id, client_id)
        if (forget && which.grant_id !== undefined) yield* forgetApprovals(agent_id, client_id)
      }
      if (which.grant_id === undefined) {
        yield* forgetConsentsAt(agent_id, which.client_id)
        if (forget) yield* forgetApprovals(agent_id, which.client_id)
      }
      count += ended.length
    }
    return count
  },

  /** Ends one access token, by its `jti`, and leaves its grant. */
  *revokeAccessToken(jti: string, expires_at: number): Act<void> {
    yield revokeToken({ jti, expires_at })
  },
}
