/** The scopes for websites. Each gives the same: the owner's e-mail address. */
export const IDENTITY_SCOPES = ['openid', 'profile', 'email']
/** What each of them gives, in words for people and agents. */
export const IDENTITY_GIVES = "the e-mail address of the agent's owner"
/** The rule, as the API document, /llms.txt and the page for websites state it. */
export const IDENTITY_RULE = `Each of the scopes openid, profile and email, also alone, gives a website ${IDENTITY_GIVES} at /userinfo, for access tokens whose audience is this server. Nothing else about a person is known.`
/**
 * Asks for a refresh token (OpenID Connect Core section 11). It is granted whenever the client gets one,
 * belongs to no audience, and gives nothing else.
 */
export const OFFLINE_ACCESS = 'offline_access'
/** What a request without a scope gets. */
export const DEFAULT_SCOPE = 'email'

/** The words of a scope, each once (RFC 6749 section 3.3). */
export function scopeWords(scope: string): string[] {
  return [...new Set(scope.split(' ').filter((word) => word !== ''))]
}
