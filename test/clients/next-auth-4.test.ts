import { randomUUID } from 'node:crypto'
import { createRequire } from 'node:module'
import { parseCookie } from 'cookie'
import express, { type RequestHandler } from 'express'
import t from 'tap'
import { createAgent, createSite } from '../harness.ts'
import { completeAuthenticationFlow } from './agent-library.ts'
import { freePort, listen, serve, Visitor } from './live.ts'

/** Not imported, because its types need those of Next.js, whose handlers run without it. */
const NextAuth: (request: unknown, response: unknown, options: object) => Promise<void> =
  createRequire(import.meta.url)('next-auth').default

t.test('a website signs an agent in with NextAuth 4', async (t) => {
  const { app, issuer } = await listen(t)
  const agent = await createAgent(app)
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  process.env.NEXTAUTH_URL = origin
  const { client_id, client_secret } = await createSite(app, {
    redirect_uris: [`${origin}/api/auth/callback/auth-agent`],
  })

  const authAgent = {
    id: 'auth-agent',
    name: 'Auth Agent',
    type: 'oauth',
    wellKnown: `${issuer}/.well-known/openid-configuration`,
    authorization: { params: { scope: 'openid email' } },
    idToken: true,
    checks: ['pkce', 'state'],
    clientId: client_id,
    clientSecret: client_secret,
    profile: ({ sub, email }: { sub: string; email: string }) => ({ id: sub, email }),
  }
  const options = {
    secret: randomUUID(),
    providers: [authAgent],
  }
  // What Next.js gives an API route at pages/api/auth/[...nextauth].ts.
  const route: RequestHandler = async (request, response) => {
    const nextauth = request.path.split('/').slice(1)
    const asked = Object.assign(Object.create(request), {
      cookies: parseCookie(request.headers.cookie ?? ''),
    })
    Object.defineProperty(asked, 'query', { value: { ...request.query, nextauth } })
    await NextAuth(asked, response, options)
  }
  const website = express().use(express.urlencoded()).use('/api/auth', route)
  await serve(t, port, website)

  const visitor = new Visitor()
  const csrf = await visitor.fetch(`${origin}/api/auth/csrf`)
  const { csrfToken } = JSON.parse(await csrf.text())
  const authorizationUrl = await visitor.redirectOf(`${origin}/api/auth/signin/auth-agent`, {
    method: 'POST',
    body: new URLSearchParams({ csrfToken, callbackUrl: `${origin}/welcome` }),
  })
  const callback = await completeAuthenticationFlow(authorizationUrl, agent)
  t.equal((await visitor.redirectOf(callback)).href, `${origin}/welcome`)

  const session = await visitor.fetch(`${origin}/api/auth/session`)
  t.match(await session.json(), { user: { email: 'owner@example.com' } })
})
