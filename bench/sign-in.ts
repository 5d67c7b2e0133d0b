import { createHash, randomBytes } from 'node:crypto'
import type { Client } from 'undici'
import { cookiesOf, expect, form } from './http.ts'
import type { Site } from './servers/server.ts'

export interface TokenPair {
  access_token: string
  refresh_token: string
}

/** A whole sign-in in four requests; the last one gets the tokens. */
export async function signIn(client: Client, site: Site, scope: string): Promise<TokenPair> {
  const code_verifier = randomBytes(32).toString('base64url')
  const redirect_to = await getCode[site.signIn](client, site, {
    response_type: 'code',
    client_id: site.client_id,
    redirect_uri: site.redirect_uri,
    code_challenge: createHash('sha256').update(code_verifier).digest('base64url'),
    code_challenge_method: 'S256',
    scope,
    state: 'the state',
  })
  const code = new URL(redirect_to).searchParams.get('code') ?? ''
  return await requestTokens(client, site, {
    grant_type: 'authorization_code',
    code,
    code_verifier,
    redirect_uri: site.redirect_uri,
  })
}

/** POST /token with the client's credentials in the body. */
export async function requestTokens(
  client: Client,
  { client_id, client_secret }: Site,
  parameters: Record<string, string>,
): Promise<TokenPair> {
  const question = form('/token', { client_id, client_secret, ...parameters })
  return JSON.parse((await expect(client, 200, question)).body)
}

/** From /authorize to the callback URL. */
type GetCode = (client: Client, site: Site, query: Record<string, string>) => Promise<string>

const navigation = { accept: 'text/html', 'sec-fetch-mode': 'navigate' }

const getCode: Record<Site['signIn'], GetCode> = {
  async 'auth-agent'(client, site, query) {
    const path = `/authorize?${new URLSearchParams(query)}`
    const page = await expect(client, 200, { path, headers: navigation })
    const [, request_id = ''] = page.body.match(/request_id: '(req_[\w-]+)'/) ?? []
    await authenticate(client, site, request_id)
    const status = await expect(client, 200, {
      path: `/api/check-status?request_id=${request_id}`,
      headers: { cookie: cookiesOf(page) },
    })
    return JSON.parse(status.body).redirect_to
  },

  async 'oidc-provider'(client, { agent_id, agent_secret }, query) {
    const path = `/authorize?${new URLSearchParams(query)}`
    const started = await expect(client, 303, { path, headers: navigation })
    const cookie = cookiesOf(started)
    const proved = await expect(client, 200, {
      method: 'POST',
      path: String(started.headers.location),
      headers: { 'content-type': 'application/json', cookie },
      body: JSON.stringify({ agent_id, agent_secret }),
    })
    const { pathname } = new URL(JSON.parse(proved.body).redirect_to)
    const resumed = await expect(client, 303, {
      path: pathname,
      headers: { ...navigation, cookie },
    })
    return String(resumed.headers.location)
  },

  async none(_client, { redirect_uri }) {
    return `${redirect_uri}?code=code`
  },
}

/** POST /api/agent/authenticate. */
export async function authenticate(
  client: Client,
  { agent_id, agent_secret }: Site,
  request_id: string,
): Promise<void> {
  await expect(client, 200, {
    method: 'POST',
    path: '/api/agent/authenticate',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ request_id, agent_id, agent_secret, model: 'bench' }),
  })
}
