import type { FastifyInstance } from 'fastify'
import type {
  Agent,
  AgentChange,
  Client,
  ClientChange,
  Resource,
  ResourceChange,
} from '../../db/store.ts'
import { redirectUriProblem } from '../../schemas/client.ts'
import { ID_TOKEN_SIGNING_ALGS } from '../../schemas/openid.ts'
import { normalResourceUri } from '../../schemas/resource.ts'
import { IDENTITY_SCOPES } from '../../schemas/scope.ts'
import { OAuthError } from './errors.ts'
import { RESOURCE_ID_PREFIX } from './resource-authentication.ts'
import { newId, newSecret } from './secrets.ts'
import { MAX_REUSE_GRACE } from './settings.ts'

export interface NewClient {
  client_name: string
  redirect_uris: string[]
  /** `none` for a public client; by default `client_secret_basic`. */
  token_endpoint_auth_method?: 'none' | 'client_secret_basic'
  /** By default `authorization_code` and `refresh_token`. */
  grant_types?: string[]
  /** `RS256` or `ES256`; by default `RS256` (OpenID Connect Dynamic Client Registration 2). */
  id_token_signed_response_alg?: string
  /** In seconds; null for the server's REFRESH_REUSE_GRACE. */
  refresh_reuse_grace?: number | null
}

export interface NewResource {
  uri: string
  scopes: string[]
  name?: string | undefined
}

/**
 * Registers and changes clients, agents and protected resources: what the command line and dynamic
 * registration share.
 * A secret is in an answer once and is nowhere afterwards.
 */
export class Registration {
  readonly #app: Pick<FastifyInstance, 'clock' | 'secrets' | 'store'>

  constructor(app: Pick<FastifyInstance, 'clock' | 'secrets' | 'store'>) {
    this.#app = app
  }

  /** @throws {OAuthError} invalid_redirect_uri, invalid_client_metadata (RFC 7591 section 3.2.2) */
  async createClient(given: NewClient): Promise<{ client: Client; client_secret?: string }> {
    assertClientName(given.client_name)
    assertRedirectUris(given.redirect_uris)
    assertTokenTerms(given)
    const client: Client = {
      client_id: newId('client_'),
      client_name: given.client_name,
      redirect_uris: given.redirect_uris,
      grant_types: given.grant_types ?? ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: given.token_endpoint_auth_method ?? 'client_secret_basic',
      id_token_signed_response_alg: given.id_token_signed_response_alg ?? 'RS256',
      refresh_reuse_grace: given.refresh_reuse_grace ?? null,
      created_at: this.#app.clock.now(),
      disabled_at: null,
    }
    if (client.token_endpoint_auth_method === 'none') {
      await this.#app.store.clients.create(client, undefined)
      return { client }
    }
    const client_secret = newSecret('cs_')
    const secret = await this.#app.secrets.toRow(client.client_id, client_secret)
    await this.#app.store.clients.create(client, secret)
    return { client, client_secret }
  }

  /** @throws {OAuthError} as `createClient` does, and not_found */
  async updateClient(client_id: string, change: ClientChange): Promise<Client> {
    if (change.client_name !== undefined) assertClientName(change.client_name)
    if (change.redirect_uris !== undefined) assertRedirectUris(change.redirect_uris)
    assertTokenTerms(change)
    return found(
      await this.#app.store.clients.update(client_id, change, this.#app.clock.now()),
      client_id,
    )
  }

  /**
   * Gives the client a new secret; the old one stays good for `overlap` seconds.
   * @throws {OAuthError} not_found, invalid_client_metadata for a public client
   */
  async rotateClientSecret(client_id: string, overlap = 0): Promise<string> {
    const client = found(await this.#app.store.clients.find(client_id), client_id)
    if (client.token_endpoint_auth_method === 'none') {
      throw new OAuthError(
        'invalid_client_metadata',
        `${client_id} is a public client, it has no secret`,
      )
    }
    const client_secret = newSecret('cs_')
    const row = await this.#app.secrets.toRow(client_id, client_secret)
    await this.#app.store.clients.replaceSecret(row, this.#app.clock.now() + overlap)
    return client_secret
  }

  /** @throws {OAuthError} invalid_request for an e-mail address that is none */
  async createAgent(given: {
    email: string
    name?: string
  }): Promise<{ agent: Agent; agent_secret: string }> {
    assertEmail(given.email)
    const agent: Agent = {
      agent_id: newId('agent_'),
      email: given.email,
      name: given.name ?? null,
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
    if (change.email !== undefined) assertEmail(change.email)
    return found(
      await this.#app.store.agents.update(agent_id, change, this.#app.clock.now()),
      agent_id,
    )
  }

  /**
   * Gives the agent a new secret; the old one stays good for `overlap` seconds.
   * @throws {OAuthError} not_found
   */
  async rotateAgentSecret(agent_id: string, overlap = 0): Promise<string> {
    found(await this.#app.store.agents.find(agent_id), agent_id)
    const agent_secret = newSecret('ags_')
    const row = await this.#app.secrets.toRow(agent_id, agent_secret)
    await this.#app.store.agents.replaceSecret(row, this.#app.clock.now() + overlap)
    return agent_secret
  }

  /**
   * Registers an API or MCP server, whose URI and scopes clients can then ask for (RFC 8707).
   * @throws {OAuthError} invalid_target, invalid_scope
   */
  async createResource(
    given: NewResource,
  ): Promise<{ resource: Resource; resource_secret: string }> {
    const normal_uri = normalResourceUri(given.uri)
    if (normal_uri === undefined) {
      throw new OAuthError(
        'invalid_target',
        `${given.uri} is not an absolute URI without a fragment`,
      )
    }
    assertScopes(given.scopes)
    const resource: Resource = {
      resource_id: newId(RESOURCE_ID_PREFIX),
      uri: given.uri,
      normal_uri,
      name: given.name ?? null,
      scopes: [...new Set(given.scopes)],
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
    if (change.scopes !== undefined) assertScopes(change.scopes)
    return found(await this.#app.store.resources.update(resource_id, change), resource_id)
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

function assertClientName(name: string): void {
  if (name.trim() === '' || name.length > 200 || /\p{Cc}/u.test(name)) {
    throw new OAuthError(
      'invalid_client_metadata',
      'The name must have 1 to 200 printable characters',
    )
  }
}

function assertRedirectUris(uris: string[]): void {
  if (uris.length === 0) throw new OAuthError('invalid_redirect_uri', 'A redirect URI is required')
  for (const uri of uris) {
    const problem = redirectUriProblem(uri)
    if (problem !== undefined) throw new OAuthError('invalid_redirect_uri', problem)
  }
}

/** RFC 6749 section 3.3, and not the words that mean something here already. */
function assertScopes(scopes: string[]): void {
  for (const word of scopes) {
    if (!/^[\x21\x23-\x5b\x5d-\x7e]{1,100}$/.test(word)) {
      throw new OAuthError('invalid_scope', `${word} cannot be a scope`)
    }
    if ([...IDENTITY_SCOPES, 'offline_access'].includes(word)) {
      throw new OAuthError('invalid_scope', `The scope ${word} is this server's own`)
    }
  }
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

function assertEmail(email: string): void {
  if (!/^[^\s@"<>]+@[^\s@"<>]+$/.test(email) || email.length > 254) {
    throw new OAuthError('invalid_request', `${email} is not an e-mail address`)
  }
}
