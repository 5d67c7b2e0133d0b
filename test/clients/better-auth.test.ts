import { randomUUID } from 'node:crypto'
import { betterAuth } from 'better-auth'
import { memoryAdapter } from 'better-auth/adapters/memory'
import { toNodeHandler } from 'better-auth/node'
import { genericOAuth } from 'better-auth/plugins'
import t from 'tap'
import { createAgent, createSite } from '../harness.ts'
import { completeAuthenticationFlow } from './agent-library.ts'
import { freePort, listen, serve, Visitor } from './live.ts'

t.test('a website signs an agent in with better-auth', async (t) => {
  const { app, issuer } = await listen(t)
  const agent = await createAgent(app)
  const port = await freePort()
  const baseURL = `http://127.0.0.1:${port}`
  const { client_id, client_secret } = await createSite(app, {
    redirect_uris: [`${baseURL}/api/auth/callback/auth-agent`],
  })

  const authAgent = {
    providerId: 'auth-agent',
    discoveryUrl: `${issuer}/.well-known/openid-configuration`,
    clientId: client_id,
    clientSecret: client_secret,
    scopes: ['openid', 'email'],
    requireIdTokenVerification: true,
  }
  const auth = betterAuth({
    baseURL,
    secret: randomUUID(),
    telemetry: { enabled: false },
    database: memoryAdapter({ user: [], session: [], account: [], verification: [] }),
    plugins: [genericOAuth({ config: [authAgent] })],
  })
  await serve(t, port, toNodeHandler(auth))

  const visitor = new Visitor()
  const login = await visitor.fetch(`${baseURL}/api/auth/sign-in/social`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: baseURL },
    body: JSON.stringify({ provider: 'auth-agent', callbackURL: `${baseURL}/welcome` }),
  })
  const { url } = JSON.parse(await login.text())
  const callback = await completeAuthenticationFlow(url, agent)
  t.equal((await visitor.redirectOf(callback)).href, `${baseURL}/welcome`)

  const session = await visitor.fetch(`${baseURL}/api/auth/get-session`)
  t.match(await session.json(), { user: { email: 'owner@example.com' } })
})
