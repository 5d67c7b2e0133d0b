import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { exportJWK, generateKeyPair } from 'jose'
import Provider, { type Configuration } from 'oidc-provider'
import { serve } from '../calls.ts'
import { commonHandlers, REDIRECT_URI } from './server.ts'
import { openSqliteAdapter } from './sqlite-adapter.ts'

/**
 * The peer: `oidc-provider` with the paths and lifetimes of ours, opaque access tokens (its
 * default, which spares it a signature) and a sign-in of as many requests as ours.
 */
const [directory = '.', storage = 'sqlite', port = '0'] = process.argv.slice(2)

const facts = remembered(join(directory, 'oidc-provider.json'), async () => ({
  client_id: 'client',
  client_secret: randomBytes(32).toString('base64url'),
  agent_id: 'agent',
  agent_secret: randomBytes(32).toString('base64url'),
  key: await exportJWK((await generateKeyPair('ES256', { extractable: true })).privateKey),
}))
const { client_id, client_secret, agent_id, agent_secret, key } = await facts

const server = createServer()
server.listen(Number(port), '127.0.0.1')
await once(server, 'listening')
const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`

const configuration: Configuration = {
  ...(storage === 'sqlite' && {
    adapter: openSqliteAdapter(join(directory, 'oidc-provider.db')),
  }),
  clients: [
    {
      client_id,
      client_secret,
      redirect_uris: [REDIRECT_URI],
      response_types: ['code'],
      grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
      token_endpoint_auth_method: 'client_secret_post',
      id_token_signed_response_alg: 'ES256',
    },
  ],
  jwks: { keys: [{ ...key, alg: 'ES256', use: 'sig' }] },
  cookies: { keys: [randomBytes(32).toString('base64url')] },
  claims: { openid: ['sub'], email: ['email'] },
  scopes: ['openid', 'email'],
  findAccount: (_context, accountId) => ({
    accountId,
    claims: () => ({ sub: accountId, email: 'owner@example.com' }),
  }),
  features: {
    devInteractions: { enabled: false },
    introspection: { enabled: true },
    revocation: { enabled: true },
    clientCredentials: { enabled: true },
  },
  interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
  issueRefreshToken: async (_context, client) => client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: true,
  routes: {
    authorization: '/authorize',
    token: '/token',
    userinfo: '/userinfo',
    introspection: '/introspect',
    revocation: '/revoke',
    jwks: '/.well-known/jwks.json',
  },
  ttl: {
    AccessToken: 3600,
    AuthorizationCode: 60,
    ClientCredentials: 3600,
    Grant: 2_592_000,
    IdToken: 3600,
    Interaction: 600,
    RefreshToken: 2_592_000,
    Session: 2_592_000,
  },
}
const provider = new Provider(origin, configuration)

/** Authenticates the agent and consents, as POST /api/agent/authenticate does in Auth Agent. */
provider.use(async (context, next) => {
  if (context.method !== 'POST' || !context.path.startsWith('/interaction/')) return next()
  const body = JSON.parse(await text(context.req))
  if (body.agent_id !== agent_id || !sameSecret(body.agent_secret, agent_secret)) {
    context.status = 401
    return
  }
  const grant = new provider.Grant({ accountId: agent_id, clientId: client_id })
  grant.addOIDCScope('openid email')
  const grantId = await grant.save()
  const redirect_to = await provider.interactionResult(context.req, context.res, {
    login: { accountId: agent_id },
    consent: { grantId },
  })
  context.body = { status: 'authenticated', redirect_to }
})
server.on('request', provider.callback())

if (process.send) {
  serve(
    commonHandlers({
      origin,
      signIn: 'oidc-provider',
      client_id,
      client_secret,
      redirect_uri: REDIRECT_URI,
      agent_id,
      agent_secret,
    }),
  )
}

function sameSecret(given: string, known: string): boolean {
  const [a, b] = [given, known].map((secret) => createHash('sha256').update(secret).digest())
  return a !== undefined && b !== undefined && timingSafeEqual(a, b)
}

/** Reads the content of a file, and creates the file when there is none. */
async function remembered<T>(file: string, make: () => Promise<T>): Promise<T> {
  if (existsSync(file)) return JSON.parse(readFileSync(file, 'utf8'))
  const made = await make()
  writeFileSync(file, JSON.stringify(made))
  return made
}
