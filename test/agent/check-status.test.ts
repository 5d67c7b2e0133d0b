import type { FastifyInstance } from 'fastify'
import t from 'tap'
import {
  authenticate,
  authorizeQuery,
  build,
  createAgent,
  createSite,
  encode,
  open,
  pkce,
  post,
  redeem,
  type Site,
  TestClock,
} from '../harness.ts'

function check(app: FastifyInstance, request_id: string, headers = {}, more = '') {
  return app.inject({ url: `/api/check-status?request_id=${request_id}${more}`, headers })
}

/** GET /authorize as something that is no browser does. */
async function openBare(app: FastifyInstance, site: Site) {
  const { code_verifier, code_challenge } = pkce()
  const { body } = await app.inject({
    url: `/authorize?${encode(authorizeQuery(site, code_challenge))}`,
  })
  const [, request_id = ''] = body.match(/request_id: '(req_[\w-]+)'/) ?? []
  return { request_id, code_verifier }
}

t.test(
  'RFC 6749 section 10.5: the code goes only to the browser that opened the request',
  async (t) => {
    const app = await build(t)
    const site = await createSite(app)
    const { request_id, code_verifier, cookie } = await open(app, site)
    const stranger = (await open(app, site)).cookie
    t.strictSame((await check(app, request_id)).json(), { status: 'pending' })
    const { redirect_to } = (await authenticate(app, request_id, await createAgent(app))).json()

    const others: [name: string, headers: Record<string, string>][] = [
      ['nobody', {}],
      ['another browser', { cookie: stranger }],
      ['an empty cookie', { cookie: 'auth-agent=' }],
      ['a hostile cookie', { cookie: 'auth-agent=%ZZ; =; auth-agent' }],
      ['a browser without it', { 'sec-fetch-mode': 'navigate' }],
    ]
    for (const [name, headers] of others) {
      const response = await check(app, request_id, headers)
      t.strictSame(response.json(), { status: 'authenticated' }, name)
      t.equal(response.headers['cache-control'], 'no-store', name)
    }
    for (const time of ['once', 'again, in case the answer was lost']) {
      const mine = await check(app, request_id, { cookie })
      t.strictSame(mine.json(), { status: 'completed', redirect_to }, time)
    }
    t.strictSame((await check(app, request_id)).json(), { status: 'completed' })
    const code = new URL(redirect_to).searchParams.get('code') ?? ''
    await redeem(app, site, { code, code_verifier })
    t.strictSame((await check(app, request_id, { cookie })).json(), { status: 'completed' }, 'used')
  },
)

t.test('whoever asks for HTML gets a cookie and needs it, whatever else it sends', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createAgent(app)
  const browsers: [name: string, headers: Record<string, string>][] = [
    ['a browser', { accept: 'text/html,*/*;q=0.8', 'sec-fetch-mode': 'navigate' }],
    ['a browser without Fetch Metadata', { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }],
    ['behind a proxy that drops Sec-*', { accept: 'Text/HTML' }],
    ['a navigation that accepts anything', { accept: '*/*', 'sec-fetch-mode': 'navigate' }],
    ['a page that is fetched', { accept: 'text/html', 'sec-fetch-mode': 'cors' }],
  ]
  for (const [name, headers] of browsers) {
    const query = encode(authorizeQuery(site, pkce().code_challenge))
    const page = await app.inject({ url: `/authorize?${query}`, headers })
    const [, request_id = ''] = page.body.match(/request_id: '(req_[\w-]+)'/) ?? []
    const [cookie = ''] = String(page.headers['set-cookie']).split(';')
    t.match(cookie, /^auth-agent=/, name)
    await authenticate(app, request_id, agent)
    t.strictSame((await check(app, request_id)).json(), { status: 'authenticated' }, name)
    t.match((await check(app, request_id, { cookie })).json(), { redirect_to: /code=/ }, name)
  }
  const tools: [name: string, headers: Record<string, string>][] = [
    ['curl', { accept: '*/*' }],
    ['nothing', {}],
    ['an agent', { accept: 'application/json' }],
    ['an HTTP library', { accept: 'application/json, text/plain, */*' }],
  ]
  for (const [name, headers] of tools) {
    const query = encode(authorizeQuery(site, pkce().code_challenge))
    const page = await app.inject({ url: `/authorize?${query}`, headers })
    t.equal(page.headers['set-cookie'], undefined, name)
  }
})

t.test('the code of a request that no browser opened is in the answer to the agent', async (t) => {
  const app = await build(t, { DYNAMIC_REGISTRATION: 'open' })
  const agent = await createAgent(app, undefined, { sites: 'any' })
  const { client_id: keyed } = await createSite(app, {
    token_endpoint_auth_method: 'private_key_jwt',
    jwks_uri: 'https://site.example/keys',
  })
  const registered = await app.inject({
    method: 'POST',
    url: '/register',
    payload: { redirect_uris: ['https://site.example/callback'], legacy_polling: true },
  })
  const { client_id: dynamic, client_secret, ...rest } = registered.json()
  t.notOk('legacy_polling' in rest)
  const redirect_uri = 'https://site.example/callback'
  const loopback = { redirect_uris: ['http://127.0.0.1/callback'] }
  const none = { token_endpoint_auth_method: 'none' }

  const sites: [name: string, site: Site, polled: boolean][] = [
    ['a client with a secret', await createSite(app), true],
    ['with a key', { client_id: keyed, client_secret: undefined, redirect_uri }, true],
    ['with a secret, not allowed', await createSite(app, { legacy_polling: false }), false],
    ['a public client', await createSite(app, none), false],
    ['a public one on the loopback', await createSite(app, { ...none, ...loopback }), false],
    ['a public one, allowed', await createSite(app, { ...none, legacy_polling: true }), true],
    ['one that registered itself', { client_id: dynamic, client_secret, redirect_uri }, false],
  ]
  for (const [name, site, polled] of sites) {
    const { request_id } = await openBare(app, site)
    t.strictSame((await check(app, request_id)).json(), { status: 'pending' }, name)
    const { redirect_to } = (await authenticate(app, request_id, agent)).json()
    const { searchParams } = new URL(redirect_to)
    const code = searchParams.get('code')
    t.match(code, /^ac_/, `${name}: the agent has it`)
    const status = (await check(app, request_id)).json()
    if (polled) {
      const { redirect_uri } = site
      const state = 'the state'
      t.strictSame(status, { status: 'completed', redirect_to, code, state, redirect_uri }, name)
    } else {
      t.match(status, { status: 'error', error: 'unauthorized_client' }, name)
      t.match(status.error_description, /legacy-polling yes/, `${name}: what to do`)
      t.notMatch(JSON.stringify(status), 'ac_', name)
    }
  }
})

t.test('the operator can allow polling for a client, and end it', async (t) => {
  const app = await build(t)
  const site = await createSite(app, { token_endpoint_auth_method: 'none' })
  const { request_id, code_verifier } = await openBare(app, site)
  await authenticate(app, request_id, await createAgent(app))
  t.match((await check(app, request_id)).json(), { status: 'error' })
  await app.registration.updateClient(site.client_id, { legacy_polling: true })
  const { code } = (await check(app, request_id)).json()
  await app.registration.updateClient(site.client_id, { legacy_polling: false })
  t.match((await check(app, request_id)).json(), { status: 'error' })
  t.equal((await redeem(app, site, { code, code_verifier })).statusCode, 200)
  t.strictSame((await check(app, request_id)).json(), { status: 'completed' }, 'used')
})

t.test('what is asked wrongly is refused', async (t) => {
  const app = await build(t)
  const { request_id } = await open(app, await createSite(app))
  const refusals: [name: string, query: string, status: number, error: string][] = [
    ['no request_id', '', 400, 'invalid_request'],
    ['an empty one', 'request_id=', 400, 'invalid_request'],
    ['one twice', `request_id=${request_id}&request_id=${request_id}`, 400, 'invalid_request'],
    ['an unknown one', 'request_id=req_unknown', 404, 'not_found'],
    ['a NUL byte', `request_id=${request_id}%00`, 404, 'not_found'],
    ['bad percent-encoding', 'request_id=%ZZ', 404, 'not_found'],
    ['invalid UTF-8', 'request_id=%FF%FE', 404, 'not_found'],
    ['one too long', `request_id=${'x'.repeat(9000)}`, 404, 'not_found'],
    ['a wait of words', `request_id=${request_id}&wait=long`, 400, 'invalid_request'],
    ['a negative wait', `request_id=${request_id}&wait=-1`, 400, 'invalid_request'],
    ['a huge wait', `request_id=${request_id}&wait=99999`, 400, 'invalid_request'],
    ['a wait twice', `request_id=${request_id}&wait=1&wait=1`, 400, 'invalid_request'],
  ]
  for (const [name, query, status, error] of refusals) {
    const response = await app.inject({ url: `/api/check-status?${query}` })
    t.equal(response.statusCode, status, name)
    t.equal(response.json().error, error, name)
    t.equal(response.headers['cache-control'], 'no-store', name)
  }
  t.equal((await app.inject({ method: 'POST', url: '/api/check-status' })).statusCode, 405)
})

t.test('a held answer comes when the agent has authenticated', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const { request_id, cookie } = await open(app, site)
  const held = check(app, request_id, { cookie }, '&wait=25')
  const bystander = check(app, request_id, {}, '&wait=25')
  await authenticate(app, request_id, await createAgent(app))
  t.match((await held).json(), { status: 'completed', redirect_to: /code=/ })
  t.match((await bystander).json(), { status: /authenticated|completed/, redirect_to: undefined })
})

t.test('a held answer comes when its time is over and when the server closes', async (t) => {
  const app = await build(t)
  const { request_id } = await open(app, await createSite(app))
  t.strictSame((await check(app, request_id, {}, '&wait=1')).json(), { status: 'pending' })
  const origin = await app.listen({ host: '127.0.0.1', port: 0 })
  const arrived = new Promise((resolve) => app.server.once('request', resolve))
  const held = fetch(`${origin}/api/check-status?request_id=${request_id}&wait=25`)
  await arrived
  setImmediate(() => app.close())
  t.strictSame(await (await held).json(), { status: 'pending' })
})

t.test('a request and a code that have expired say so', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const site = await createSite(app)
  const never = await open(app, site)
  const authenticated = await open(app, site)
  const { AUTHORIZATION_REQUEST_TTL, AUTHORIZATION_CODE_TTL } = app.settings
  clock.advance(AUTHORIZATION_REQUEST_TTL - 1)
  await authenticate(app, authenticated.request_id, await createAgent(app))
  clock.advance(1)
  t.match((await check(app, never.request_id, {}, '&wait=20')).json(), {
    status: 'error',
    error: 'request_expired',
    error_description: /./,
  })
  const { cookie } = authenticated
  t.match((await check(app, authenticated.request_id, { cookie })).json(), {
    redirect_to: /code=/,
  })
  clock.advance(AUTHORIZATION_CODE_TTL)
  t.match((await check(app, authenticated.request_id, { cookie })).json(), {
    status: 'error',
    error: 'request_expired',
  })
})

t.test('a sign-in that was revoked before it was completed says so', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const { request_id, cookie } = await open(app, site)
  const agent = await createAgent(app)
  await authenticate(app, request_id, agent)
  await app.store.agents.update(agent.agent_id, { disabled_at: 1 }, app.clock.now())
  t.match((await check(app, request_id, { cookie })).json(), {
    status: 'error',
    error: 'access_denied',
  })
})

t.test('a script of any origin may ask for the status, without its cookie', async (t) => {
  const app = await build(t)
  const { request_id } = await open(app, await createSite(app))
  const { headers } = await check(app, request_id, { origin: 'https://other.example' })
  t.equal(headers['access-control-allow-origin'], '*')
  t.equal(headers['access-control-allow-credentials'], undefined)
  t.equal((await post(app, '/api/check-status', undefined, {})).statusCode, 405)
})
