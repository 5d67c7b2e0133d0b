import { type Static, Type } from '@sinclair/typebox'
import { FormPost } from './check-status.ts'
import { NameText } from './name.ts'
import { SignInDescription } from './sign-in-description.ts'

/**
 * Six digits, as people and models write them: spaces are ignored, a number counts as six digits with
 * leading zeros, and null and an empty string count as left out.
 */
export const ApprovalCode = Type.Union(
  [
    Type.String({ maxLength: 32, pattern: '^(\\s*(\\d\\s*){6}|\\s*)$' }),
    Type.Integer({ minimum: 0, maximum: 999_999 }),
    Type.Null(),
  ],
  { description: 'The six digits that the owner gave the agent, in an approval that was asked' },
)
export type ApprovalCode = Static<typeof ApprovalCode>

/** The six digits; undefined when none were given. */
export function toDigits(code: ApprovalCode | undefined): string | undefined {
  if (code === undefined || code === null) return undefined
  return (
    String(code)
      .replace(/\s/g, '')
      .padStart(typeof code === 'number' ? 6 : 0, '0') || undefined
  )
}

export const AuthenticateBody = Type.Object({
  request_id: Type.String({ minLength: 1 }),
  agent_id: Type.Optional(Type.String({ minLength: 1 })),
  agent_secret: Type.Optional(Type.String({ minLength: 1 })),
  agent_assertion: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'In place of the secret, a JWT signed by a registered key of the agent',
    }),
  ),
  model: NameText('The language model that acts, by its usual name'),
  deliver: Type.Optional(
    Type.Literal('agent', {
      description: 'Gives the callback URL only to the agent, in this answer',
    }),
  ),
  expected_client_id: Type.Optional(
    Type.String({
      minLength: 1,
      description: 'The client_id of the site that the agent means to sign in to',
    }),
  ),
  expected_redirect_host: Type.Optional(
    Type.String({
      minLength: 1,
      description:
        'The host of that site’s redirect URI, with its port unless that is the usual one',
    }),
  ),
  approval_code: Type.Optional(ApprovalCode),
})
export type AuthenticateBody = Static<typeof AuthenticateBody>

export const AuthenticateResponse = Type.Object(
  {
    status: Type.Literal('authenticated'),
    success: Type.Boolean({ description: 'True' }),
    message: Type.String(),
    redirect_to: Type.String({ description: 'The callback URL, for an agent without a browser' }),
    form_post: Type.Optional(FormPost),
  },
  { description: 'The agent is signed in' },
)
export type AuthenticateResponse = Static<typeof AuthenticateResponse>

/** The agent has proved itself, and its owner is asked. */
export const ApprovalRequired = Type.Object({
  status: Type.Literal('requires_2fa'),
  success: Type.Boolean({ description: 'False' }),
  requires_2fa: Type.Boolean({ description: 'True' }),
  expires_in: Type.Integer({ description: 'Seconds that the owner has to answer' }),
  mailed_at: Type.Union([Type.Integer(), Type.Null()], {
    description:
      'When the owner was mailed a code, in epoch seconds; null if no code was sent and the operator answers',
  }),
  message: Type.String(),
  sign_in: SignInDescription,
})
export type ApprovalRequired = Static<typeof ApprovalRequired>

export const AuthenticateOutcome = Type.Union([AuthenticateResponse, ApprovalRequired], {
  description: 'The agent is signed in, or its owner has to approve first',
})
export type AuthenticateOutcome = Static<typeof AuthenticateOutcome>
