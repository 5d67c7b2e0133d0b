import * as current from '@modelcontextprotocol/client'
import { auth } from '@modelcontextprotocol/sdk/client/auth.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import t from 'tap'
import type { NewClient } from '../../plugins/core/registration.ts'
import { createAgent, createSite, type Site } from '../harness.ts'
import { completeAuthenticationFlow } from './agent-library.ts'
import { freePort, listen, serve } from './live.ts'
import { createMcpServer } from './mcp-server.ts'

/** What an MCP host remembers of one server. */
class Host implements current.OAuthClientProvider {
  readonly #site: Site
  readonly redirectUrl: string
  authorizationUrl: URL | undefined
  #codeVerifier = ''
  #discovery: current.OAuthDiscoveryState | undefined
  saved: current.StoredOAuthTokens | undefined

  constructor(site: Site, redirectUrl: string) {
    this.#site = site
    this.redirectUrl = redirectUrl
  }
  get clientMetadata() {
    return { client_name: 'MCP host', redirect_uris: [this.redirectUrl] }
  }
  clientInformation() {
    const { client_id, client_secret } = this.#site
    return { client_id, client_secret }
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

const { app, issuer } = await listen(t)
const agent = await createAgent(app)
const port = await freePort()
const resource = `http://127.0.0.1:${port}/mcp`
await app.registration.createResource({ uri: resource, scopes: ['tools'] })
await serve(t, port, await createMcpServer({ issuer, resource, scope: 'tools' }))

/** Registered without a port, asked for with one, as MCP hosts do. */
async function createHost(client: Partial<NewClient> = {}): Promise<Host> {
  const site = await createSite(app, {
    client_name: 'MCP host',
    redirect_uris: ['http://127.0.0.1/callback'],
    ...client,
  })
  return new Host(site, 'http://127.0.0.1:51234/callback')
}

const kinds: [string, Partial<NewClient>][] = [
  ['public', { token_endpoint_auth_method: 'none' }],
  ['confidential', {}],
]

for (const [kind, registration] of kinds) {
  t.test(`the MCP SDK 1 as a ${kind} client gets in from the MCP server's URL alone`, async (t) => {
    const host = await createHost(registration)
    const connect = async () => {
      const transport = new StreamableHTTPClientTransport(new URL(resource), { authProvider: host })
      const client = new Client({ name: 'test', version: '1.0.0' })
      t.teardown(() => client.close())
      return { client, transport, connected: client.connect(transport) }
    }
    const first = await connect()
    await t.rejects(first.connected, { name: 'Error', message: 'Unauthorized' })
    const callback = await completeAuthenticationFlow(host.authorizationUrl ?? '', agent)
    await first.transport.finishAuth(callback.searchParams.get('code') ?? '')

    const second = await connect()
    await second.connected
    const { content } = await second.client.callTool({ name: 'whoami' })
    t.match(content, [{ text: JSON.stringify({ agent: agent.agent_id, model: 'gpt-4o' }) }])

    const before = host.saved?.refresh_token
    t.equal(await auth(host, { serverUrl: resource }), 'AUTHORIZED', 'it refreshes by itself')
    t.not(host.saved?.refresh_token, before)
    await (await connect()).connected
  })

  t.test(`the MCP SDK 2 as a ${kind} client gets in from the MCP server's URL alone`, async (t) => {
    const host = await createHost(registration)
    const connect = async () => {
      const transport = new current.StreamableHTTPClientTransport(new URL(resource), {
        authProvider: host,
      })
      const client = new current.Client({ name: 'test', version: '1.0.0' })
      t.teardown(() => client.close())
      return { client, transport, connected: client.connect(transport) }
    }
    const first = await connect()
    await t.rejects(first.connected)
    const callback = await completeAuthenticationFlow(host.authorizationUrl ?? '', agent)
    t.equal(callback.searchParams.get('iss'), issuer)
    await first.transport.finishAuth(callback.searchParams)

    const second = await connect()
    await second.connected
    const { content } = await second.client.callTool({ name: 'whoami' })
    t.match(content, [{ text: JSON.stringify({ agent: agent.agent_id, model: 'gpt-4o' }) }])

    const before = host.saved?.refresh_token
    t.equal(await current.auth(host, { serverUrl: resource }), 'AUTHORIZED')
    t.not(host.saved?.refresh_token, before)
    await (await connect()).connected
  })
}

t.test('the MCP SDK 2 refuses a callback of another issuer', async (t) => {
  const host = await createHost({ token_endpoint_auth_method: 'none' })
  t.equal(await current.auth(host, { serverUrl: resource }), 'REDIRECT')
  const callback = await completeAuthenticationFlow(host.authorizationUrl ?? '', agent)
  const authorizationCode = callback.searchParams.get('code') ?? ''
  for (const iss of [undefined, 'https://other.example']) {
    await t.rejects(
      current.auth(host, { serverUrl: resource, authorizationCode, iss }),
      current.IssuerMismatchError,
    )
  }
})

t.test('an MCP server that our tokens protect sends strangers to the issuer', async (t) => {
  const refused = await fetch(resource, { method: 'POST', body: '{}' })
  t.equal(refused.status, 401)
  const [, metadata = ''] =
    refused.headers.get('www-authenticate')?.match(/resource_metadata="([^"]+)"/) ?? []
  t.match(await (await fetch(metadata)).json(), { resource, authorization_servers: [issuer] })
})
