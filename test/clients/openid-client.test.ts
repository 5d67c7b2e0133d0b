import { exportJWK, generateKeyPair } from 'jose'
import * as client from 'openid-client'
import t, { type Test } from 'tap'
import { createAgent, createSite } from '../harness.ts'
import { signInWithoutBrowser } from './agent-library.ts'
import { listen } from './live.ts'

const { app, issuer } = await listen(t)

/** The servers of the tests speak plain HTTP. */
const insecure = { execute: [client.allowInsecureRequests] }

/** A whole sign-in, from the authorization request to the revocation. */
async function signIn(t: Test, config: client.Configuration, redirect_uri: string): Promise<void> {
  const agent = await createAgent(app)
  client.enableNonRepudiationChecks(config)
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
  const callback = await signInWithoutBrowser(authorizationUrl, agent)
  const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true }
  const tokens = await client.authorizationCodeGrant(config, callback, checks)
  const claims = tokens.claims()
  const { sub = '' } = claims ?? {}
  t.match(claims, { sub: agent.agent_id, email: 'owner@example.com' })

  const userinfo = await client.fetchUserInfo(config, tokens.access_token, sub)
  t.equal(userinfo.email, 'owner@example.com')

  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '')
  if (config.clientMetadata().client_secret !== undefined) {
    const introspected = await client.tokenIntrospection(config, refreshed.access_token)
    t.match(introspected, { active: true, sub, model: 'gpt-4o' })
  }
  await client.tokenRevocation(config, refreshed.refresh_token ?? '')
  await t.rejects(client.fetchUserInfo(config, refreshed.access_token, sub), {
    cause: [{ parameters: { error: 'invalid_token' } }],
  })
  await t.rejects(client.refreshTokenGrant(config, refreshed.refresh_token ?? ''), {
    cause: { error: 'invalid_grant' },
  })
}

t.test('openid-client signs in, given only the issuer', async (t) => {
  const { client_id, client_secret, redirect_uri } = await createSite(app)
  const config = await client.discovery(new URL(issuer), client_id, client_secret, undefined, {
    execute: [client.allowInsecureRequests],
  })
  await signIn(t, config, redirect_uri)
})

t.test('openid-client signs in with client_secret_basic and ES256', async (t) => {
  const id_token_signed_response_alg = 'ES256'
  const { client_id, client_secret, redirect_uri } = await createSite(app, {
    id_token_signed_response_alg,
  })
  const metadata = { client_secret, id_token_signed_response_alg }
  const authentication = client.ClientSecretBasic(client_secret)
  const server = new URL(issuer)
  await signIn(
    t,
    await client.discovery(server, client_id, metadata, authentication, insecure),
    redirect_uri,
  )
})

t.test('openid-client signs in with private_key_jwt', async (t) => {
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const { client_id, redirect_uri } = await createSite(app, {
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [await exportJWK(publicKey)] },
  })
  const authentication = client.PrivateKeyJwt(privateKey)
  const server = new URL(issuer)
  await signIn(
    t,
    await client.discovery(server, client_id, undefined, authentication, insecure),
    redirect_uri,
  )
})

t.test('openid-client signs in as a public client', async (t) => {
  const { client_id, redirect_uri } = await createSite(app, { token_endpoint_auth_method: 'none' })
  const server = new URL(issuer)
  await signIn(
    t,
    await client.discovery(server, client_id, undefined, client.None(), insecure),
    redirect_uri,
  )
})

t.test('openid-client hears of an error in OAuth form', async (t) => {
  const { client_id, redirect_uri } = await createSite(app)
  const config = await client.discovery(
    new URL(issuer),
    client_id,
    'cs_wrong',
    client.ClientSecretBasic('cs_wrong'),
    insecure,
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
