import type { ErrorCode } from '../../../schemas/error.ts'

/** The path of the page about these errors. */
export const WEBSITE_ERRORS_PATH = '/docs/errors'

export interface WebsiteError {
  codes: ErrorCode[]
  title: string
  /** What happened, and what to change at the website or here, a paragraph each. */
  paragraphs: string[]
}

/** The errors that the operator of a website can correct, by their anchor on the page. */
export const websiteErrors = {
  pkce: {
    codes: ['invalid_request'],
    title: 'The request has no PKCE challenge with the method S256',
    paragraphs: [
      'Every website must use PKCE (RFC 7636) with the method S256, even with a client secret.',
      'Turn on PKCE with S256 in the settings of the website. The switch is often called “PKCE”, “Use PKCE”, “Proof Key for Code Exchange” or “Code challenge method”: choose S256. In a library, send code_challenge and code_challenge_method=S256 to /authorize, and code_verifier to /token.',
      'Software that cannot use PKCE cannot sign agents in here.',
    ],
  },
  'code-verifier': {
    codes: ['invalid_grant'],
    title: 'The code_verifier is missing or does not match the code_challenge',
    paragraphs: [
      'The website began the sign-in with PKCE and must send the code_verifier of that sign-in to /token.',
      'Turn on PKCE with S256 for both steps. If it is on, the website has lost the verifier in between: check that its session or cookie is still there when the visitor returns, and that all of its processes share the session store.',
    ],
  },
  client: {
    codes: ['invalid_request'],
    title: 'The client_id is unknown',
    paragraphs: [
      'No website is registered here under this client_id, or it was disabled.',
      'Compare the client ID in the settings of the website with the one that the operator of this server gave you, character by character. The operator lists the registered ones with “auth-agent client list”.',
    ],
  },
  'redirect-uri': {
    codes: ['invalid_request', 'invalid_grant', 'invalid_redirect_uri'],
    title: 'The redirect_uri is not registered, or not well-formed',
    paragraphs: [
      'The redirect URI (callback URL) that the website sends has to be the registered one, character by character: scheme, host, port, path, and a slash at the end count. Only the port of a loopback address is free. It has to be https, except on a loopback address, and the same at /token as at /authorize.',
      'Copy the callback URL that the website shows and have it registered with “auth-agent client update --add-redirect-uri”, or correct the website’s own address in its settings: behind a proxy it often has http or a wrong host.',
    ],
  },
  'response-type': {
    codes: ['unsupported_response_type'],
    title: 'The response_type is not code',
    paragraphs: [
      'Only the authorization code flow is supported. The implicit and hybrid flows are not (RFC 9700 section 2.1.2).',
      'Choose “Authorization code” as the flow, or “code” as the response type, in the settings of the website.',
    ],
  },
  'response-mode': {
    codes: ['invalid_request'],
    title: 'The response_mode is neither query nor form_post',
    paragraphs: [
      'The code goes to the website in the query of the redirect URI or in a form.',
      'Choose “query” or “form_post” as the response mode, or leave it out.',
    ],
  },
  'grant-type': {
    codes: ['unauthorized_client', 'unsupported_grant_type'],
    title: 'The client may not use this grant type',
    paragraphs: [
      'The grant types are authorization_code, refresh_token and, for confidential clients, client_credentials. A client may use those that it is registered with.',
      'Choose one of them at the website, or have the client registered with it.',
    ],
  },
  scope: {
    codes: ['invalid_scope'],
    title: 'The scope cannot be granted',
    paragraphs: [
      'Nothing that the website asked for can be granted to it. Every website can ask for openid, profile and email; other scopes belong to APIs that are registered here, and the client may be limited to some of them.',
      'Set the scopes of the website to “openid email”, or have the API or the scope registered.',
    ],
  },
  resource: {
    codes: ['invalid_target'],
    title: 'The resource is not registered, or not open to this client',
    paragraphs: [
      'The parameter resource (RFC 8707), which some software calls audience, names an API that is registered here, by its URI.',
      'Compare it with the registered URI, or leave it out. The operator of this server registers an API with “auth-agent resource create”, and opens one to clients that registered themselves with “--open-to anyone”.',
    ],
  },
  'client-authentication': {
    codes: ['invalid_client'],
    title: 'The client did not authenticate',
    paragraphs: [
      'The client secret or the signature of the client is wrong, or it was sent in another way than the client is registered for.',
      'Compare the client ID and the secret at the website with those you were given, without a space before or behind. Choose the registered method: client_secret_basic and client_secret_post are often called “Basic” or “header”, and “POST” or “body”. If the secret is lost, the operator makes a new one with “auth-agent client rotate-secret”.',
    ],
  },
  code: {
    codes: ['invalid_grant'],
    title: 'The code is unknown, expired, used, or of another client',
    paragraphs: [
      'A code works once, for the client that it was given to, and only for a short time.',
      'Begin the sign-in again. If it fails every time, the website redeems each code twice, for example because the callback page is loaded again, or two settings of the website have different client IDs.',
    ],
  },
  'refresh-token': {
    codes: ['invalid_grant'],
    title: 'The refresh token is unknown, expired, used, revoked, or of another client',
    paragraphs: [
      'Each refresh gives a new refresh token and ends the old one. An old one that comes again can end the sign-in.',
      'Have the website save the newest refresh token, and let only one of its processes refresh at a time. Where it refreshes in parallel, the operator of this server can allow some seconds of grace with “auth-agent client update --refresh-reuse-grace”.',
    ],
  },
  'prompt-none': {
    codes: ['login_required', 'consent_required', 'interaction_required'],
    title: 'prompt=none cannot be met',
    paragraphs: [
      'A sign-in goes on without a page only for a person who is signed in here with a passkey, in this browser, and has let the same website in before and had it remembered. An agent has to prove itself at every sign-in.',
      'When the website sees this error, let it ask again without prompt=none. For agents turn off silent sign-in (“silent renew”, prompt=none) at the website, and let it use refresh tokens.',
    ],
  },
  'request-object': {
    codes: ['request_not_supported', 'request_uri_not_supported', 'registration_not_supported'],
    title: 'Request objects are not supported',
    paragraphs: [
      'The parameters of the request have to be in the URL or in the form, not in a signed object (RFC 9101), at a request_uri or in registration.',
      'Turn off request objects (“JAR”, “signed requests”) and pushed authorization requests (“PAR”) at the website.',
    ],
  },
} satisfies Record<string, WebsiteError>

export type WebsiteErrorName = keyof typeof websiteErrors

/** The entry of the page for each error code that has exactly one. */
export const namesOfCodes: Partial<Record<ErrorCode, WebsiteErrorName>> = {
  invalid_client: 'client-authentication',
  invalid_redirect_uri: 'redirect-uri',
  invalid_scope: 'scope',
  invalid_target: 'resource',
  login_required: 'prompt-none',
  consent_required: 'prompt-none',
  interaction_required: 'prompt-none',
  registration_not_supported: 'request-object',
  request_not_supported: 'request-object',
  request_uri_not_supported: 'request-object',
  unsupported_grant_type: 'grant-type',
  unsupported_response_type: 'response-type',
}
