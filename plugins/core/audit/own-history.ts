import type { FastifyInstance } from 'fastify'
import type { PlacedEvent, Store } from '../../../db/store.ts'

type Filter = Omit<Parameters<Store['events']['listOfOwner']>[1], 'limit'>

/** How many events are read at once. */
const PART = 500

/** All events of an owner that a filter admits, the newest first. */
export async function* readHistory(
  { store }: Pick<FastifyInstance, 'store'>,
  owner_id: string,
  filter: Filter = {},
): AsyncGenerator<PlacedEvent> {
  let { before } = filter
  for (;;) {
    const part = await store.events.listOfOwner(owner_id, { ...filter, before, limit: PART })
    yield* part
    before = part.at(-1)
    if (part.length < PART) return
  }
}
