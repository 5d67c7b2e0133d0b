import { type Static, Type } from '@sinclair/typebox'

/** What a history is filtered by. Days are those of UTC. */
export const HistoryQuery = Type.Object({
  agent_id: Type.Optional(Type.String()),
  client_id: Type.Optional(Type.String()),
  event: Type.Optional(Type.String()),
  from: Type.Optional(Type.String()),
  to: Type.Optional(Type.String()),
})
export type HistoryQuery = Static<typeof HistoryQuery>
