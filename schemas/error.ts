import { type Static, Type } from '@sinclair/typebox'

/**
 * RFC 6749 sections 4.1.2.1 and 5.2, RFC 6750 section 3.1, RFC 7009, RFC 7591, RFC 8707, OpenID
 * Connect Core section 3.1.2.6, and our own.
 */
export const ErrorCode = Type.Union([
  Type.Literal('invalid_request'),
  Type.Literal('invalid_grant'),
  Type.Literal('invalid_scope'),
  Type.Literal('invalid_target'),
  Type.Literal('unauthorized_client'),
  Type.Literal('unsupported_grant_type'),
  Type.Literal('unsupported_response_type'),
  Type.Literal('unsupported_token_type'),
  Type.Literal('login_required'),
  Type.Literal('request_not_supported'),
  Type.Literal('request_uri_not_supported'),
  Type.Literal('registration_not_supported'),
  Type.Literal('invalid_redirect_uri'),
  Type.Literal('invalid_client_metadata'),
  Type.Literal('invalid_client'),
  Type.Literal('invalid_credentials'),
  Type.Literal('invalid_token'),
  Type.Literal('access_denied'),
  Type.Literal('insufficient_scope'),
  Type.Literal('not_found'),
  Type.Literal('request_expired'),
  Type.Literal('server_error'),
  Type.Literal('temporarily_unavailable'),
])
export type ErrorCode = Static<typeof ErrorCode>

/** What refused an agent's sign-in. */
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
  { description: 'With access_denied to an agent: what refused' },
)
export type RefusalReason = Static<typeof RefusalReason>

/** RFC 6749 section 5.2. */
export const ErrorBody = Type.Object({
  error: ErrorCode,
  error_description: Type.String(),
  reason: Type.Optional(RefusalReason),
})
export type ErrorBody = Static<typeof ErrorBody>
