import { repeatBriefly } from './bounded.ts'
import { type Act, all, db, statement } from './statement.ts'

export interface Batch {
  before: number
  limit: number
}

/** Rows of a table that expired, by the index on `expires_at`; a row has one or two key columns. */
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

/** Moves the next check of a grant that was refreshed to its new expiry. */
const postponeGrants = statement<Batch>()((p) =>
  db
    .updateTable('grants')
    .set((eb) => ({ expiry_check_at: eb.ref('expires_at') }))
    .where('grant_id', 'in', grantsToCheck(p))
    .where('expires_at', '>=', p.before)
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
    .where(({ eb, refTuple, selectFrom }) =>
      eb(
        refTuple('agent_id', 'jti'),
        'in',
        selectFrom('used_assertions')
          .select(['agent_id', 'jti'])
          .where('expires_at', '<', p.before)
          .limit(p.limit)
          .$asTuple('agent_id', 'jti'),
      ),
    )
    .returning('jti'),
)

const expiredClientAssertions = statement<Batch>()((p) =>
  db
    .deleteFrom('client_assertions')
    .where(({ eb, refTuple, selectFrom }) =>
      eb(
        refTuple('client_id', 'jti'),
        'in',
        selectFrom('client_assertions')
          .select(['client_id', 'jti'])
          .where('expires_at', '<', p.before)
          .limit(p.limit)
          .$asTuple('client_id', 'jti'),
      ),
    )
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

const expiredSecrets = statement<Batch>()((p) =>
  db
    .deleteFrom('secrets')
    .where(({ eb, refTuple, selectFrom }) =>
      eb(
        refTuple('holder_id', 'hint'),
        'in',
        selectFrom('secrets')
          .select(['holder_id', 'hint'])
          .where('expires_at', '<', p.before)
          .limit(p.limit)
          .$asTuple('holder_id', 'hint'),
      ),
    )
    .returning('hint'),
)

/** There are never many of them. */
const removedKeys = statement<Batch>()((p) =>
  db.deleteFrom('signing_keys').where('remove_at', '<', p.before).returning('kid'),
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

const endedConsents = statement<Batch>()((p) =>
  db
    .deleteFrom('remembered_consents')
    .where('grant_id', 'in', (eb) =>
      eb
        .selectFrom('remembered_consents')
        .select('grant_id')
        .where('ends_at', '<', p.before)
        .limit(p.limit),
    )
    .returning('grant_id'),
)

const expiredInitialTokens = statement<Batch>()((p) =>
  db
    .deleteFrom('initial_access_tokens')
    .where('token_id', 'in', (eb) =>
      eb
        .selectFrom('initial_access_tokens')
        .select('token_id')
        .where('expires_at', '<', p.before)
        .limit(p.limit),
    )
    .returning('token_id'),
)

/** Tables of owners whose rows go by one column, which has an index. */
const ofOwners = {
  passkeyChallenges: statement<Batch>()((p) =>
    db
      .deleteFrom('passkey_challenges')
      .where('challenge_hash', 'in', (eb) =>
        eb
          .selectFrom('passkey_challenges')
          .select('challenge_hash')
          .where('expires_at', '<', p.before)
          .limit(p.limit),
      )
      .returning('challenge_hash'),
  ),
  ownerSessions: statement<Batch>()((p) =>
    db
      .deleteFrom('owner_sessions')
      .where('session_hash', 'in', (eb) =>
        eb
          .selectFrom('owner_sessions')
          .select('session_hash')
          .where('expires_at', '<', p.before)
          .limit(p.limit),
      )
      .returning('session_hash'),
  ),
  ownerInvitations: statement<Batch>()((p) =>
    db
      .deleteFrom('owner_invitations')
      .where('token_hash', 'in', (eb) =>
        eb
          .selectFrom('owner_invitations')
          .select('token_hash')
          .where('expires_at', '<', p.before)
          .limit(p.limit),
      )
      .returning('token_hash'),
  ),
  /** Since they were made: they count for longer than they are good. */
  ownerMailCodes: statement<Batch>()((p) =>
    db
      .deleteFrom('owner_mail_codes')
      .where('code_id', 'in', (eb) =>
        eb
          .selectFrom('owner_mail_codes')
          .select('code_id')
          .where('created_at', '<', p.before)
          .limit(p.limit),
      )
      .returning('code_id'),
  ),
}

/** For each kind, removes up to `limit` rows by an index on the expiry and returns their number. */
const steps = {
  events: (batch: Batch) => counted(oldEvents(batch)),
  authorizationRequests: (batch: Batch) => counted(expiredRequests(batch)),
  grants: checkGrants,
  revokedAccessTokens: (batch: Batch) => counted(expiredRevocations(batch)),
  clientAssertions: (batch: Batch) => counted(expiredClientAssertions(batch)),
  agentAssertions: (batch: Batch) => counted(expiredAgentAssertions(batch)),
  remoteDocuments: (batch: Batch) => counted(expiredDocuments(batch)),
  rememberedConsents: (batch: Batch) => counted(endedConsents(batch)),
  secrets: (batch: Batch) => counted(expiredSecrets(batch)),
  initialAccessTokens: (batch: Batch) => counted(expiredInitialTokens(batch)),
  signingKeys: (batch: Batch) => counted(removedKeys(batch)),
  passkeyChallenges: (batch: Batch) => counted(ofOwners.passkeyChallenges(batch)),
  ownerSessions: (batch: Batch) => counted(ofOwners.ownerSessions(batch)),
  ownerInvitations: (batch: Batch) => counted(ofOwners.ownerInvitations(batch)),
  ownerMailCodes: (batch: Batch) => counted(ofOwners.ownerMailCodes(batch)),
} satisfies Record<string, (batch: Batch) => Act<number>>

export type Expiring = keyof typeof steps

/** Every kind of row that expires. */
export const expiring = Object.keys(steps) as Expiring[]

function* counted(query: Parameters<typeof all>[0]): Act<number> {
  return (yield* all(query)).length
}

function* checkGrants(batch: Batch): Act<number> {
  const postponed = yield* all(postponeGrants(batch))
  const expired = yield* all(expiredGrants(batch))
  return postponed.length + expired.length
}

export const reads = {}

export const writes = {
  /**
   * Removes, for some milliseconds, rows of one kind that expired before `before` (epoch seconds); of
   * the audit trail, events that happened before it. Returns whether there may be more.
   */
  *sweep(kind: Expiring, before: number): Act<boolean> {
    return yield* repeatBriefly((limit) => steps[kind]({ before, limit }))
  },
}
