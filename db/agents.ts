import { type AgentKey, listKeys } from './agent-keys.ts'
import { endCompromised, endSignIns } from './agent-sign-ins.ts'
import { endApprovalsOfAgent } from './approvals.ts'
import { recordEvent } from './events.ts'
import { noticeLogouts } from './logout-notices.ts'
import { beginsLike, eachOnce, isOlder, lowerCase, type PageFilter } from './pages.ts'
import { allowsSecret } from './policies.ts'
import { forgetApprovalsOfAgent } from './remembered-approvals.ts'
import { forgetConsentsOfAgent } from './remembered-consents.ts'
import {
  addSecret,
  findLiveSecrets,
  type LiveSecret,
  removeSecrets,
  replaceSecret,
} from './secrets.ts'
import { type Act, all, db, one, statement } from './statement.ts'
import type { AgentRow, EventRow, SecretRow } from './tables.ts'

export interface Agent extends Omit<AgentRow, 'email_verified'> {
  /** Whether the operator vouches that `email` is the owner's; see `isEmailVerified`. */
  email_verified: boolean
}
/** What websites are told of the agent's owner. */
export type OwnerClaims = Pick<Agent, 'email' | 'email_verified'>

/**
 * The `email_verified` claim (OpenID Connect Core section 5.1): the operator vouches for the address, or
 * the person whose agent it is has proved that it is his.
 */
export function isEmailVerified(
  { email_verified }: Pick<AgentRow | Agent, 'email_verified'>,
  owner: { email_verified: number | boolean | null } | undefined,
): boolean {
  return Boolean(email_verified) || Boolean(owner?.email_verified)
}

export type AgentChange = Partial<Pick<Agent, 'email' | 'email_verified' | 'name' | 'disabled_at'>>

const agentColumns = [
  'agent_id',
  'owner_id',
  'email',
  'email_verified',
  'name',
  'created_at',
  'disabled_at',
] as const satisfies (keyof AgentRow)[]

const agentById = statement<{ agent_id: string }>()((p) =>
  db.selectFrom('agents').selectAll().where('agent_id', '=', p.agent_id),
)

/** The person for whom an address is verified. */
function verifiedOwner(email: string) {
  return db
    .selectFrom('owners')
    .select('owner_id')
    .where('email', '=', email)
    .where('email_verified', '=', 1)
}

function fromRow(row: AgentRow): Agent {
  return { ...row, email_verified: row.email_verified === 1 }
}

function* find(agent_id: string): Act<Agent | undefined> {
  const row = yield* one(agentById({ agent_id }))
  return row && fromRow(row)
}

export const reads = {
  find,

  /** The agent, with the secrets that are valid at `now`: none when its policy forbids secrets. */
  *findWithSecrets(
    agent_id: string,
    now: number,
  ): Act<(Agent & { secrets: LiveSecret[] }) | undefined> {
    const agent = yield* find(agent_id)
    if (agent === undefined) return undefined
    const secrets = (yield* allowsSecret(agent_id)) ? yield* findLiveSecrets(agent_id, now) : []
    return { ...agent, secrets }
  },

  /** The agent, with the public keys that it registered. */
  *findWithKeys(agent_id: string): Act<(Agent & { keys: AgentKey[] }) | undefined> {
    const agent = yield* find(agent_id)
    return agent && { ...agent, keys: yield* listKeys(agent_id) }
  },

  /** A page of them, the newest first, or what a search finds. By the indexes on age and names. */
  *page({ before, search, limit }: PageFilter): Act<Agent[]> {
    let query = db.selectFrom('agents').selectAll().limit(limit)
    if (search !== undefined) {
      const found = [
        ...(yield* all(query.where('agent_id', '=', search).compile())),
        ...(yield* all(
          query.where(beginsLike('name', search)).orderBy(lowerCase('name')).compile(),
        )),
        ...(yield* all(
          query.where(beginsLike('email', search)).orderBy(lowerCase('email')).compile(),
        )),
      ]
      return eachOnce(found, (row) => row.agent_id, limit).map(fromRow)
    }
    if (before !== undefined) query = query.where(isOlder('agent_id', before))
    const rows = yield* all(
      query.orderBy('created_at', 'desc').orderBy('agent_id', 'desc').compile(),
    )
    return rows.map(fromRow)
  },

  /** How many there are, and how many are disabled, by the index on those. */
  *count(): Act<{ all: number; disabled: number }> {
    const counted = db.selectFrom('agents').select((eb) => eb.fn.countAll().as('count'))
    const every = yield* one(counted.compile())
    const disabled = yield* one(counted.where('disabled_at', 'is not', null).compile())
    return { all: Number(every?.count ?? 0), disabled: Number(disabled?.count ?? 0) }
  },

  *list(): Act<Agent[]> {
    const rows = yield* all(
      db.selectFrom('agents').selectAll().orderBy('created_at').orderBy('agent_id').compile(),
    )
    return rows.map(fromRow)
  },

  /** One agent, if it is this owner's. */
  *findOfOwner(owner_id: string, agent_id: string): Act<Agent | undefined> {
    const agent = yield* find(agent_id)
    return agent?.owner_id === owner_id ? agent : undefined
  },

  /** The agents of one owner, by the index on `owner_id`. */
  *listOfOwner(owner_id: string): Act<Agent[]> {
    const rows = yield* all(
      db
        .selectFrom('agents')
        .selectAll()
        .where('owner_id', '=', owner_id)
        .orderBy('created_at')
        .orderBy('agent_id')
        .compile(),
    )
    return rows.map(fromRow)
  },
}

/** Deletes the agent and, by the foreign keys, every row that refers to it. */
export function* deleteAgent(agent_id: string, now: number): Act<boolean> {
  yield* noticeLogouts({ agent_id }, now)
  const row = yield* one(
    db.deleteFrom('agents').where('agent_id', '=', agent_id).returning('agent_id').compile(),
  )
  yield* removeSecrets(agent_id)
  return row !== undefined
}

export const writes = {
  /** Makes an agent. It belongs to the person for whom its address is verified, if there is one. */
  *create(agent: Omit<Agent, 'owner_id'>, secret: SecretRow): Act<Agent> {
    const row = yield* one(
      db
        .insertInto('agents')
        .values((eb) => ({
          ...agent,
          email_verified: agent.email_verified ? 1 : 0,
          owner_id: eb.selectFrom(verifiedOwner(agent.email).as('owner')).select('owner.owner_id'),
        }))
        .returningAll()
        .compile(),
    )
    if (row === undefined) throw new Error('An agent was not inserted')
    yield* addSecret(secret)
    return fromRow(row)
  },

  /**
   * Registers an agent of an owner, unless the owner has `limit` of them: of callers that race, no more
   * than that succeed.
   */
  *createOfOwner(
    { email_verified, ...agent }: Agent & { owner_id: string },
    secret: SecretRow,
    limit: number,
    event: EventRow,
  ): Act<boolean> {
    const { agent_id, owner_id, email, name, created_at, disabled_at } = agent
    const row = yield* one(
      db
        .insertInto('agents')
        .columns(agentColumns)
        .expression(
          db
            .selectNoFrom((eb) => [
              eb.val(agent_id).as('agent_id'),
              eb.val(owner_id).as('owner_id'),
              eb.val(email).as('email'),
              eb.val(email_verified ? 1 : 0).as('email_verified'),
              eb.val(name).as('name'),
              eb.val(created_at).as('created_at'),
              eb.val(disabled_at).as('disabled_at'),
            ])
            .where(
              db
                .selectFrom('agents')
                .where('owner_id', '=', owner_id)
                .select((eb) => eb.fn.countAll<number>().as('count')),
              '<',
              limit,
            ),
        )
        .returning('agent_id')
        .compile(),
    )
    if (row === undefined) return false
    yield* addSecret(secret)
    yield* recordEvent(event)
    return true
  },

  /**
   * Changes what is named. Disabling ends every grant and open approval of the agent with it; for
   * another e-mail address nothing has been approved yet, nobody vouches unless the change says so, and
   * the agent is the person's for whom that address is verified.
   */
  *update(agent_id: string, change: AgentChange, now: number): Act<Agent | undefined> {
    const { email, email_verified, ...rest } = change
    const before = yield* one(agentById({ agent_id }))
    const agent = yield* one(
      db
        .updateTable('agents')
        .set((eb) => ({
          ...rest,
          ...(email !== undefined && {
            email,
            owner_id: eb.selectFrom(verifiedOwner(email).as('owner')).select('owner.owner_id'),
            email_verified: eb
              .case()
              .when('email', '=', email)
              .then(eb.ref('email_verified'))
              .else(0)
              .end(),
          }),
          ...(email_verified !== undefined && { email_verified: email_verified ? 1 : 0 }),
        }))
        .where('agent_id', '=', agent_id)
        .returningAll()
        .compile(),
    )
    if (agent !== undefined && typeof change.disabled_at === 'number') {
      yield* endSignIns(agent_id, now)
    }
    if (agent?.email !== before?.email) {
      yield* endApprovalsOfAgent(agent_id)
      yield* forgetApprovalsOfAgent(agent_id)
      yield* forgetConsentsOfAgent(agent_id)
    }
    return agent && fromRow(agent)
  },

  delete: deleteAgent,

  /**
   * Replaces the secret. Approvals that the agent has asked for end when the old secret ends at once.
   * If the old secret is `compromised`, every grant and remembered approval ends too.
   */
  *replaceSecret(secret: SecretRow, endOld: number, compromised: boolean): Act<void> {
    const { holder_id: agent_id, created_at: now } = secret
    yield* replaceSecret(secret, endOld)
    if (compromised) yield* endCompromised(agent_id, now)
    else if (endOld <= now) yield* endApprovalsOfAgent(agent_id)
  },
}
