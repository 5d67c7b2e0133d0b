import * as client from 'openid-client'
import t from 'tap'
import { createAgent, createSite } from '../harness.ts'
import { completeAuthenticationFlow } from './agent-library.ts'
import { listen } from './live.ts'

const { app, issuer } = await listen(t)

/** It speaks plain HTTP, on a loopback address. */
const options = { execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks] }

const kinds: [string, string | undefined, ((secret: string) => client.ClientAuth) | undefined][] = [
  ['as it does by default', 'RS256', undefined],
  ['with client_secret_basic and ES256', 'ES256', client.ClientSecretBasic],
  ['as a public client', 'RS256', client.None],
]

for (const [how, id_token_signed_response_alg, authentication] of kinds) {
  t.test(`openid-client signs in ${how}, given only the issuer`, async (t) => {
    const agent = await createAgent(app)
    const { client_id, client_secret, redirect_uri } = await createSite(app, {
      id_token_signed_response_alg,
      ...(authentication === client.None && { token_endpoint_auth_method: 'none' }),
    })

    const config = await client.discovery(
      new URL(issuer),
      client_id,
      { client_secret, id_token_signed_response_alg },
      authentication?.(client_secret ?? ''),
      options,
    )
    t.equal(config.serverMetadata().supportsPKCE(), true)

    const pkceCodeVerifier = client.randomPKCECodeVerifier()
    const expectedState = client.randomState()
    const expectedNonce = client.randomNonce()
    const authorizationUrl = client.buildAuthorizationUrl(config, {
      redirect_uri,
      scope: 'openid email',
      code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
      state: expectedState,
      nonce: expectedNonce,
    })
    const callback = await completeAuthenticationFlow(authorizationUrl, agent)
    const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true }
    const tokens = await client.authorizationCodeGrant(config, callback, checks)
    t.equal(tokens.expiresIn(), 3600)
    t.match(tokens.claims(), { email: 'owner@example.com', sub: String, model: 'gpt-4o' })

    const { sub = '' } = tokens.claims() ?? {}
    const userinfo = await client.fetchUserInfo(config, tokens.access_token, sub)
    t.equal(userinfo.email, 'owner@example.com')

    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '')
    if (client_secret !== undefined) {
      const introspected = await client.tokenIntrospection(config, refreshed.access_token)
      t.match(introspected, { active: true, client_id, sub, model: 'gpt-4o' })
    }
    await client.tokenRevocation(config, refreshed.refresh_token ?? '')
    await t.rejects(client.fetchUserInfo(config, refreshed.access_token, sub), {
      cause: [{ parameters: { error: 'invalid_token' } }],
    })
    await t.rejects(client.refreshTokenGrant(config, refreshed.refresh_token ?? ''), {
      cause: { error: 'invalid_grant' },
    })
  })
}

t.test('openid-client hears of an error in OAuth form', async (t) => {
  const { client_id, redirect_uri } = await createSite(app)
  const config = await client.discovery(
    new URL(issuer),
    client_id,
    'cs_wrong',
    client.ClientSecretBasic('cs_wrong'),
    options,
  )
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
    { code: 'OAUTH_AUTHORIZATION_RESPONSE_ERROR' },
    'RFC 6749 section 4.1.2.1: without PKCE the redirect has an error, with state and iss',
  )
  await t.rejects(client.refreshTokenGrant(config, 'rt_unknown'), {
    code: 'OAUTH_WWW_AUTHENTICATE_CHALLENGE',
  })
})
