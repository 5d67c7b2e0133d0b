import * as current from '@modelcontextprotocol/client'
import { auth } from '@modelcontextprotocol/sdk/client/auth.js'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { exportJWK, exportPKCS8, generateKeyPair } from 'jose'
import t, { type Test } from 'tap'
import type { NewClient } from '../../plugins/core/registry/registration.ts'
import { createAgent, createSite, startWeb } from '../harness.ts'
import { signInWithoutBrowser } from './agent-library.ts'
import { freePort, listen, serve } from './live.ts'
import { grant_types, Host } from './mcp-host.ts'
import { createMcpServer } from './mcp-server.ts'

const web = await startWeb(t)
const settings = { DYNAMIC_REGISTRATION: 'open' } as const
const { app, issuer } = await listen(t, settings, { network: web.network })
const agent = await createAgent(app, undefined, { sites: 'any' })
const port = await freePort()
const resource = `http://127.0.0.1:${port}/mcp`
await app.registration.createResource({ uri: resource, scopes: ['tools'], open_to: 'anyone' })
await serve(t, port, await createMcpServer({ issuer, resource, scope: 'tools' }))

/** Registered without a port, asked for with one, as MCP hosts do. */
async function createHost(client: Partial<NewClient> = {}): Promise<Host> {
  const redirect_uris = ['http://127.0.0.1/callback']
  const site = await createSite(app, { client_name: 'MCP host', redirect_uris, ...client })
  return new Host({ client_id: site.client_id, client_secret: site.client_secret, issuer })
}

const metadataUrl = web.url('client.example', '/mcp-host.json')
web.serveJson('/mcp-host.json', {
  client_id: metadataUrl,
  client_name: 'MCP host',
  redirect_uris: ['http://127.0.0.1/callback'],
  grant_types,
  token_endpoint_auth_method: 'none',
})

const hosts: [string, () => Promise<Host>][] = [
  ['a registered public client', () => createHost({ token_endpoint_auth_method: 'none' })],
  ['a registered confidential client', () => createHost()],
  ['a client that is a metadata document', async () => new Host(undefined, metadataUrl)],
  ['a client that registers itself', async () => new Host()],
]

for (const [kind, create] of hosts) {
  t.test(`the MCP SDK 1 gets in from the MCP server's URL alone, as ${kind}`, async (t) => {
    const host = await create()
    const connect = async () => {
      const transport = new StreamableHTTPClientTransport(new URL(resource), { authProvider: host })
      const client = new Client({ name: 'test', version: '1.0.0' })
      t.teardown(() => client.close())
      return { client, transport, connected: client.connect(transport) }
    }
    const first = await connect()
    await t.rejects(first.connected, { name: 'Error', message: 'Unauthorized' })
    const callback = await signInWithoutBrowser(host.authorizationUrl ?? '', agent)
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

  t.test(`the MCP SDK 2 gets in from the MCP server's URL alone, as ${kind}`, async (t) => {
    const host = await create()
    const first = connect(t, host)
    await t.rejects(first.connected)
    const callback = await signInWithoutBrowser(host.authorizationUrl ?? '', agent)
    t.equal(callback.searchParams.get('iss'), issuer)
    await first.transport.finishAuth(callback.searchParams)

    t.same(await askWhoIAm(t, host), { agent: agent.agent_id, model: 'gpt-4o' })

    const before = host.saved?.refresh_token
    t.equal(await current.auth(host, { serverUrl: resource }), 'AUTHORIZED')
    t.not(host.saved?.refresh_token, before)
    await connect(t, host).connected
  })
}

function connect(t: Test, authProvider: current.OAuthClientProvider) {
  const transport = new current.StreamableHTTPClientTransport(new URL(resource), { authProvider })
  const client = new current.Client({ name: 'test', version: '1.0.0' })
  t.teardown(() => client.close())
  return { client, transport, connected: client.connect(transport) }
}

/** What the MCP server's tool says. */
async function askWhoIAm(t: Test, authProvider: current.OAuthClientProvider): Promise<unknown> {
  const { client, connected } = connect(t, authProvider)
  await connected
  const { content } = await client.callTool({ name: 'whoami' })
  const [answer] = content
  return answer?.type === 'text' ? JSON.parse(answer.text) : answer
}

t.test('the MCP SDK 2 gets in without any agent, as a client that acts for itself', async (t) => {
  const grant = { redirect_uris: [], grant_types: ['client_credentials'], scope: 'tools' }
  const { client_id: clientId, client_secret: clientSecret = '' } = await createSite(app, grant)
  const bySecret = { clientId, clientSecret, scope: 'tools', expectedIssuer: issuer }
  t.same(await askWhoIAm(t, new current.ClientCredentialsProvider(bySecret)), { agent: clientId })

  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const keyed = await createSite(app, {
    ...grant,
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [await exportJWK(publicKey)] },
  })
  const byKey = {
    clientId: keyed.client_id,
    privateKey: await exportPKCS8(privateKey),
    algorithm: 'ES256',
    scope: 'tools',
    expectedIssuer: issuer,
  }
  t.same(await askWhoIAm(t, new current.PrivateKeyJwtProvider(byKey)), { agent: keyed.client_id })
})

t.test('the MCP SDK 2 refuses a callback of another issuer', async (t) => {
  const host = await createHost({ token_endpoint_auth_method: 'none' })
  t.equal(await current.auth(host, { serverUrl: resource }), 'REDIRECT')
  const callback = await signInWithoutBrowser(host.authorizationUrl ?? '', agent)
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
