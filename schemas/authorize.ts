import { type Static, Type } from '@sinclair/typebox'
import { ResourceParameter } from './resource.ts'
import { SignInDescription } from './sign-in-description.ts'

/** Checked before any redirect (RFC 6749 section 4.1.2.1). */
const AuthorizeTarget = Type.Object({
  client_id: Type.String({ maxLength: 2048 }),
  redirect_uri: Type.Optional(Type.String({ maxLength: 2048 })),
})

/** RFC 6749 section 4.1.1, RFC 7636 section 4.3, OpenID Connect Core section 3.1.2.1. */
export const AuthorizeQuery = Type.Composite([
  AuthorizeTarget,
  Type.Object({
    response_type: Type.String({ maxLength: 64 }),
    code_challenge: Type.String({
      pattern: '^[A-Za-z0-9_-]{43}$',
      description: 'BASE64URL(SHA256(code_verifier))',
    }),
    code_challenge_method: Type.Optional(Type.String({ maxLength: 16, description: 'S256' })),
    scope: Type.Optional(Type.String({ maxLength: 1024 })),
    resource: Type.Optional(ResourceParameter),
    state: Type.Optional(Type.String({ maxLength: 4096 })),
    nonce: Type.Optional(Type.String({ maxLength: 1024 })),
    response_mode: Type.Optional(
      Type.String({ maxLength: 64, description: 'query (the default) or form_post' }),
    ),
    prompt: Type.Optional(
      Type.String({
        maxLength: 255,
        description:
          'none needs a person who is signed in and has consented before; login, consent and select_account ask each time',
      }),
    ),
    max_age: Type.Optional(
      Type.String({
        pattern: '^\\d{1,10}$',
        description: 'How long ago a person may have signed in, in seconds; an agent does so now',
      }),
    ),
    id_token_hint: Type.Optional(
      Type.String({
        maxLength: 8192,
        description: 'Only the agent or owner that it names may sign in',
      }),
    ),
    login_hint: Type.Optional(
      Type.String({ description: 'An agent_id that is preselected where a person consents' }),
    ),
    request: Type.Optional(Type.Unknown({ description: 'Refused' })),
    request_uri: Type.Optional(Type.Unknown({ description: 'Refused' })),
    registration: Type.Optional(Type.Unknown({ description: 'Refused' })),
  }),
])
export type AuthorizeQuery = Static<typeof AuthorizeQuery>

/** The same parameters in a form. A missing body counts as an empty one. */
export const AuthorizeForm = Type.Composite([AuthorizeQuery], { default: {} })

/** The facts of a request for an agent that opened it without a browser. */
export const AuthorizationRequestFacts = Type.Composite([
  SignInDescription,
  Type.Object({
    request_id: Type.String(),
    issuer: Type.String(),
    resource: Type.Array(Type.String(), { description: 'The URIs of the APIs' }),
    expires_in: Type.Integer({ description: 'Seconds' }),
    authenticate_endpoint: Type.String(),
    check_status_endpoint: Type.String(),
    agent_authentication_methods: Type.Array(Type.String()),
  }),
])
export type AuthorizationRequestFacts = Static<typeof AuthorizationRequestFacts>
