import { type Static, Type } from '@sinclair/typebox'

export const Health = Type.Object(
  { status: Type.Literal('ok') },
  { description: 'The process answers' },
)
export type Health = Static<typeof Health>

export const Readiness = Type.Object(
  { status: Type.Literal('ready') },
  { description: 'The database can be written and there is a signing key' },
)
export type Readiness = Static<typeof Readiness>
