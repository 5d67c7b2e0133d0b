import * as client from 'openid-client'
import t from 'tap'
import { createAgent, createSite } from '../harness.ts'
import { completeAuthenticationFlow } from './agent-library.ts'
import { listen } from './live.ts'

const authentications: [string, (secret: string) => client.ClientAuth][] = [
  ['client_secret_basic', client.ClientSecretBasic],
  ['client_secret_post', client.ClientSecretPost],
  ['none', client.None],
]

for (const [method, authentication] of authentications) {
  t.test(`openid-client signs in with ${method}, given only the issuer`, async (t) => {
    const { app, issuer } = await listen(t)
    const agent = await createAgent(app)
    const { client_id, client_secret, redirect_uri } = await createSite(app, {
      token_endpoint_auth_method: method === 'none' ? 'none' : 'client_secret_basic',
    })

    const config = await client.discovery(
      new URL(issuer),
      client_id,
      client_secret,
      authentication(client_secret ?? ''),
      { algorithm: 'oauth2', execute: [client.allowInsecureRequests] },
    )
    t.equal(config.serverMetadata().supportsPKCE(), true)

    const pkceCodeVerifier = client.randomPKCECodeVerifier()
    const expectedState = client.randomState()
    const authorizationUrl = client.buildAuthorizationUrl(config, {
      redirect_uri,
      scope: 'email',
      code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
      state: expectedState,
    })
    const callback = await completeAuthenticationFlow(authorizationUrl, agent)
    const tokens = await client.authorizationCodeGrant(config, callback, {
      pkceCodeVerifier,
      expectedState,
    })
    t.equal(tokens.expiresIn(), 3600)

    const userinfo = await client.fetchUserInfo(config, tokens.access_token, agent.agent_id)
    t.equal(userinfo.email, 'owner@example.com')

    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '')
    if (method !== 'none') {
      const introspected = await client.tokenIntrospection(config, refreshed.access_token)
      t.match(introspected, { active: true, client_id, sub: agent.agent_id, model: 'gpt-4o' })
    }
    await client.tokenRevocation(config, refreshed.refresh_token ?? '')
    await t.rejects(client.fetchUserInfo(config, refreshed.access_token, agent.agent_id), {
      cause: [{ parameters: { error: 'invalid_token' } }],
    })
    await t.rejects(client.refreshTokenGrant(config, refreshed.refresh_token ?? ''), {
      cause: { error: 'invalid_grant' },
    })
  })
}

t.test('openid-client hears of an error in OAuth form', async (t) => {
  const { app, issuer } = await listen(t)
  const { client_id, redirect_uri } = await createSite(app)
  const config = await client.discovery(new URL(issuer), client_id, 'cs_wrong', undefined, {
    algorithm: 'oauth2',
    execute: [client.allowInsecureRequests],
  })
  const page = await fetch(client.buildAuthorizationUrl(config, { redirect_uri, state: 'kept' }), {
    redirect: 'manual',
  })
  const callback = new URL(page.headers.get('location') ?? '')
  t.match(Object.fromEntries(callback.searchParams), {
    error: 'invalid_request',
    state: 'kept',
    iss: issuer,
  })
  await t.rejects(
    client.authorizationCodeGrant(config, callback, { expectedState: 'kept' }),
    { code: 'OAUTH_AUTHORIZATION_RESPONSE_ERROR', message: /authorization response/ },
    'RFC 6749 section 4.1.2.1: without PKCE the redirect has an error, with state and iss',
  )
  await t.rejects(client.refreshTokenGrant(config, 'rt_unknown'), {
    code: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE',
  })
})
