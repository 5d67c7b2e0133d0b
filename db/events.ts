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

export const reads = {
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
