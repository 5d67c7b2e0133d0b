import { randomUUID } from 'node:crypto'
import { getRequestListener } from '@hono/node-server'
import t from 'tap'
import { createAgent, createSite } from '../harness.ts'
import { completeAuthenticationFlow } from './agent-library.ts'
import { freePort, listen, serve, Visitor } from './live.ts'

/** Not imported by name, because its types would put the DOM's in the place of Node's everywhere. */
const module: string = '@auth/core'
const { Auth }: { Auth(request: Request, config: object): Promise<Response> } = await import(module)

t.test('a website signs an agent in with Auth.js, given only the issuer', async (t) => {
  const { app, issuer } = await listen(t)
  const agent = await createAgent(app)
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const { client_id, client_secret } = await createSite(app, {
    redirect_uris: [`${origin}/auth/callback/auth-agent`],
  })

  const authAgent = {
    id: 'auth-agent',
    name: 'Auth Agent',
    type: 'oidc',
    issuer,
    clientId: client_id,
    clientSecret: client_secret,
  }
  const config = {
    basePath: '/auth',
    secret: randomUUID(),
    trustHost: true,
    providers: [authAgent],
  }
  await serve(
    t,
    port,
    getRequestListener((request) => Auth(request, config)),
  )

  const visitor = new Visitor()
  const { csrfToken } = JSON.parse(await (await visitor.fetch(`${origin}/auth/csrf`)).text())
  const authorizationUrl = await visitor.redirectOf(`${origin}/auth/signin/auth-agent`, {
    method: 'POST',
    body: new URLSearchParams({ csrfToken, callbackUrl: `${origin}/welcome` }),
  })
  const callback = await completeAuthenticationFlow(authorizationUrl, agent)
  t.equal((await visitor.redirectOf(callback)).href, `${origin}/welcome`)

  const session = await visitor.fetch(`${origin}/auth/session`)
  t.match(await session.json(), { user: { email: 'owner@example.com' } })
})
