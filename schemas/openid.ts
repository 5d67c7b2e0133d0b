/** What can sign ID Tokens (OpenID Connect Core section 15.1 demands RS256). */
export const ID_TOKEN_SIGNING_ALGS = ['RS256', 'ES256']

/** The `acr` of every ID Token: a software agent authenticated, not a person. */
export const AGENT_ACR = 'urn:auth-agent:acr:agent'

/** OpenID Connect Core section 3.1.2.1. An agent always acts afresh, so each but `none` is met. */
export const PROMPTS = ['none', 'login', 'consent', 'select_account']

/** OAuth 2.0 Multiple Response Type Encoding Practices 2.1, OAuth 2.0 Form Post Response Mode. */
export const RESPONSE_MODES = ['query', 'form_post']
