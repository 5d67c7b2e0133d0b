import * as oauth from 'oauth4webapi'
import t from 'tap'
import { createAgent, createSite } from '../harness.ts'
import { signInWithoutBrowser } from './agent-library.ts'
import { listen } from './live.ts'

const { app, issuer } = await listen(t)
const insecure = { [oauth.allowInsecureRequests]: true }

const authentications: [string, (secret: string) => oauth.ClientAuth, 'oidc' | 'oauth2'][] = [
  ['client_secret_basic', oauth.ClientSecretBasic, 'oidc'],
  ['client_secret_post', oauth.ClientSecretPost, 'oauth2'],
  ['none', oauth.None, 'oidc'],
]

for (const [method, authentication, algorithm] of authentications) {
  t.test(
    `oauth4webapi signs in with ${method}, given only the issuer, by ${algorithm} discovery`,
    async (t) => {
      const agent = await createAgent(app)
      const site = await createSite(app, {
        token_endpoint_auth_method: method === 'none' ? 'none' : 'client_secret_basic',
      })
      const client: oauth.Client = { client_id: site.client_id }
      const clientAuth = authentication(site.client_secret ?? '')

      const url = new URL(issuer)
      const as = await oauth.processDiscoveryResponse(
        url,
        await oauth.discoveryRequest(url, { algorithm, ...insecure }),
      )

      const code_verifier = oauth.generateRandomCodeVerifier()
      const state = oauth.generateRandomState()
      const nonce = oauth.generateRandomNonce()
      const authorizationUrl = new URL(as.authorization_endpoint ?? '')
      authorizationUrl.search = new URLSearchParams({
        client_id: client.client_id,
        redirect_uri: site.redirect_uri,
        response_type: 'code',
        scope: 'openid email',
        code_challenge: await oauth.calculatePKCECodeChallenge(code_verifier),
        code_challenge_method: 'S256',
        state,
        nonce,
      }).toString()
      const callback = await signInWithoutBrowser(authorizationUrl, agent)
      const parameters = oauth.validateAuthResponse(as, client, callback, state)
      t.equal(parameters.get('iss'), issuer, 'RFC 9207 section 2: iss is the issuer')

      const response = await oauth.authorizationCodeGrantRequest(
        as,
        client,
        clientAuth,
        parameters,
        site.redirect_uri,
        code_verifier,
        insecure,
      )
      const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, {
        expectedNonce: nonce,
        requireIdToken: true,
      })
      await oauth.validateApplicationLevelSignature(as, response, insecure)
      t.match(tokens, { token_type: 'bearer', expires_in: 3600, scope: 'openid email' })
      t.match(oauth.getValidatedIdTokenClaims(tokens), {
        iss: issuer,
        sub: agent.agent_id,
        aud: client.client_id,
        nonce,
        email: 'owner@example.com',
      })

      const userinfo = await oauth.processUserInfoResponse(
        as,
        client,
        agent.agent_id,
        await oauth.userInfoRequest(as, client, tokens.access_token, insecure),
      )
      t.same(userinfo, {
        sub: agent.agent_id,
        email: 'owner@example.com',
        email_verified: false,
      })

      const claims = await oauth.validateJwtAccessToken(
        as,
        new Request('https://api.example', {
          headers: { authorization: `Bearer ${tokens.access_token}` },
        }),
        issuer,
        insecure,
      )
      t.match(claims, { iss: issuer, sub: agent.agent_id, client_id: site.client_id })

      const refreshed = await oauth.processRefreshTokenResponse(
        as,
        client,
        await oauth.refreshTokenGrantRequest(
          as,
          client,
          clientAuth,
          tokens.refresh_token ?? '',
          insecure,
        ),
      )
      t.not(refreshed.refresh_token, tokens.refresh_token, 'the refresh token rotates')

      const introspect = async () =>
        await oauth.processIntrospectionResponse(
          as,
          client,
          await oauth.introspectionRequest(
            as,
            client,
            clientAuth,
            refreshed.access_token,
            insecure,
          ),
        )
      if (method !== 'none') t.match(await introspect(), { active: true, sub: agent.agent_id })
      else await t.rejects(introspect(), { name: 'WWWAuthenticateChallengeError' })

      await oauth.processRevocationResponse(
        await oauth.revocationRequest(
          as,
          client,
          clientAuth,
          refreshed.refresh_token ?? '',
          insecure,
        ),
      )
      if (method !== 'none') t.same(await introspect(), { active: false })
      const late = await oauth.userInfoRequest(as, client, refreshed.access_token, insecure)
      await t.rejects(oauth.processUserInfoResponse(as, client, agent.agent_id, late))
    },
  )
}

t.test('oauth4webapi refuses an answer that names another issuer', async (t) => {
  const { client_id } = await createSite(app)
  const client: oauth.Client = { client_id }
  const url = new URL(issuer)
  const as = await oauth.processDiscoveryResponse(
    url,
    await oauth.discoveryRequest(url, { algorithm: 'oauth2', ...insecure }),
  )
  const refused = async (change: (query: URLSearchParams) => void) => {
    const agent = await createAgent(app)
    const code_challenge = await oauth.calculatePKCECodeChallenge(
      oauth.generateRandomCodeVerifier(),
    )
    const callback = await signInWithoutBrowser(
      `${as.authorization_endpoint}?${new URLSearchParams({
        client_id,
        response_type: 'code',
        code_challenge,
        code_challenge_method: 'S256',
      })}`,
      agent,
    )
    t.ok(oauth.validateAuthResponse(as, client, callback, oauth.expectNoState))
    change(callback.searchParams)
    t.throws(() => oauth.validateAuthResponse(as, client, callback, oauth.expectNoState))
  }
  await refused((query) => query.set('iss', 'https://other.example'))
  await refused((query) => query.delete('iss'))
})
