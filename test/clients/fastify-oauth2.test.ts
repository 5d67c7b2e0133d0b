import oauthPlugin, { type OAuth2Namespace } from '@fastify/oauth2'
import Fastify from 'fastify'
import t from 'tap'
import { createAgent, createSite } from '../harness.ts'
import { freePort, listen } from './live.ts'
import { signInAtWebsite } from './website.ts'

declare module 'fastify' {
  interface FastifyInstance {
    authAgent: OAuth2Namespace
  }
}

t.test(
  'a Fastify website signs an agent in with @fastify/oauth2, given only the issuer',
  async (t) => {
    const { app, issuer } = await listen(t)
    const agent = await createAgent(app)
    const port = await freePort()
    const {
      client_id,
      client_secret = '',
      redirect_uri,
    } = await createSite(app, {
      redirect_uris: [`http://127.0.0.1:${port}/callback`],
    })

    const website = Fastify()
    t.teardown(() => website.close())
    await website.register(oauthPlugin, {
      name: 'authAgent',
      credentials: { client: { id: client_id, secret: client_secret } },
      discovery: { issuer },
      scope: ['openid', 'email'],
      pkce: 'S256',
      startRedirectPath: '/login',
      callbackUri: redirect_uri,
    })
    website.get('/callback', async (request, reply) => {
      const tokens = await website.authAgent.getAccessTokenFromAuthorizationCodeFlow(request, reply)
      const userinfo = await website.authAgent.userinfo(tokens.token)
      const refreshed = await website.authAgent.getNewAccessTokenUsingRefreshToken(tokens.token, {})
      await website.authAgent.revokeToken(refreshed.token, 'refresh_token', {})
      const { access_token, refresh_token } = refreshed.token
      return { userinfo, access_token, rotated: refresh_token !== tokens.token.refresh_token }
    })
    await website.listen({ host: '127.0.0.1', port })

    const { answer } = await signInAtWebsite(`http://127.0.0.1:${port}/login`, agent)
    const { userinfo, access_token, rotated } = JSON.parse(await answer.text())
    t.same(userinfo, {
      sub: agent.agent_id,
      email: 'owner@example.com',
      email_verified: false,
    })
    t.equal(rotated, true)
    const after = await fetch(`${issuer}/userinfo`, {
      headers: { authorization: `Bearer ${access_token}` },
    })
    t.equal(after.status, 401, 'revoked')
  },
)
