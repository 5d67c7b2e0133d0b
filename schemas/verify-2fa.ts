import { type Static, Type } from '@sinclair/typebox'
import { AuthenticateBody } from './authenticate.ts'

export const VerifyBody = Type.Composite([
  Type.Pick(AuthenticateBody, [
    'request_id',
    'model',
    'agent_id',
    'agent_secret',
    'agent_assertion',
  ]),
  Type.Object({
    code: Type.String({ pattern: '^\\d{6}$', description: 'Six digits, from the owner' }),
  }),
])
export type VerifyBody = Static<typeof VerifyBody>
