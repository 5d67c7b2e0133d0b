import { type Static, Type } from '@sinclair/typebox'

/** OpenID Connect Core section 5.3.2: the owner's e-mail address and nothing else of a person. */
export const UserinfoResponse = Type.Object(
  {
    sub: Type.String(),
    agent_id: Type.Optional(
      Type.String({ description: 'Beside a `sub` that is the agent’s owner' }),
    ),
    email: Type.String(),
    email_verified: Type.Boolean({
      description:
        'Whether its owner has proved it, or the operator vouches for it (OpenID Connect Core section 5.1)',
    }),
  },
  { description: "The agent and its owner's e-mail address" },
)
export type UserinfoResponse = Static<typeof UserinfoResponse>

/** RFC 6750 section 2.2; without the token where it is in the Authorization header. */
export const UserinfoForm = Type.Object(
  { access_token: Type.Optional(Type.String()) },
  { default: {} },
)
export type UserinfoForm = Static<typeof UserinfoForm>
