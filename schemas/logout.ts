import { type Static, Type } from '@sinclair/typebox'

/** OpenID Connect RP-Initiated Logout 1.0 section 2. */
export const LogoutQuery = Type.Object({
  id_token_hint: Type.Optional(
    Type.String({ maxLength: 8192, description: 'An ID Token of the sign-in, however old' }),
  ),
  client_id: Type.Optional(Type.String({ maxLength: 2048 })),
  post_logout_redirect_uri: Type.Optional(
    Type.String({ maxLength: 2048, description: 'One that is registered for the client' }),
  ),
  state: Type.Optional(Type.String({ maxLength: 4096 })),
  logout_hint: Type.Optional(Type.String({ maxLength: 1024, description: 'Ignored' })),
  ui_locales: Type.Optional(Type.String({ maxLength: 255, description: 'Ignored' })),
})
export type LogoutQuery = Static<typeof LogoutQuery>

/** The same in a form, also the one with which a person confirms. */
export const LogoutForm = Type.Composite(
  [LogoutQuery, Type.Object({ confirmed: Type.Optional(Type.Literal('yes')) })],
  { default: {} },
)
