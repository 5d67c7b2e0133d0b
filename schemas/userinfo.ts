import { type Static, Type } from '@sinclair/typebox'

/** OpenID Connect Core section 5.3.2: the owner's e-mail address and nothing else of a person. */
export const UserinfoResponse = Type.Object({
  sub: Type.String(),
  email: Type.String(),
  /** Whether the operator vouches for it (OpenID Connect Core section 5.1). */
  email_verified: Type.Boolean(),
})
export type UserinfoResponse = Static<typeof UserinfoResponse>
