import { type Static, Type } from '@sinclair/typebox'

const ERROR_CODES = [
  'invalid_request',
  'invalid_grant',
  'invalid_scope',
  'invalid_target',
  'unauthorized_client',
  'unsupported_grant_type',
  'unsupported_response_type',
  'unsupported_token_type',
  'login_required',
  'consent_required',
  'interaction_required',
  'request_not_supported',
  'request_uri_not_supported',
  'registration_not_supported',
  'invalid_redirect_uri',
  'invalid_client_metadata',
  'invalid_client',
  'invalid_credentials',
  'invalid_token',
  'access_denied',
  'insufficient_scope',
  'not_found',
  'request_expired',
  'server_error',
  'temporarily_unavailable',
] as const

/**
 * RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1, RFC 7009, RFC 7591, RFC 8707, OpenID
 * Connect Core section 3.1.2.6, and our own.
 */
export type ErrorCode = (typeof ERROR_CODES)[number]
export const ErrorCode = Type.Unsafe<ErrorCode>({ type: 'string', enum: ERROR_CODES })

/** Which check refused an agent's sign-in. */
export const RefusalReason = Type.Union(
  [
    Type.Literal('site', {
      description: 'The request is for another site than the agent expected',
    }),
    Type.Literal('agent', { description: 'The website expects another agent' }),
    Type.Literal('policy', { description: 'A policy of the agent or of the site' }),
    Type.Literal('owner', { description: "The agent's owner said no, or cannot be asked" }),
    Type.Literal('attempts', { description: 'Too many approval codes were wrong' }),
  ],
  { description: 'With access_denied, in answers to agents: which check refused' },
)
export type RefusalReason = Static<typeof RefusalReason>

/** RFC 6749 section 5.2. */
export const ErrorBody = Type.Object({
  success: Type.Optional(
    Type.Boolean({ description: 'False, in the answers to agents; absent in all others' }),
  ),
  error: ErrorCode,
  error_description: Type.String(),
  reason: Type.Optional(RefusalReason),
  error_uri: Type.Optional(
    Type.String({ description: "A page that tells the website's operator what to change" }),
  ),
})
export type ErrorBody = Static<typeof ErrorBody>
