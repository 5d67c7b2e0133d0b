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

/** RFC 6749 section 5.2. */
export const ErrorBody = Type.Object({ error: ErrorCode, error_description: Type.String() })
export type ErrorBody = Static<typeof ErrorBody>
