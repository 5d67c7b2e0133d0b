/** How an authorization response reaches the website. */
export interface AuthorizationResponse {
  /** Where the browser goes: by GET, or by POST when there is a form. */
  redirect_to: string
  /** The members of the form, with `response_mode=form_post`. */
  form_post?: Record<string, string>
}

/**
 * An authorization response in the request's response mode: in the query of the redirect URI, beside
 * the query it has already (RFC 6749 sections 4.1.2 and 4.1.2.1, spaces as %20, which every decoder
 * understands), or in a form for it (OAuth 2.0 Form Post Response Mode section 2).
 */
export function authorizationResponse(
  { redirect_uri, response_mode }: { redirect_uri: string; response_mode: string },
  parameters: {
    code?: string
    error?: string
    error_description?: string
    state: string | null
    iss: string
  },
): AuthorizationResponse {
  const members: Record<string, string> = {}
  for (const [name, value] of Object.entries(parameters)) {
    if (typeof value === 'string') members[name] = value
  }
  if (response_mode === 'form_post') return { redirect_to: redirect_uri, form_post: members }
  const query = new URLSearchParams(members).toString().replaceAll('+', '%20')
  return { redirect_to: redirect_uri + (redirect_uri.includes('?') ? '&' : '?') + query }
}
