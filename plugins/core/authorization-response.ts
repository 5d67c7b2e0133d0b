/**
 * The redirect URI with an authorization response in its query, beside the query it has already
 * (RFC 6749 sections 4.1.2 and 4.1.2.1). Spaces become %20, which every decoder understands.
 */
export function authorizationResponse(
  redirect_uri: string,
  parameters: {
    code?: string
    error?: string
    error_description?: string
    state: string | null
    iss: string
  },
): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    if (typeof value === 'string') query.set(name, value)
  }
  const separator = redirect_uri.includes('?') ? '&' : '?'
  return redirect_uri + separator + query.toString().replaceAll('+', '%20')
}
