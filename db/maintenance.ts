import { type Act, all, db, statement } from './statement.ts'

export interface Batch {
  before: number
  limit: number
}

const expiredRequests = statement<Batch>()((p) =>
  db
    .deleteFrom('authorization_requests')
    .where('request_id', 'in', (eb) =>
      eb
        .selectFrom('authorization_requests')
        .select('request_id')
        .where('expires_at', '<', p.before)
        .limit(p.limit),
    )
    .returning('request_id'),
)

const grantsToCheck = ({ before, limit }: Batch) =>
  db.selectFrom('grants').select('grant_id').where('expiry_check_at', '<', before).limit(limit)

const expiredGrants = statement<Batch>()((p) =>
  db
    .deleteFrom('grants')
    .where('grant_id', 'in', grantsToCheck(p))
    .where('expires_at', '<', p.before)
    .returning('grant_id'),
)

/** What was refreshed since is looked at again when it expires now. */
const postponeGrants = statement<Batch>()((p) =>
  db
    .updateTable('grants')
    .set((eb) => ({ expiry_check_at: eb.ref('expires_at') }))
    .where('grant_id', 'in', grantsToCheck(p))
    .returning('grant_id'),
)

const expiredRevocations = statement<Batch>()((p) =>
  db
    .deleteFrom('revoked_access_tokens')
    .where('jti', 'in', (eb) =>
      eb
        .selectFrom('revoked_access_tokens')
        .select('jti')
        .where('expires_at', '<', p.before)
        .limit(p.limit),
    )
    .returning('jti'),
)

const expiredAgentAssertions = statement<Batch>()((p) =>
  db
    .deleteFrom('used_assertions')
    .where('jti', 'in', (eb) =>
      eb
        .selectFrom('used_assertions')
        .select('jti')
        .where('expires_at', '<', p.before)
        .limit(p.limit),
    )
    .where('expires_at', '<', p.before)
    .returning('jti'),
)

const oldEvents = statement<Batch>()((p) =>
  db
    .deleteFrom('events')
    .where('event_id', 'in', (eb) =>
      eb.selectFrom('events').select('event_id').where('at', '<', p.before).limit(p.limit),
    )
    .returning('event_id'),
)

const expiredSecrets = statement<{ before: number }>()((p) =>
  db.deleteFrom('secrets').where('expires_at', '<', p.before),
)

const removedKeys = statement<{ before: number }>()((p) =>
  db.deleteFrom('signing_keys').where('remove_at', '<', p.before),
)

const expiredAssertions = statement<Batch>()((p) =>
  db
    .deleteFrom('client_assertions')
    .where('jti', 'in', (eb) =>
      eb
        .selectFrom('client_assertions')
        .select('jti')
        .where('expires_at', '<', p.before)
        .limit(p.limit),
    )
    .where('expires_at', '<', p.before)
    .returning('jti'),
)

const expiredDocuments = statement<Batch>()((p) =>
  db
    .deleteFrom('remote_documents')
    .where('url', 'in', (eb) =>
      eb
        .selectFrom('remote_documents')
        .select('url')
        .where('expires_at', '<', p.before)
        .limit(p.limit),
    )
    .returning('url'),
)

const expiredInitialTokens = statement<{ before: number }>()((p) =>
  db.deleteFrom('initial_access_tokens').where('expires_at', '<', p.before),
)

export const reads = {}

export const writes = {
  /**
   * Deletes at most `limit` rows of each kind that expired before `before` (epoch seconds), by the
   * indexes on `expires_at` and `expiry_check_at`, and events of before `events_before`. Tells
   * whether there may be more.
   */
  *sweep(batch: Batch & { events_before: number }): Act<boolean> {
    const events = yield* all(oldEvents({ before: batch.events_before, limit: batch.limit }))
    let full = events.length === batch.limit
    for (const expired of [
      expiredRequests,
      expiredGrants,
      postponeGrants,
      expiredRevocations,
      expiredAssertions,
      expiredAgentAssertions,
      expiredDocuments,
    ]) {
      const rows = yield* all(expired(batch) as Parameters<typeof all>[0])
      full ||= rows.length === batch.limit
    }
    yield expiredSecrets(batch)
    yield expiredInitialTokens(batch)
    yield removedKeys(batch)
    return full
  },
}
