import { endSignIns } from './agent-sign-ins.ts'
import { deleteAgent } from './agents.ts'
import { recordEvent } from './events.ts'
import { ownedAgents } from './owned-agents.ts'
import { beginsLike, eachOnce, isOlder, lowerCase, type PageFilter } from './pages.ts'
import { forgetConsentsOfOwner } from './remembered-consents.ts'
import { type Act, all, db, one, statement } from './statement.ts'
import type { EventRow, OwnerRow } from './tables.ts'

/** A person. */
export interface Owner extends Omit<OwnerRow, 'email_verified' | 'operator' | 'mail_sign_in'> {
  email_verified: boolean
  operator: boolean
  mail_sign_in: boolean
}
export type OwnerChange = Partial<
  Pick<Owner, 'name' | 'operator' | 'mail_sign_in' | 'email_verified' | 'disabled_at'>
>

const ownerById = statement<{ owner_id: string }>()((p) =>
  db.selectFrom('owners').selectAll().where('owner_id', '=', p.owner_id),
)

export function ownerFromRow(row: OwnerRow): Owner {
  return {
    ...row,
    email_verified: row.email_verified === 1,
    operator: row.operator === 1,
    mail_sign_in: row.mail_sign_in === 1,
  }
}

function toBit(value: boolean): number {
  return value ? 1 : 0
}

function toRow(owner: Owner): OwnerRow {
  return {
    ...owner,
    email_verified: toBit(owner.email_verified),
    operator: toBit(owner.operator),
    mail_sign_in: toBit(owner.mail_sign_in),
  }
}

/** Gives an owner with a verified address the agents that bear it and belong to nobody. */
function* claimAgents({ owner_id, email, email_verified }: Owner): Act<void> {
  if (!email_verified) return
  yield db
    .updateTable('agents')
    .set({ owner_id })
    .where('email', '=', email)
    .where('owner_id', 'is', null)
    .compile()
}

/** What lets an owner in: a passkey for this host, or a mailed code. */
export interface WaysIn {
  /** The host that passkeys are good for; undefined where there can be none. */
  rp_id: string | undefined
  /** Whether codes can be mailed. */
  mail: boolean
}

/** Ends where the person signed in, and what was consented to; agents go on by themselves. */
function* endOwnSignIns(owner_id: string, now: number): Act<void> {
  yield db
    .updateTable('grants')
    .set({ revoked_at: now })
    .where('owner_id', '=', owner_id)
    .where('revoked_at', 'is', null)
    .compile()
  yield* forgetConsentsOfOwner(owner_id)
}

/** What must not be removed unknowingly. */
export interface Guard extends WaysIn {
  /** Whether to go on all the same. */
  even_if_last: boolean
}

export type GuardedChange =
  | { outcome: 'changed'; owner: Owner }
  /** No other operator could sign in. */
  | { outcome: 'last_operator' }
  /** The owner himself could not sign in. */
  | { outcome: 'last_way_in' }
  | { outcome: 'not_found' }

/** The query of owners who are enabled and have a way in. */
function ownersWithWayIn({ rp_id, mail }: WaysIn) {
  return db
    .selectFrom('owners')
    .select('owners.owner_id')
    .where('owners.disabled_at', 'is', null)
    .where((eb) =>
      eb.or([
        ...(mail ? [eb('owners.mail_sign_in', '=', 1)] : []),
        eb.exists(
          eb
            .selectFrom('passkeys')
            .select('passkeys.credential_id')
            .whereRef('passkeys.owner_id', '=', 'owners.owner_id')
            .where('passkeys.rp_id', '=', rp_id ?? ''),
        ),
      ]),
    )
}

/** Whether an owner can sign in. */
export function* hasWayIn(owner_id: string, ways: WaysIn): Act<boolean> {
  const row = yield* one(ownersWithWayIn(ways).where('owners.owner_id', '=', owner_id).compile())
  return row !== undefined
}

/**
 * Whether an owner is an operator while no other who is enabled has a way in. Writes the operators'
 * rows first, so that of two who remove one another only one succeeds, on every database.
 */
function* isLastOperator(owner: Owner, ways: WaysIn): Act<boolean> {
  if (!owner.operator || owner.disabled_at !== null) return false
  yield db.updateTable('owners').set({ operator: 1 }).where('operator', '=', 1).compile()
  const another = yield* one(
    ownersWithWayIn(ways)
      .where('owners.operator', '=', 1)
      .where('owners.owner_id', '!=', owner.owner_id)
      .limit(1)
      .compile(),
  )
  return another === undefined
}

function* findOwner(owner_id: string): Act<Owner | undefined> {
  const row = yield* one(ownerById({ owner_id }))
  return row && ownerFromRow(row)
}

export function* ownerByEmail(email: string): Act<Owner | undefined> {
  const row = yield* one(db.selectFrom('owners').selectAll().where('email', '=', email).compile())
  return row && ownerFromRow(row)
}

/** Makes an owner, unless the address has one. Of callers that race, one succeeds. */
export function* insertOwner(owner: Owner): Act<boolean> {
  const row = yield* one(
    db
      .insertInto('owners')
      .values(toRow(owner))
      .onConflict((conflict) => conflict.doNothing())
      .returning('owner_id')
      .compile(),
  )
  if (row === undefined) return false
  yield* claimAgents(owner)
  return true
}

/**
 * Changes what is named. A verified address brings the agents that bear it. Disabling ends where the
 * person signed in in the place of an agent, and what was consented to.
 */
export function* changeOwner(owner_id: string, change: OwnerChange): Act<Owner | undefined> {
  const { email_verified, operator, mail_sign_in, ...rest } = change
  const row = yield* one(
    db
      .updateTable('owners')
      // A change of nothing writes the row too, which keeps others from changing it meanwhile.
      .set((eb) => ({
        owner_id: eb.ref('owner_id'),
        ...rest,
        ...(email_verified !== undefined && { email_verified: toBit(email_verified) }),
        ...(operator !== undefined && { operator: toBit(operator) }),
        ...(mail_sign_in !== undefined && { mail_sign_in: toBit(mail_sign_in) }),
      }))
      .where('owner_id', '=', owner_id)
      .returningAll()
      .compile(),
  )
  if (row === undefined) return undefined
  const owner = ownerFromRow(row)
  yield* claimAgents(owner)
  if (typeof change.disabled_at === 'number') yield* endOwnSignIns(owner_id, change.disabled_at)
  return owner
}

/** A mail to the address was answered. */
export function* verifyEmail(owner: Owner): Act<Owner> {
  if (owner.email_verified) return owner
  return (yield* changeOwner(owner.owner_id, { email_verified: true })) ?? owner
}

function* endSessions(owner_id: string): Act<void> {
  yield db.deleteFrom('owner_sessions').where('owner_id', '=', owner_id).compile()
}

export const reads = {
  find: findOwner,

  findByEmail: ownerByEmail,

  /** A page of them, the newest first, or what a search finds. By the indexes on age and names. */
  *page({ before, search, limit }: PageFilter): Act<Owner[]> {
    let query = db.selectFrom('owners').selectAll().limit(limit)
    if (search !== undefined) {
      const found = [
        ...(yield* all(query.where('owner_id', '=', search).compile())),
        ...(yield* all(
          query.where(beginsLike('name', search)).orderBy(lowerCase('name')).compile(),
        )),
        ...(yield* all(
          query.where(beginsLike('email', search)).orderBy(lowerCase('email')).compile(),
        )),
      ]
      return eachOnce(found, (row) => row.owner_id, limit).map(ownerFromRow)
    }
    if (before !== undefined) query = query.where(isOlder('owner_id', before))
    const rows = yield* all(
      query.orderBy('created_at', 'desc').orderBy('owner_id', 'desc').compile(),
    )
    return rows.map(ownerFromRow)
  },

  /** How many there are, and how many are disabled, by the index on those. */
  *count(): Act<{ all: number; disabled: number }> {
    const counted = db.selectFrom('owners').select((eb) => eb.fn.countAll().as('count'))
    const every = yield* one(counted.compile())
    const disabled = yield* one(counted.where('disabled_at', 'is not', null).compile())
    return { all: Number(every?.count ?? 0), disabled: Number(disabled?.count ?? 0) }
  },

  /** Who may administer, with how many passkeys for a host each has. */
  *listOperators(rp_id: string | undefined): Act<(Owner & { passkeys: number })[]> {
    const rows = yield* all(
      db
        .selectFrom('owners')
        .selectAll()
        .select((eb) =>
          eb
            .selectFrom('passkeys')
            .select((inner) => inner.fn.countAll().as('count'))
            .whereRef('passkeys.owner_id', '=', 'owners.owner_id')
            .where('passkeys.rp_id', '=', rp_id ?? '')
            .as('passkeys'),
        )
        .where('operator', '=', 1)
        .orderBy('created_at')
        .orderBy('owner_id')
        .compile(),
    )
    return rows.map(({ passkeys, ...row }) => ({
      ...ownerFromRow(row),
      passkeys: Number(passkeys ?? 0),
    }))
  },

  *list(): Act<Owner[]> {
    const rows = yield* all(
      db.selectFrom('owners').selectAll().orderBy('created_at').orderBy('owner_id').compile(),
    )
    return rows.map(ownerFromRow)
  },

  /** Whether anybody may administer this server who is not disabled. */
  *hasOperator(): Act<boolean> {
    const row = yield* one(
      db
        .selectFrom('owners')
        .select('owner_id')
        .where('operator', '=', 1)
        .where('disabled_at', 'is', null)
        .limit(1)
        .compile(),
    )
    return row !== undefined
  },
}

export const writes = {
  /** Makes an owner, unless the address has one. Of callers that race, one succeeds. */
  create: insertOwner,

  /** Changes what is named and guards nothing. A verified address brings the agents that bear it. */
  update: changeOwner,

  /**
   * Makes an owner an operator or an ordinary owner, enables or disables him. Disabling ends his
   * sessions and, with `agents`, disables his agents. The last operator stays one.
   */
  *changeGuarded(
    owner_id: string,
    change: Pick<OwnerChange, 'operator' | 'disabled_at'>,
    guard: Guard,
    { agents, now }: { agents: boolean; now: number },
    event: EventRow,
  ): Act<GuardedChange> {
    const before = yield* changeOwner(owner_id, {})
    if (before === undefined) return { outcome: 'not_found' }
    const removes = change.operator === false || typeof change.disabled_at === 'number'
    if (removes && !guard.even_if_last && (yield* isLastOperator(before, guard))) {
      return { outcome: 'last_operator' }
    }
    const owner = yield* changeOwner(owner_id, change)
    if (owner === undefined) return { outcome: 'not_found' }
    if (typeof change.disabled_at === 'number') {
      yield* endSessions(owner_id)
      if (agents) yield* disableAgents(owner_id, now)
    }
    yield* recordEvent({ ...event, owner_id: event.owner_id ?? owner_id })
    return { outcome: 'changed', owner }
  },

  /** Turns sign-in by mailed codes on or off; not off where it is the owner's last way in. */
  *changeMailSignIn(
    owner_id: string,
    mail_sign_in: boolean,
    guard: Guard,
    event: EventRow,
  ): Act<GuardedChange> {
    const before = yield* changeOwner(owner_id, {})
    if (before === undefined) return { outcome: 'not_found' }
    const passkeysOnly = { ...guard, mail: false }
    if (!mail_sign_in && !guard.even_if_last && !(yield* hasWayIn(owner_id, passkeysOnly))) {
      return { outcome: 'last_way_in' }
    }
    const owner = yield* changeOwner(owner_id, { mail_sign_in })
    if (owner === undefined) return { outcome: 'not_found' }
    yield* recordEvent({ ...event, owner_id: event.owner_id ?? owner_id })
    return { outcome: 'changed', owner }
  },

  /**
   * Removes the owner with sessions, passkeys and invitations. With `agents`, the agents go with all
   * their sign-ins; else they stay and belong to nobody. The last operator stays.
   */
  *delete(
    owner_id: string,
    guard: Guard,
    { agents }: { agents: boolean },
    event: EventRow,
  ): Act<GuardedChange> {
    const before = yield* changeOwner(owner_id, {})
    if (before === undefined) return { outcome: 'not_found' }
    if (!guard.even_if_last && (yield* isLastOperator(before, guard))) {
      return { outcome: 'last_operator' }
    }
    const owned = agents ? yield* ownedAgents(owner_id) : []
    for (const agent_id of owned) yield* deleteAgent(agent_id, event.at)
    yield db.deleteFrom('owners').where('owner_id', '=', owner_id).compile()
    yield* recordEvent({ ...event, owner_id: event.owner_id ?? owner_id })
    return { outcome: 'changed', owner: before }
  },
}

function* disableAgents(owner_id: string, now: number): Act<void> {
  const agents = yield* all(
    db
      .updateTable('agents')
      .set({ disabled_at: now })
      .where('owner_id', '=', owner_id)
      .where('disabled_at', 'is', null)
      .returning('agent_id')
      .compile(),
  )
  for (const { agent_id } of agents) yield* endSignIns(agent_id, now)
}
