/** The algorithms that sign ID Tokens (OpenID Connect Core section 15.1 requires RS256). */
export const ID_TOKEN_SIGNING_ALGS = ['RS256', 'ES256']

/** The `acr` of an agent's sign-in: a software agent authenticated, not a person. */
export const AGENT_ACR = 'urn:auth-agent:acr:agent'
/** The `acr` of a person's: phishing-resistant (OpenID Connect EAP ACR Values 1.0 section 2). */
export const PERSON_ACR = 'phr'
/**
 * The `amr` of a person's: possession of a key, the user's presence, and with user verification more
 * than one factor (RFC 8176 section 2). Whether hardware keeps the key is not known.
 */
export const PERSON_AMR = ['pop', 'user', 'mfa']

/** OpenID Connect Core section 3.1.2.1. */
export const PROMPTS = ['none', 'login', 'consent', 'select_account']

/** OAuth 2.0 Multiple Response Type Encoding Practices 2.1, OAuth 2.0 Form Post Response Mode. */
export const RESPONSE_MODES = ['query', 'form_post']
