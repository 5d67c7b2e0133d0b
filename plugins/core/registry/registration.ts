import { Value } from '@sinclair/typebox/value'
import type { FastifyInstance } from 'fastify'
import type {
  Agent,
  AgentChange,
  Client,
  ClientChange,
  Resource,
  ResourceChange,
} from '../../../db/store.ts'
import { type ClientMetadata, JsonWebKeySet, redirectUriProblem } from '../../../schemas/client.ts'
import { normalMailbox } from '../../../schemas/mailbox.ts'
import { normalName } from '../../../schemas/name.ts'
import { ID_TOKEN_SIGNING_ALGS } from '../../../schemas/openid.ts'
import { normalResourceUri, OPEN_TO, type OpenTo } from '../../../schemas/resource.ts'
import { IDENTITY_SCOPES, scopeWords } from '../../../schemas/scope.ts'
import { parseUri } from '../../../schemas/uri.ts'
import { CLIENT_AUTHENTICATION_METHODS, hasSecret } from '../callers/client-authentication.ts'
import { RESOURCE_ID_PREFIX } from '../callers/resource-authentication.ts'
import { hashToken, newId, newSecret } from '../crypto/secrets.ts'
import { OAuthError } from '../http/errors.ts'
import { MAX_REUSE_GRACE, SIGNING_ALGS } from '../settings.ts'
import { readName } from './names.ts'
import { isIssuer } from './resources.ts'

export interface NewClient extends Partial<Pick<Client, 'application_type' | 'jwks' | 'jwks_uri'>> {
  client_name: string
  /** None for a client that does not use authorization codes. */
  redirect_uris: string[]
  /** `none` for a public client; by default `client_secret_basic`. */
  token_endpoint_auth_method?: string
  /** By default `authorization_code` and `refresh_token`. */
  grant_types?: string[]
  /** `RS256` or `ES256`; by default `RS256` (OpenID Connect Dynamic Client Registration 2). */
  id_token_signed_response_alg?: string
  /** In seconds; null for the server's REFRESH_REUSE_GRACE. */
  refresh_reuse_grace?: number | null
  /** Whether a used refresh token may come again; null for what the kind of client has. */
  refresh_reuse?: Client['refresh_reuse']
  /** The only scopes that it may ask for, and those that it can have for itself. */
  scope?: string | null
  /**
   * Whether agents may poll the code of a request that no browser opened; by default where the
   * operator registers a client that redeems it with a secret or key.
   */
  legacy_polling?: boolean | undefined
}

export interface NewResource {
  uri: string
  scopes: string[]
  name?: string | undefined
  /** By default `registered`: only clients that the operator registered may ask for it. */
  open_to?: OpenTo | undefined
  /** What signs access tokens for it; null for the server's ACCESS_TOKEN_ALG. */
  access_token_alg?: string | null | undefined
}

export interface SecretRotation {
  /** For how many seconds the old secret stays good. */
  overlap?: number
  /** Whether all that the old one gave access to ends with it (RFC 9700 section 4.14.2). */
  compromised?: boolean
}

/**
 * Registers and changes clients, agents and protected resources: what the command line and dynamic
 * registration share.
 * A secret is in an answer once and is nowhere afterwards.
 */
export class Registration {
  readonly #app: Pick<
    FastifyInstance,
    'audit' | 'clock' | 'keys' | 'secrets' | 'settings' | 'store'
  >

  constructor(
    app: Pick<FastifyInstance, 'audit' | 'clock' | 'keys' | 'secrets' | 'settings' | 'store'>,
  ) {
    this.#app = app
  }

  /** @throws {OAuthError} invalid_redirect_uri, invalid_client_metadata (RFC 7591 section 3.2.2) */
  async createClient(
    given: NewClient,
    registered: {
      origin: Client['origin']
      registration_token_hash?: string
      /** Whether the operator or somebody with a token of the operator brings it. */
      vouched?: boolean
    } = { origin: 'operator' },
  ): Promise<{ client: Client; client_secret?: string }> {
    assertTokenTerms(given)
    const { grant_types = ['authorization_code', 'refresh_token'] } = given
    const metadata = registeredMetadata({ ...given, grant_types })
    const confidential = metadata.token_endpoint_auth_method !== 'none'
    const client: Client = {
      client_id: newId('client_'),
      ...metadata,
      legacy_polling: given.legacy_polling ?? (registered.origin === 'operator' && confidential),
      scope: registeredScope(given.scope ?? null),
      refresh_reuse_grace: given.refresh_reuse_grace ?? null,
      refresh_reuse: given.refresh_reuse ?? null,
      origin: registered.origin,
      operator_change: null,
      created_at: this.#app.clock.now(),
      disabled_at: null,
    }
    const { registration_token_hash, vouched } = registered
    if (!hasSecret(client)) {
      await this.#app.store.clients.create(client, undefined, registration_token_hash, vouched)
      return { client }
    }
    const client_secret = newSecret('cs_')
    const secret = await this.#app.secrets.toRow(client.client_id, client_secret)
    await this.#app.store.clients.create(client, secret, registration_token_hash, vouched)
    return { client, client_secret }
  }

  /**
   * @param by the client itself (RFC 7592), which cannot change what the operator has changed
   * @throws {OAuthError} as `createClient` does, and not_found
   */
  async updateClient(
    client_id: string,
    change: ClientChange,
    by: 'operator' | 'client' = 'operator',
  ): Promise<Client> {
    const client = found(await this.#app.store.clients.find(client_id), client_id)
    const { disabled_at: _, legacy_polling: __, ...metadata } = change
    // A name from before there was a rule for names stops no other change, and a client can be
    // disabled whatever it was registered with under older rules.
    const { client_name } =
      Object.keys(metadata).length > 0
        ? registeredMetadata({ ...client, client_name: 'unchanged', ...metadata })
        : client
    assertTokenTerms(change)
    const renamed = change.client_name === undefined ? change : { ...change, client_name }
    const now = this.#app.clock.now()
    const update = this.#app.store.clients.update(client_id, normalChange(renamed), now, by)
    return found(await update, client_id)
  }

  /**
   * Adds and removes redirect URIs, and changes what else is named, in one step: of operators who
   * do so at the same time none undoes what another did.
   * @throws {OAuthError} as `updateClient` does; invalid_redirect_uri for one that is not there to be
   *   removed, and when a client that needs one would have none or too many
   */
  async editRedirectUris(
    client_id: string,
    { add, remove }: { add: string[]; remove: string[] },
    change: Omit<ClientChange, 'redirect_uris'> = {},
  ): Promise<Client> {
    const client = found(await this.#app.store.clients.find(client_id), client_id)
    assertRedirectUris(add)
    // What was registered under older rules can still be removed.
    if (Object.keys(change).length > 0) registeredMetadata({ ...client, ...change })
    assertTokenTerms(change)
    const edited = await this.#app.store.clients.editRedirectUris(
      client_id,
      { add, remove, limit: MAX_REDIRECT_URIS },
      normalChange(change),
      this.#app.clock.now(),
    )
    switch (edited.outcome) {
      case 'edited':
        return edited.client
      case 'unknown':
        throw new OAuthError('not_found', `There is no ${client_id}`)
      case 'not_registered':
        throw new OAuthError('invalid_redirect_uri', `${edited.uri} is not a redirect URI of it`)
      case 'none_left':
        throw new OAuthError('invalid_redirect_uri', 'A redirect URI is required')
      case 'too_many':
        throw tooManyRedirectUris()
    }
  }

  /**
   * Gives the client a new secret.
   * @throws {OAuthError} not_found, invalid_client_metadata for a public client
   */
  async rotateClientSecret(client_id: string, rotation: SecretRotation = {}): Promise<string> {
    const client = found(await this.#app.store.clients.find(client_id), client_id)
    if (!hasSecret(client)) {
      throw new OAuthError('invalid_client_metadata', `${client_id} is a client without a secret`)
    }
    const client_secret = newSecret('cs_')
    const row = await this.#app.secrets.toRow(client_id, client_secret)
    const { overlap = 0, compromised = false } = rotation
    await this.#app.store.clients.replaceSecret(row, row.created_at + overlap, compromised)
    return client_secret
  }

  /** @throws {OAuthError} invalid_request for an invalid e-mail address */
  async createAgent(given: {
    email: string
    name?: string
  }): Promise<{ agent: Agent; agent_secret: string }> {
    const agent: Agent = {
      agent_id: newId('agent_'),
      email: normalEmail(given.email),
      name: given.name === undefined ? null : readName('The name', given.name),
      created_at: this.#app.clock.now(),
      disabled_at: null,
    }
    const agent_secret = newSecret('ags_')
    const secret = await this.#app.secrets.toRow(agent.agent_id, agent_secret)
    await this.#app.store.agents.create(agent, secret)
    return { agent, agent_secret }
  }

  /** @throws {OAuthError} as `createAgent` does, and not_found */
  async updateAgent(agent_id: string, change: AgentChange): Promise<Agent> {
    const { email } = change
    const normal = email === undefined ? change : { ...change, email: normalEmail(email) }
    const agent = found(
      await this.#app.store.agents.update(agent_id, withName(normal), this.#app.clock.now()),
      agent_id,
    )
    if (change.disabled_at !== undefined) {
      const outcome = change.disabled_at === null ? 'enabled' : 'disabled'
      await this.#app.audit.record({ event: 'agent', outcome, agent_id })
    }
    return agent
  }

  /**
   * Gives the agent a new secret.
   * @throws {OAuthError} not_found
   */
  async rotateAgentSecret(agent_id: string, rotation: SecretRotation = {}): Promise<string> {
    found(await this.#app.store.agents.find(agent_id), agent_id)
    const agent_secret = newSecret('ags_')
    const row = await this.#app.secrets.toRow(agent_id, agent_secret)
    const { overlap = 0, compromised = false } = rotation
    await this.#app.store.agents.replaceSecret(row, row.created_at + overlap, compromised)
    return agent_secret
  }

  /** Makes what allows somebody to register clients, for `expires_in` seconds or until deleted. */
  async createInitialAccessToken(
    name?: string,
    expires_in?: number,
  ): Promise<{ token_id: string; expires_at: number | null; initial_access_token: string }> {
    const token_id = newId('riat_')
    const initial_access_token = newSecret('iat_')
    const created_at = this.#app.clock.now()
    const expires_at = expires_in === undefined ? null : created_at + expires_in
    await this.#app.store.initialAccessTokens.create({
      token_id,
      token_hash: hashToken(initial_access_token),
      name: name === undefined ? null : readName('The name', name),
      created_at,
      expires_at,
    })
    return { token_id, expires_at, initial_access_token }
  }

  /**
   * Registers an API or MCP server, whose URI and scopes clients can then ask for (RFC 8707).
   * @throws {OAuthError} invalid_target, invalid_scope
   */
  async createResource(
    given: NewResource,
  ): Promise<{ resource: Resource; resource_secret: string }> {
    const normal_uri = normalResourceUri(given.uri)
    if (normal_uri === undefined || parseUri(given.uri) === undefined) {
      throw new OAuthError(
        'invalid_target',
        `${given.uri} is not an absolute URI in its normal form, without user and fragment`,
      )
    }
    if (isIssuer(normal_uri, this.#app.settings)) {
      throw new OAuthError('invalid_target', `${given.uri} is this server itself`)
    }
    assertScopes(given.scopes)
    const { open_to = 'registered' } = given
    assertOpenTo(open_to)
    const { access_token_alg = null } = given
    assertAccessTokenAlg(access_token_alg)
    // Its first key is made now: no token has to wait for it, or fail with it, later.
    if (access_token_alg !== null) await this.#app.keys.active(access_token_alg)
    const resource: Resource = {
      resource_id: newId(RESOURCE_ID_PREFIX),
      uri: given.uri,
      normal_uri,
      name: given.name === undefined ? null : readName('The name', given.name),
      scopes: [...new Set(given.scopes)],
      open_to,
      access_token_alg,
      created_at: this.#app.clock.now(),
    }
    const resource_secret = newSecret('rss_')
    const secret = await this.#app.secrets.toRow(resource.resource_id, resource_secret)
    const { outcome } = await this.#app.store.resources.create(resource, secret)
    if (outcome === 'exists') {
      throw new OAuthError('invalid_target', `The resource ${given.uri} is registered already`)
    }
    return { resource, resource_secret }
  }

  /** @throws {OAuthError} invalid_scope, not_found */
  async updateResource(resource_id: string, change: ResourceChange): Promise<Resource> {
    const { scopes, open_to, access_token_alg } = change
    if (scopes !== undefined) assertScopes(scopes)
    if (open_to !== undefined) assertOpenTo(open_to)
    if (access_token_alg !== undefined) assertAccessTokenAlg(access_token_alg)
    if (access_token_alg) await this.#app.keys.active(access_token_alg)
    const normal = scopes === undefined ? change : { ...change, scopes: [...new Set(scopes)] }
    return found(await this.#app.store.resources.update(resource_id, withName(normal)), resource_id)
  }

  /**
   * Gives the resource a new secret; the old one stays good for `overlap` seconds.
   * @throws {OAuthError} not_found
   */
  async rotateResourceSecret(resource_id: string, overlap = 0): Promise<string> {
    found(await this.#app.store.resources.find(resource_id), resource_id)
    const resource_secret = newSecret('rss_')
    const row = await this.#app.secrets.toRow(resource_id, resource_secret)
    await this.#app.store.resources.replaceSecret(row, this.#app.clock.now() + overlap)
    return resource_secret
  }
}

function found<T>(value: T | undefined, id: string): T {
  if (value === undefined) throw new OAuthError('not_found', `There is no ${id}`)
  return value
}

/** What a client says of itself, checked and completed, whoever registers it (RFC 7591 section 2). */
export function registeredMetadata(
  given: ClientMetadata | NewClient | Client,
): Pick<
  Client,
  | 'client_name'
  | 'redirect_uris'
  | 'grant_types'
  | 'token_endpoint_auth_method'
  | 'jwks'
  | 'jwks_uri'
  | 'application_type'
  | 'id_token_signed_response_alg'
> {
  const {
    redirect_uris = [],
    grant_types = ['authorization_code'],
    token_endpoint_auth_method = 'client_secret_basic',
    jwks = null,
    jwks_uri = null,
    application_type = null,
    id_token_signed_response_alg = 'RS256',
  } = given
  assertGrantTypes(grant_types, token_endpoint_auth_method)
  if (grant_types.includes('authorization_code') && redirect_uris.length === 0) {
    throw new OAuthError(
      'invalid_redirect_uri',
      'A redirect URI is required that is https, or http on localhost or a loopback address',
    )
  }
  assertRedirectUris(redirect_uris)
  const client_name =
    given.client_name === undefined
      ? hostOf(redirect_uris[0])
      : readName('client_name', given.client_name, 'invalid_client_metadata')
  if ('response_types' in given && given.response_types?.includes('code') === false) {
    throw invalidMetadata('The only response_type is code')
  }
  if (!CLIENT_AUTHENTICATION_METHODS.includes(token_endpoint_auth_method)) {
    throw invalidMetadata(
      `token_endpoint_auth_method must be one of ${CLIENT_AUTHENTICATION_METHODS.join(', ')}`,
    )
  }
  assertKeys(token_endpoint_auth_method, jwks, jwks_uri)
  assertTokenTerms({ id_token_signed_response_alg })
  return {
    client_name,
    redirect_uris: [...new Set(redirect_uris)],
    grant_types: [...new Set(grant_types)],
    token_endpoint_auth_method,
    jwks,
    jwks_uri,
    application_type,
    id_token_signed_response_alg,
  }
}

/**
 * What a client that nobody here knows may have of what it says: to act for itself is the operator's
 * to allow. Grant types that we do not have and redirect URIs with a scheme of their own are left out,
 * which the answer tells (RFC 7591 sections 2 and 3.2.1).
 */
export function strangersMetadata(given: ClientMetadata): ReturnType<typeof registeredMetadata> {
  const grant_types = given.grant_types?.filter((type) => STRANGERS_GRANT_TYPES.includes(type))
  const metadata = registeredMetadata({
    ...given,
    grant_types: grant_types && [...new Set(grant_types)],
    redirect_uris: given.redirect_uris?.filter((uri) => !hasPrivateScheme(uri)),
  })
  if (Buffer.byteLength(JSON.stringify(metadata)) > MAX_STRANGERS_BYTES) {
    throw invalidMetadata(`The metadata must not have more than ${MAX_STRANGERS_BYTES} bytes`)
  }
  return metadata
}

/**
 * Whether a redirect URI has a scheme that an application claims for itself (RFC 8252 section 7.1).
 * Nothing is redirected there, since any application may claim the same scheme.
 */
function hasPrivateScheme(uri: string): boolean {
  return URL.canParse(uri) && !['http:', 'https:'].includes(new URL(uri).protocol)
}

/** What is stored of a client that nobody here knows. */
const MAX_STRANGERS_BYTES = 8192

const STRANGERS_GRANT_TYPES = ['authorization_code', 'refresh_token']
const GRANT_TYPES = ['authorization_code', 'refresh_token', 'client_credentials']

function assertGrantTypes(grant_types: string[], token_endpoint_auth_method: string): void {
  if (grant_types.length === 0 || grant_types.some((type) => !GRANT_TYPES.includes(type))) {
    throw invalidMetadata(`grant_types can be ${GRANT_TYPES.join(', ')}`)
  }
  if (grant_types.every((type) => type === 'refresh_token')) {
    throw invalidMetadata('refresh_token needs a grant type that gives refresh tokens beside it')
  }
  if (grant_types.includes('client_credentials') && token_endpoint_auth_method === 'none') {
    throw invalidMetadata('A public client may not use client_credentials')
  }
}

/** What only private and secret keys have (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/** RFC 7591 section 2: `jwks` and `jwks_uri` exclude each other; keys are public ones. */
function assertKeys(method: string, jwks: Client['jwks'], jwks_uri: string | null): void {
  if (jwks !== null && jwks_uri !== null) throw invalidMetadata('Give jwks or jwks_uri, not both')
  if (method === 'private_key_jwt' && jwks === null && jwks_uri === null) {
    throw invalidMetadata('private_key_jwt needs jwks or jwks_uri')
  }
  if (jwks !== null && !Value.Check(JsonWebKeySet, jwks)) {
    throw invalidMetadata(
      'jwks must be a JSON Web Key Set: an object whose member keys has 1 to 20 keys',
    )
  }
  for (const key of jwks?.keys ?? []) {
    if (PRIVATE_MEMBERS.some((member) => member in key)) {
      throw invalidMetadata('jwks has a private or secret key: give the public parts alone')
    }
    if (typeof key.kty !== 'string') throw invalidMetadata('Each key of jwks must have a kty')
  }
  if (jwks_uri !== null && parseUri(jwks_uri)?.protocol !== 'https:') {
    throw invalidMetadata('jwks_uri must be an https URL in its normal form, without a user')
  }
}

function registeredScope(scope: string | null): string | null {
  if (scope === null) return null
  const words = scopeWords(scope)
  if (words.length === 0) {
    throw new OAuthError('invalid_scope', 'With an empty scope the client could ask for nothing')
  }
  for (const word of words) assertScopeWord(word)
  return words.join(' ')
}

/** What changes, as `createClient` would store it. */
function normalChange<Change extends Pick<ClientChange, 'scope' | 'redirect_uris'>>(
  change: Change,
): Change {
  const { scope, redirect_uris } = change
  return {
    ...change,
    ...(scope !== undefined && { scope: registeredScope(scope) }),
    ...(redirect_uris !== undefined && { redirect_uris: [...new Set(redirect_uris)] }),
  }
}

function invalidMetadata(description: string): OAuthError {
  return new OAuthError('invalid_client_metadata', description)
}

function hostOf(uri = ''): string {
  return (URL.canParse(uri) && normalName(new URL(uri).host)) || 'Unnamed'
}

/** A change with its name, if it has one, in the normal form. */
function withName<C extends { name?: string | null }>(change: C): C {
  return typeof change.name === 'string'
    ? { ...change, name: readName('The name', change.name) }
    : change
}

function assertOpenTo(open_to: OpenTo): void {
  if (!OPEN_TO.includes(open_to)) {
    throw new OAuthError('invalid_request', `open_to must be ${OPEN_TO.join(' or ')}`)
  }
}

/** As many as `ClientMetadata` takes. */
const MAX_REDIRECT_URIS = 50

function tooManyRedirectUris(): OAuthError {
  return new OAuthError(
    'invalid_redirect_uri',
    `A client has at most ${MAX_REDIRECT_URIS} redirect URIs`,
  )
}

function assertRedirectUris(uris: string[]): void {
  if (uris.length > MAX_REDIRECT_URIS) throw tooManyRedirectUris()
  for (const uri of uris) {
    const problem = redirectUriProblem(uri)
    if (problem !== undefined) throw new OAuthError('invalid_redirect_uri', problem)
  }
}

/** RFC 6749 section 3.3. */
function assertScopeWord(word: string): void {
  if (!/^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/.test(word)) {
    throw new OAuthError('invalid_scope', `${word} cannot be a scope`)
  }
}

/** Not the words that mean something here already. */
function assertScopes(scopes: string[]): void {
  for (const word of scopes) {
    assertScopeWord(word)
    if ([...IDENTITY_SCOPES, 'offline_access'].includes(word)) {
      throw new OAuthError('invalid_scope', `The scope ${word} is this server's own`)
    }
  }
}

function assertAccessTokenAlg(alg: string | null): void {
  if (alg === null || SIGNING_ALGS.includes(alg)) return
  throw new OAuthError(
    'invalid_request',
    `access_token_alg must be one of ${SIGNING_ALGS.join(', ')}`,
  )
}

function assertTokenTerms({
  id_token_signed_response_alg: alg = 'RS256',
  refresh_reuse_grace: grace = null,
}: Pick<NewClient, 'id_token_signed_response_alg' | 'refresh_reuse_grace'>): void {
  if (!ID_TOKEN_SIGNING_ALGS.includes(alg)) {
    throw new OAuthError(
      'invalid_client_metadata',
      `id_token_signed_response_alg must be one of ${ID_TOKEN_SIGNING_ALGS.join(', ')}`,
    )
  }
  if (grace !== null && !(Number.isInteger(grace) && grace >= 0 && grace <= MAX_REUSE_GRACE)) {
    throw new OAuthError(
      'invalid_client_metadata',
      `refresh_reuse_grace must be a whole number of seconds from 0 to ${MAX_REUSE_GRACE}`,
    )
  }
}

function normalEmail(email: string): string {
  const mailbox = normalMailbox(email)
  if (mailbox !== undefined) return mailbox
  throw new OAuthError(
    'invalid_request',
    `${email} is not one e-mail address, such as me@example.com`,
  )
}
