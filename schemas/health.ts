import { type Static, Type } from '@sinclair/typebox'

export const Health = Type.Object(
  { status: Type.Literal('ok') },
  { description: 'The process answers' },
)
export type Health = Static<typeof Health>

export const Readiness = Type.Object(
  { status: Type.Literal('ready') },
  { description: 'The database and a signing key are there' },
)
export type Readiness = Static<typeof Readiness>
