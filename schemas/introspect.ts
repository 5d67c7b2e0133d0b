import { type Static, Type } from '@sinclair/typebox'
import { ClientCredentials } from './token.ts'

/** RFC 7662 section 2.1, and RFC 7009 section 2.1, which has the same members. */
export const TokenQuery = Type.Composite([
  Type.Object({
    token: Type.String({ minLength: 1 }),
    token_type_hint: Type.Optional(Type.String()),
  }),
  ClientCredentials,
])
export type TokenQuery = Static<typeof TokenQuery>

/** RFC 7662 section 2.2. */
export const IntrospectionResponse = Type.Object(
  {
    active: Type.Boolean(),
    scope: Type.Optional(Type.String()),
    client_id: Type.Optional(Type.String()),
    sub: Type.Optional(Type.String()),
    username: Type.Optional(
      Type.String({ description: 'The owner’s e-mail address, where `email` was granted' }),
    ),
    auth_time: Type.Optional(Type.Integer()),
    acr: Type.Optional(Type.String()),
    amr: Type.Optional(Type.Array(Type.String())),
    model: Type.Optional(Type.String({ description: 'Absent where a person signed in' })),
    agent_id: Type.Optional(
      Type.String({ description: 'Beside a `sub` that is the agent’s owner' }),
    ),
    exp: Type.Optional(Type.Integer()),
    iat: Type.Optional(Type.Integer()),
    iss: Type.Optional(Type.String()),
    aud: Type.Optional(Type.Union([Type.String(), Type.Array(Type.String())])),
    jti: Type.Optional(Type.String()),
    token_type: Type.Optional(Type.String()),
  },
  { description: 'Whether the token is valid, and its claims' },
)
export type IntrospectionResponse = Static<typeof IntrospectionResponse>
