import { createHash, randomBytes } from 'node:crypto'
import createClient from 'openapi-fetch'
// Made from the server's document by the test that copies this file to where it is.
import type { components, paths } from './auth-agent.d.ts'

/** A whole sign-in of an agent, written against the generated types alone. */
type OAuthError = components['schemas']['Error']

const [baseUrl = '', agent_id = '', agent_secret = ''] = process.argv.slice(2)
const server = createClient<paths, 'application/json'>({ baseUrl })
const redirect_uri = 'https://site.example/callback'
/** Tells openapi-fetch how to write a body. */
const form = { 'content-type': 'application/x-www-form-urlencoded' }

const metadata = resultOf(await server.GET('/.well-known/oauth-authorization-server'))
const registered = resultOf(
  await server.POST('/register', {
    body: {
      client_name: 'Generated',
      redirect_uris: [redirect_uri],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'client_secret_post',
    },
  }),
)
const { client_id, client_secret = '' } = registered
const credentials = { client_id, client_secret }

const code_verifier = randomBytes(32).toString('base64url')
const query = {
  response_type: 'code',
  client_id,
  redirect_uri,
  scope: 'openid email offline_access',
  code_challenge: createHash('sha256').update(code_verifier).digest('base64url'),
  code_challenge_method: 'S256',
}
const opened = resultOf(
  await server.GET('/authorize', {
    params: { query },
    headers: { accept: 'application/json' },
  }),
)
const { request_id } = opened
const authenticated = resultOf(
  await server.POST('/api/agent/authenticate', {
    body: { request_id, agent_id, agent_secret, model: 'gpt-4o', deliver: 'agent' },
  }),
)
if (authenticated.status !== 'authenticated') throw new Error(authenticated.message)
const code = new URL(authenticated.redirect_to).searchParams.get('code') ?? ''
const state = resultOf(await server.GET('/api/check-status', { params: { query: { request_id } } }))

const redeemed = resultOf(
  await server.POST('/token', {
    body: { grant_type: 'authorization_code', code, code_verifier, redirect_uri, ...credentials },
    headers: form,
  }),
)
const headers = { authorization: `Bearer ${redeemed.access_token}` }
const userinfo = resultOf(await server.GET('/userinfo', { headers }))
const refreshed = resultOf(
  await server.POST('/token', {
    body: {
      grant_type: 'refresh_token',
      refresh_token: redeemed.refresh_token ?? '',
      ...credentials,
    },
    headers: form,
  }),
)
const introspected = await introspect()
const revoked = await server.POST('/revoke', {
  body: { token: refreshed.refresh_token ?? '', ...credentials },
  headers: form,
})
const { error: refusal } = await server.GET('/userinfo', { headers })
const refused: OAuthError['error'] | undefined = refusal?.error

process.stdout.write(
  JSON.stringify({
    issuer: metadata.issuer,
    waited: state.status,
    email: userinfo.email,
    sub: userinfo.sub,
    introspected,
    revoked: revoked.response.status,
    afterwards: await introspect(),
    refused,
  }),
)

async function introspect(): Promise<boolean> {
  const body = { token: refreshed.access_token, ...credentials }
  return resultOf(await server.POST('/introspect', { body, headers: form })).active
}

function resultOf<T>({ data, error }: { data?: T; error?: OAuthError }): T {
  if (data === undefined) throw new Error(`${error?.error}: ${error?.error_description}`)
  return data
}

/** What is wrong at the server is wrong for the compiler: type-checked, and never called. */
export async function mistakes(): Promise<void> {
  // @ts-expect-error: there is no such endpoint
  await server.GET('/userinfos')
  // @ts-expect-error: PKCE is required of everybody
  await server.GET('/authorize', { params: { query: { response_type: 'code', client_id } } })
  // @ts-expect-error: a code is needed
  await server.POST('/token', { body: { grant_type: 'authorization_code' } })
  // @ts-expect-error: no such way to authenticate
  await server.POST('/register', { body: { token_endpoint_auth_method: 'tls_client_auth' } })
  // @ts-expect-error: the model is always told
  await server.POST('/api/agent/authenticate', { body: { request_id, agent_id, agent_secret } })
}
