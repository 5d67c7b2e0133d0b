import { InMemoryWebStorage, UserManager } from 'oidc-client-ts'
import t from 'tap'
import { createAgent, createSite } from '../harness.ts'
import { authenticate, readRequestId } from './agent-library.ts'
import { listen } from './live.ts'

t.test('a single-page application signs an agent in with oidc-client-ts', async (t) => {
  const { app, issuer } = await listen(t)
  const agent = await createAgent(app)
  const { client_id, redirect_uri } = await createSite(app, {
    redirect_uris: ['https://app.example/callback'],
    token_endpoint_auth_method: 'none',
  })
  // What the library needs of a page; the requests are real.
  const left = Promise.withResolvers<string>()
  const location = { href: 'https://app.example/', assign: left.resolve, replace: left.resolve }
  const page = {
    location,
    crypto,
    sessionStorage: new InMemoryWebStorage(),
    localStorage: new InMemoryWebStorage(),
    addEventListener: () => undefined,
  }
  Object.assign(globalThis, { window: Object.assign(page, { self: page, top: page }) })

  const users = new UserManager({
    authority: issuer,
    client_id,
    redirect_uri,
    scope: 'openid email',
  })
  t.teardown(() => users.events.unload())
  users.signinRedirect() // at the button: the page is left for the server
  const authorizationUrl = await left.promise
  const waiting = await fetch(authorizationUrl, { headers: { accept: 'text/html' } })
  const request_id = readRequestId(await waiting.text()) ?? ''
  const answer = await authenticate(issuer, request_id, agent)
  const { redirect_to } = (await answer.json()) as { redirect_to: string }
  location.href = redirect_to

  const { profile } = await users.signinRedirectCallback() // at redirect_uri
  t.match(profile, { sub: agent.agent_id, email: 'owner@example.com' })
  const renewed = await users.signinSilent() // by the refresh token
  t.match(renewed, { profile: { sub: agent.agent_id }, token_type: 'Bearer' })
})
