/** What an agent's sign-in can give a website: the owner's e-mail address, under three names. */
export const IDENTITY_SCOPES = ['openid', 'profile', 'email']
/** What a request without a scope gets. */
export const DEFAULT_SCOPE = 'email'

/** The words of a scope, each once (RFC 6749 section 3.3). */
export function scopeWords(scope: string): string[] {
  return [...new Set(scope.split(' ').filter((word) => word !== ''))]
}
