import { type Static, Type } from '@sinclair/typebox'

/** Binary data in base64url, as WebAuthn Level 3 section 5.1 has it in JSON. */
const Bytes = (maxLength: number) => Type.String({ pattern: '^[A-Za-z0-9_-]+$', maxLength })

const Credential = {
  id: Bytes(1400),
  rawId: Bytes(1400),
  type: Type.Literal('public-key'),
  clientExtensionResults: Type.Object({}),
  authenticatorAttachment: Type.Optional(Type.String({ maxLength: 32 })),
}

/** What a browser answers when a passkey was made (`RegistrationResponseJSON`). */
export const PasskeyRegistration = Type.Object({
  ...Credential,
  response: Type.Object({
    clientDataJSON: Bytes(8192),
    attestationObject: Bytes(40_000),
    transports: Type.Optional(Type.Array(Type.String({ maxLength: 32 }), { maxItems: 10 })),
  }),
})
export type PasskeyRegistration = Static<typeof PasskeyRegistration>

/** What a browser answers when a passkey was used (`AuthenticationResponseJSON`). */
export const PasskeyAssertion = Type.Object({
  ...Credential,
  response: Type.Object({
    clientDataJSON: Bytes(8192),
    authenticatorData: Bytes(8192),
    signature: Bytes(8192),
    userHandle: Type.Optional(Type.Union([Bytes(128), Type.Null()])),
  }),
})
export type PasskeyAssertion = Static<typeof PasskeyAssertion>
