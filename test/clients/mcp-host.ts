import type * as current from '@modelcontextprotocol/client'

export const grant_types = ['authorization_code', 'refresh_token']

/** What an MCP host remembers of one server. */
export class Host implements current.OAuthClientProvider {
  readonly redirectUrl = 'http://127.0.0.1:51234/callback'
  /** With which it is registered; without, it registers itself. */
  #client: current.StoredOAuthClientInformation | undefined
  /** Where it says of itself what a client is. */
  readonly clientMetadataUrl: string | undefined
  authorizationUrl: URL | undefined
  #codeVerifier = ''
  #discovery: current.OAuthDiscoveryState | undefined
  saved: current.StoredOAuthTokens | undefined

  constructor(client?: current.StoredOAuthClientInformation, clientMetadataUrl?: string) {
    this.#client = client
    this.clientMetadataUrl = clientMetadataUrl
  }
  get clientMetadata() {
    return { client_name: 'MCP host', redirect_uris: [this.redirectUrl], grant_types }
  }
  clientInformation() {
    return this.#client
  }
  saveClientInformation(client: current.StoredOAuthClientInformation) {
    this.#client = client
  }
  tokens() {
    return this.saved
  }
  saveTokens(tokens: current.StoredOAuthTokens) {
    this.saved = tokens
  }
  redirectToAuthorization(url: URL) {
    this.authorizationUrl = url
  }
  saveCodeVerifier(codeVerifier: string) {
    this.#codeVerifier = codeVerifier
  }
  codeVerifier() {
    return this.#codeVerifier
  }
  saveDiscoveryState(state: current.OAuthDiscoveryState) {
    this.#discovery = state
  }
  discoveryState() {
    return this.#discovery
  }
}
