import type { FastifyInstance } from 'fastify'
import type { Agent, AgentChange, Client, ClientChange } from '../../db/store.ts'
import { redirectUriProblem } from '../../schemas/client.ts'
import { OAuthError } from './errors.ts'
import { newId, newSecret } from './secrets.ts'

export interface NewClient {
  client_name: string
  redirect_uris: string[]
  /** `none` for a public client; by default `client_secret_basic`. */
  token_endpoint_auth_method?: 'none' | 'client_secret_basic'
  /** By default `authorization_code` and `refresh_token`. */
  grant_types?: string[]
}

/**
 * Registers and changes clients and agents: what the command line and dynamic registration share.
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
    const client: Client = {
      client_id: newId('client_'),
      client_name: given.client_name,
      redirect_uris: given.redirect_uris,
      grant_types: given.grant_types ?? ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: given.token_endpoint_auth_method ?? 'client_secret_basic',
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

function assertEmail(email: string): void {
  if (!/^[^\s@"<>]+@[^\s@"<>]+$/.test(email) || email.length > 254) {
    throw new OAuthError('invalid_request', `${email} is not an e-mail address`)
  }
}
