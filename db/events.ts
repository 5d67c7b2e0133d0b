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

/** Puts an event on record, together with the act that it tells of. */
export function* recordEvent(event: Event): Act<void> {
  yield insertEvent(event)
}

export interface EventFilter {
  agent_id?: string
  client_id?: string
  /** From then on, in epoch seconds. */
  since?: number
  limit: number
}

/** What an owner wants to read of the trail, from one place of it on. */
export interface OwnedEventFilter {
  agent_id?: string | undefined
  client_id?: string | undefined
  event?: EventRow['event'] | undefined
  /** From then on, in epoch seconds. */
  from?: number | undefined
  /** Before then. */
  to?: number | undefined
  /** The newest that is older than this place. */
  before?: { at: number; position: number } | undefined
  limit: number
}

/** An event with its place in the trail. */
export type PlacedEvent = Event & { position: number }

function* listPart(
  whose: { agent_id: string } | { owner_id: string },
  { client_id, event, from, to, before, limit }: OwnedEventFilter,
): Act<PlacedEvent[]> {
  let query = db.selectFrom('events').select([...columns, 'position'])
  if ('agent_id' in whose) query = query.where('agent_id', '=', whose.agent_id)
  else query = query.where('owner_id', '=', whose.owner_id)
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
      for (const event of yield* listPart({ agent_id }, filter)) found.set(event.event_id, event)
    }
    if (filter.agent_id === undefined) {
      for (const event of yield* listPart({ owner_id }, filter)) found.set(event.event_id, event)
    }
    return [...found.values()]
      .sort((one, other) => other.at - one.at || other.position - one.position)
      .slice(0, filter.limit)
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
