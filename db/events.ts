import { ownedAgents } from './owned-agents.ts'
import { type Act, all, db, pick, statement } from './statement.ts'
import type { EventRow } from './tables.ts'

export type Event = EventRow

const columns = [
  'event_id',
  'at',
  'event',
  'outcome',
  'agent_id',
  'client_id',
  'model',
  'method',
  'address',
  'detail',
  'owner_id',
] as const satisfies (keyof Event)[]

const insertEvent = statement<Event>()((p) =>
  db.insertInto('events').values(({ fn, lit, eb, selectFrom }) => ({
    ...pick(p, columns),
    // By the index on both.
    position: eb(
      fn.coalesce(
        selectFrom('events')
          .select('position')
          .where('at', '=', p.at)
          .orderBy('position', 'desc')
          .limit(1),
        lit(0),
      ),
      '+',
      lit(1),
    ),
  })),
)

/** Records an event, in the transaction of the act that it describes. */
export function* recordEvent(event: Event): Act<void> {
  yield insertEvent(event)
}

export interface EventFilter {
  agent_id?: string
  client_id?: string
  /** The time of the oldest event to return, in epoch seconds. */
  since?: number
  limit: number
}

/** What an owner wants to read of the trail, from one place of it on. */
export interface OwnedEventFilter {
  agent_id?: string | undefined
  client_id?: string | undefined
  event?: EventRow['event'] | undefined
  /** The time of the oldest event to return, in epoch seconds. */
  from?: number | undefined
  /** Before then. */
  to?: number | undefined
  /** The newest that is older than this place. */
  before?: { at: number; position: number } | undefined
  limit: number
}

/** An event with its place in the trail. */
export type PlacedEvent = Event & { position: number }

/** What an operator wants to read of the trail. */
export interface EventPageFilter extends OwnedEventFilter {
  /** The owner who did it. */
  owner_id?: string | undefined
  outcome?: string | undefined
}

/** How often something came of sign-ins within a time. */
export interface Tally {
  what: string | null
  count: number
}

function* listPart({
  agent_id,
  owner_id,
  outcome,
  client_id,
  event,
  from,
  to,
  before,
  limit,
}: EventPageFilter): Act<PlacedEvent[]> {
  let query = db.selectFrom('events').select([...columns, 'position'])
  if (agent_id !== undefined) query = query.where('agent_id', '=', agent_id)
  if (owner_id !== undefined) query = query.where('owner_id', '=', owner_id)
  if (outcome !== undefined) query = query.where('outcome', '=', outcome)
  // So that the index on what was not granted is used.
  if (outcome !== undefined && outcome !== 'granted') {
    query = query.where('outcome', '!=', 'granted')
  }
  if (client_id !== undefined) query = query.where('client_id', '=', client_id)
  if (event !== undefined) query = query.where('event', '=', event)
  if (from !== undefined) query = query.where('at', '>=', from)
  if (to !== undefined) query = query.where('at', '<', to)
  if (before !== undefined) {
    const { at, position } = before
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('at', 'position'), '<', tuple(at, position)),
    )
  }
  return yield* all(query.orderBy('at', 'desc').orderBy('position', 'desc').limit(limit).compile())
}

export const reads = {
  /**
   * What the agents of an owner did, and what the owner did, the newest first. By the indexes on agent
   * and owner, each with the time.
   */
  *listOfOwner(owner_id: string, filter: OwnedEventFilter): Act<PlacedEvent[]> {
    const agents = yield* ownedAgents(owner_id, filter.agent_id)
    const found = new Map<string, PlacedEvent>()
    for (const agent_id of agents) {
      for (const event of yield* listPart({ ...filter, agent_id })) found.set(event.event_id, event)
    }
    if (filter.agent_id === undefined) {
      for (const event of yield* listPart({ ...filter, owner_id })) found.set(event.event_id, event)
    }
    return [...found.values()]
      .sort((one, other) => other.at - one.at || other.position - one.position)
      .slice(0, filter.limit)
  },

  /**
   * A page of the whole trail, the newest first. By the index on agent, owner, website, kind or
   * outcome with the time, or on the time.
   */
  page: listPart,

  /**
   * How often sign-ins had each outcome, or succeeded at each website or with each model, in a time.
   * The most frequent `limit`. By the index on kind and time.
   */
  *tallySignIns(
    by: 'outcome' | 'client_id' | 'model',
    { from, to, limit }: { from: number; to: number; limit: number },
  ): Act<Tally[]> {
    const rows = yield* all(
      db
        .selectFrom('events')
        .select((eb) => [eb.ref(by).as('what'), eb.fn.countAll().as('count')])
        .where('event', '=', 'sign_in')
        .where('at', '>=', from)
        .where('at', '<', to)
        .$if(by !== 'outcome', (query) => query.where('outcome', '=', 'granted'))
        .groupBy(by)
        .orderBy('count', 'desc')
        .orderBy('what')
        .limit(limit)
        .compile(),
    )
    return rows.map(({ what, count }) => ({ what, count: Number(count) }))
  },

  /** The newest events first. */
  *list({ agent_id, client_id, since, limit }: EventFilter): Act<Event[]> {
    let query = db.selectFrom('events').select(columns)
    if (agent_id !== undefined) query = query.where('agent_id', '=', agent_id)
    if (client_id !== undefined) query = query.where('client_id', '=', client_id)
    if (since !== undefined) query = query.where('at', '>=', since)
    return yield* all(
      query
        .orderBy('at', 'desc')
        .orderBy('position', 'desc')
        .orderBy('event_id', 'desc')
        .limit(limit)
        .compile(),
    )
  },
}

export const writes = {
  record: recordEvent,
}
