import t from 'tap'
import type { TokenResponse } from '../../schemas/token.ts'
import { authorizeQuery, createAgent, createSite, encode, pkce } from '../harness.ts'
import { authenticate, completeAuthenticationFlow, readRequestId } from './agent-library.ts'
import { listen } from './live.ts'

const { app, issuer } = await listen(t)

t.test('an agent library signs in to a website whose library speaks JSON', async (t) => {
  const agent = await createAgent(app)
  const site = await createSite(app)
  const { client_id, client_secret, redirect_uri } = site
  const { code_verifier, code_challenge } = pkce()
  const query = encode(authorizeQuery(site, code_challenge, { scope: 'openid profile email' }))
  const callback = await completeAuthenticationFlow(`${issuer}/authorize?${query}`, agent)

  const post = async (path: string, body: Record<string, unknown>, headers = {}) =>
    await fetch(issuer + path, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
  const code = callback.searchParams.get('code')
  const redemption = await post('/token', {
    grant_type: 'authorization_code',
    code,
    code_verifier,
    redirect_uri,
    client_id,
    client_secret,
  })
  t.equal(redemption.status, 200)
  const { access_token, refresh_token } = (await redemption.json()) as TokenResponse

  const unencoded = `Basic ${btoa(`${client_id}:${client_secret}`)}`
  const introspection = await post(
    '/introspect',
    { token: access_token },
    { authorization: unencoded },
  )
  t.match(await introspection.json(), { active: true, model: 'gpt-4o' })

  const userinfo = await fetch(`${issuer}/userinfo`, {
    headers: { authorization: `Bearer ${access_token}` },
  })
  t.match(await userinfo.json(), { email: 'owner@example.com' })

  const revocation = await post('/revoke', {
    token: refresh_token,
    token_type_hint: 'refresh_token',
    client_id,
    client_secret,
  })
  t.equal(revocation.status, 200)
  const after = await post('/introspect', { token: access_token, client_id, client_secret })
  t.same(await after.json(), { active: false })
})

t.test('the waiting page has the request_id in every place where agents look', async (t) => {
  const site = await createSite(app)
  const query = encode(authorizeQuery(site, pkce().code_challenge))
  const page = await (await fetch(`${issuer}/authorize?${query}`)).text()
  const request_id = readRequestId(page) ?? ''
  t.match(request_id, /^req_/)
  t.equal(page.match(/<meta name="request-id" content="([^"]+)">/)?.[1], request_id)
  t.equal(page.match(/data-request-id="([^"]+)"/)?.[1], request_id)
})

t.test('an agent library can tell what went wrong', async (t) => {
  const agent = await createAgent(app)
  const site = await createSite(app)
  const query = encode(authorizeQuery(site, pkce().code_challenge))
  const request_id = readRequestId(await (await fetch(`${issuer}/authorize?${query}`)).text()) ?? ''

  const wrong = await authenticate(issuer, request_id, { ...agent, agent_secret: 'ags_wrong' })
  t.equal(wrong.status, 401)
  t.match(await wrong.json(), { success: false, error: 'invalid_credentials' })
  const right = await authenticate(issuer, request_id, agent)
  t.match(await right.json(), { success: true, message: String })
  const again = await authenticate(issuer, request_id, agent)
  t.equal(again.status, 409)
  t.match(await again.json(), { success: false, error: 'invalid_request' })

  const unknown = await fetch(`${issuer}/api/check-status?request_id=req_unknown`)
  t.equal(unknown.status, 404)
})
