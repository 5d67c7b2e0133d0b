/** What an agent's sign-in can give a website: the owner's e-mail address, under three names. */
export const IDENTITY_SCOPES = ['openid', 'profile', 'email']
/** What each of them gives, wherever people or agents read it. */
export const IDENTITY_GIVES = "the e-mail address of the agent's owner"
/** The rule as the API document and /llms.txt say it, and the page for websites. */
export const IDENTITY_RULE = `Each of the scopes openid, profile and email, also alone, gives a website ${IDENTITY_GIVES} at /userinfo, for access tokens whose audience is this server. Nothing else about a person is known.`
/**
 * That a refresh token comes (OpenID Connect Core section 11). It is granted wherever one does, is of
 * no audience, and gives nothing more.
 */
export const OFFLINE_ACCESS = 'offline_access'
/** What a request without a scope gets. */
export const DEFAULT_SCOPE = 'email'

/** The words of a scope, each once (RFC 6749 section 3.3). */
export function scopeWords(scope: string): string[] {
  return [...new Set(scope.split(' ').filter((word) => word !== ''))]
}
