import { type Act, all, db, statement } from './statement.ts'
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
] as const satisfies (keyof Event)[]

const insertEvent = statement<Event>()((p) =>
  db.insertInto('events').values(({ fn, lit, eb, selectFrom }) => ({
    event_id: p.event_id,
    at: p.at,
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
    event: p.event,
    outcome: p.outcome,
    agent_id: p.agent_id,
    client_id: p.client_id,
    model: p.model,
    method: p.method,
    address: p.address,
    detail: p.detail,
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
