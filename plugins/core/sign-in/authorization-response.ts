import { redirectUriProblem } from '../../../schemas/client.ts'
import { OAuthError } from '../http/errors.ts'

/** How an authorization response reaches the website. */
export interface AuthorizationResponse {
  /** Where the browser goes: by GET, or by POST when there is a form. */
  redirect_to: string
  /** The members of the form, with `response_mode=form_post`. */
  form_post?: Record<string, string>
}

/**
 * Asserts that a redirect URI is in its normal form. Registration refuses others, but a client may
 * have been registered under older rules.
 * @throws {OAuthError} invalid_request for a redirect URI in which parsers may find different hosts
 */
export function assertRedirectUri(redirect_uri: string): void {
  if (redirectUriProblem(redirect_uri) === undefined) return
  throw new OAuthError(
    'invalid_request',
    'The redirect_uri is not in its normal form, so that it may lead to different hosts: the website has to register it anew',
  )
}

/**
 * An authorization response in the request's response mode: in the query of the redirect URI, beside
 * the query it has already (RFC 6749 sections 4.1.2 and 4.1.2.1, spaces as %20, which every decoder
 * understands), or in a form for it (OAuth 2.0 Form Post Response Mode section 2).
 * @throws {OAuthError} as `assertRedirectUri` does
 */
export function authorizationResponse(
  { redirect_uri, response_mode }: { redirect_uri: string; response_mode: string },
  parameters: {
    code?: string
    error?: string
    error_description?: string
    error_uri?: string | undefined
    state: string | null
    iss: string
  },
): AuthorizationResponse {
  assertRedirectUri(redirect_uri)
  const members: Record<string, string> = {}
  for (const [name, value] of Object.entries(parameters)) {
    if (typeof value === 'string') members[name] = value
  }
  if (response_mode === 'form_post') return { redirect_to: redirect_uri, form_post: members }
  const query = new URLSearchParams(members).toString().replaceAll('+', '%20')
  return { redirect_to: redirect_uri + (redirect_uri.includes('?') ? '&' : '?') + query }
}
