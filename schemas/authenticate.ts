import { type Static, Type } from '@sinclair/typebox'
import { FormPost } from './check-status.ts'

export const AuthenticateBody = Type.Object({
  request_id: Type.String({ minLength: 1, maxLength: 255 }),
  agent_id: Type.String({ minLength: 1, maxLength: 255 }),
  agent_secret: Type.String({ minLength: 1, maxLength: 255 }),
  model: Type.String({
    minLength: 1,
    maxLength: 255,
    pattern: '^[^\\u0000-\\u001f\\u007f]*$',
    description: 'The language model that acts, by its usual name',
  }),
})
export type AuthenticateBody = Static<typeof AuthenticateBody>

export const AuthenticateResponse = Type.Object({
  status: Type.Literal('authenticated'),
  success: Type.Literal(true),
  message: Type.String(),
  redirect_to: Type.String({ description: 'The callback URL, for an agent without a browser' }),
  form_post: Type.Optional(FormPost),
})
export type AuthenticateResponse = Static<typeof AuthenticateResponse>
