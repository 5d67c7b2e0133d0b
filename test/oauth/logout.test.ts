import type { FastifyInstance } from 'fastify'
import { decodeJwt } from 'jose'
import t from 'tap'
import { build, createAgent, createSite, encode, signIn, signInOwner } from '../harness.ts'

const AFTER = 'https://site.example/signed-out?from=auth'

async function setUp(t: Parameters<typeof build>[0]) {
  const app = await build(t)
  const site = await createSite(app, { post_logout_redirect_uris: [AFTER] })
  const agent = await createAgent(app)
  const tokens = await signIn(app, site, agent, { scope: 'openid email' })
  return { app, site, agent, tokens, id_token: tokens.id_token ?? '' }
}

function logout(app: FastifyInstance, parameters: Record<string, string>, headers = {}) {
  return app.inject({ url: `/logout?${encode(parameters)}`, headers })
}

async function isSignedIn(app: FastifyInstance, access_token: string): Promise<boolean> {
  const headers = { authorization: `Bearer ${access_token}` }
  return (await app.inject({ url: '/userinfo', headers })).statusCode === 200
}

t.test('OpenID Connect RP-Initiated Logout 1.0 section 2: it ends the sign-in', async (t) => {
  const { app, agent, site, tokens, id_token } = await setUp(t)
  const other = await signIn(app, site, agent, { scope: 'openid email' })
  const state = 'a b&c'
  const answer = await logout(app, {
    id_token_hint: id_token,
    post_logout_redirect_uri: AFTER,
    state,
  })
  t.equal(answer.statusCode, 303)
  const location = new URL(answer.headers.location ?? '')
  t.equal(location.origin + location.pathname, 'https://site.example/signed-out')
  t.same(
    [...location.searchParams],
    [
      ['from', 'auth'],
      ['state', state],
    ],
  )
  t.notOk(await isSignedIn(app, tokens.access_token))
  t.ok(await isSignedIn(app, other.access_token), 'another sign-in goes on')
  const again = await logout(app, { id_token_hint: id_token, post_logout_redirect_uri: AFTER })
  t.equal(again.headers.location, AFTER, 'and it may be said twice')
  const [event] = await app.store.events.list({ limit: 1 })
  t.equal(event?.detail, 'The website signed out')
  const metadata = (await app.inject('/.well-known/openid-configuration')).json()
  t.equal(metadata.end_session_endpoint, app.metadata.url('/logout'))
})

t.test('an ID Token may have expired, and a form does the same', async (t) => {
  const { app, tokens, id_token, site } = await setUp(t)
  const answer = await app.inject({
    method: 'POST',
    url: '/logout',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      origin: 'https://site.example',
      'sec-fetch-site': 'cross-site',
    },
    payload: encode({ id_token_hint: id_token, client_id: site.client_id }),
  })
  t.equal(answer.statusCode, 200)
  t.match(answer.body, 'You are signed out of <bdi>Example Site</bdi>')
  t.notOk(await isSignedIn(app, tokens.access_token))
})

t.test('a bad request ends nothing and leads nowhere', async (t) => {
  const { app, site, tokens, id_token } = await setUp(t)
  const other = await createSite(app, { post_logout_redirect_uris: ['https://evil.example/'] })
  const good = { id_token_hint: id_token, post_logout_redirect_uri: AFTER }
  const [header, , signature] = id_token.split('.')
  const claims = Buffer.from(JSON.stringify({ ...decodeJwt(id_token), sub: 'x' }))
  const rows: [what: string, change: Record<string, string>][] = [
    ['another URI', { post_logout_redirect_uri: 'https://evil.example/' }],
    ['a longer URI', { post_logout_redirect_uri: `${AFTER}&more=1` }],
    ['its start', { post_logout_redirect_uri: 'https://site.example/signed-out' }],
    ['its redirect URI', { post_logout_redirect_uri: site.redirect_uri }],
    ['another client', { client_id: other.client_id }],
    ['an unknown client', { client_id: 'client_unknown' }],
    [
      'a changed ID Token',
      { id_token_hint: `${header}.${claims.toString('base64url')}.${signature}` },
    ],
    ['an access token', { id_token_hint: tokens.access_token }],
    ['no token at all', { id_token_hint: 'x' }],
  ]
  for (const [what, change] of rows) {
    const answer = await logout(app, { ...good, ...change })
    t.equal(answer.statusCode, 400, what)
    t.equal(answer.headers.location, undefined, what)
    t.match(answer.headers['content-type'], 'text/html', what)
  }
  t.ok(await isSignedIn(app, tokens.access_token))
  t.equal((await logout(app, good)).statusCode, 303, 'and the good one is served')
})

t.test('section 2: without an ID Token the person is asked, and nobody else decides', async (t) => {
  const { app, site, tokens } = await setUp(t)
  const { headers } = await signInOwner(app)
  const parameters = { client_id: site.client_id, post_logout_redirect_uri: AFTER, state: 's' }
  const asked = await logout(app, parameters, headers)
  t.equal(asked.statusCode, 200)
  t.match(asked.body, 'data-action="confirm"')
  t.match(asked.body, 'owner@example.com')
  const confirm = (origin: string) =>
    app.inject({
      method: 'POST',
      url: '/logout',
      headers: {
        cookie: headers.cookie,
        origin,
        'content-type': 'application/x-www-form-urlencoded',
      },
      payload: encode({ ...parameters, confirmed: 'yes' }),
    })
  t.equal((await confirm('https://site.example')).statusCode, 403)
  t.equal((await app.inject({ url: '/account', headers })).statusCode, 200)
  const done = await confirm(headers.origin)
  t.equal(done.statusCode, 200)
  t.match(done.body, 'You are signed out')
  t.match(done.body, 'Go to site.example')
  t.equal((await app.inject({ url: '/account', headers })).statusCode, 303)
  t.ok(await isSignedIn(app, tokens.access_token), 'agents stay signed in')
})

t.test('a browser in which nobody is signed in is told so', async (t) => {
  const { app } = await setUp(t)
  const rows: Record<string, string>[] = [{}, { state: 'alone' }, { logout_hint: 'x' }]
  for (const parameters of rows) {
    const answer = await logout(app, parameters)
    t.equal(answer.statusCode, 200)
    t.match(answer.body, 'You are signed out')
  }
})
