import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { Settings } from '../../../plugins/core/settings.ts'
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
  type Site,
  startWeb,
  TestClock,
} from '../../harness.ts'

const OURS = '192.0.2.1'
const REDIRECT = 'https://client.example/callback'
const _anySite = { sites: 'any' } as const

/** What a caller at an address gets at /authorize. */
async function ask(
  app: FastifyInstance,
  site: Site,
  address: string,
  accept = 'application/json',
  change: Record<string, string> = {},
) {
  return await app.inject({
    url: `/authorize?${encode(authorizeQuery(site, pkce().code_challenge, change))}`,
    headers: { accept },
    remoteAddress: address,
  })
}

function register(app: FastifyInstance, address: string, change: Record<string, unknown> = {}) {
  return app.inject({
    method: 'POST',
    url: '/register',
    remoteAddress: address,
    payload: { redirect_uris: [REDIRECT], token_endpoint_auth_method: 'none', ...change },
  })
}

async function setUp(t: Test, settings: Partial<Settings>) {
  const clock = new TestClock()
  const app = await build(t, { DYNAMIC_REGISTRATION: 'open', ...settings }, { clock })
  return { app, clock, site: await createSite(app) }
}

t.test('a network has a bound on requests that no agent has authenticated', async (t) => {
  const { app, clock, site } = await setUp(t, { PENDING_REQUESTS_PER_NETWORK: 2 })
  const agent = await createAgent(app)
  const first = await ask(app, site, OURS)
  clock.advance(10)
  t.same([first.statusCode, (await ask(app, site, OURS)).statusCode], [200, 200])

  const json = await ask(app, site, OURS)
  t.equal(json.statusCode, 429)
  t.equal(json.headers['retry-after'], '590')
  t.match(json.json(), {
    error: 'temporarily_unavailable',
    error_description: 'Too many sign-ins were started from this network, try again in 590 seconds',
  })
  const page = await ask(app, site, OURS, 'text/html')
  t.equal(page.statusCode, 429)
  t.equal(page.headers['retry-after'], '590')
  t.match(page.headers['content-type'], 'text/html')
  t.match(page.body, 'Too many sign-ins were started from this network')
  t.notOk(page.headers.location)
  t.equal((await ask(app, site, '192.0.2.2')).statusCode, 200, 'another address is not concerned')

  clock.advance(1)
  const { request_id } = first.json()
  t.equal((await authenticate(app, request_id, agent)).statusCode, 200)
  t.equal((await ask(app, site, OURS)).statusCode, 200, 'an authenticated one counts no more')
  t.equal((await ask(app, site, OURS)).statusCode, 429)
  clock.advance(app.settings.AUTHORIZATION_REQUEST_TTL)
  t.equal((await ask(app, site, OURS)).statusCode, 200, 'nor does an expired one')
})

t.test('requests are counted for wider networks, too', async (t) => {
  const networks: [string, limit: number, (n: number) => string, elsewhere: string][] = [
    ['an IPv4 /24', 8, (n) => `203.0.113.${n}`, '203.0.114.1'],
    ['an IPv6 /64', 1, (n) => `2001:db8:1:1::${n}`, '2001:db8:1:2::1'],
    ['an IPv6 /56', 2, (n) => `2001:db8:2:${n}::1`, '2001:db8:2:100::1'],
    ['an IPv6 /48', 4, (n) => `2001:db8:3:${n}00::1`, '2001:db8:4::1'],
  ]
  const { app, site } = await setUp(t, { PENDING_REQUESTS_PER_NETWORK: 1 })
  for (const [name, limit, address, elsewhere] of networks) {
    for (let n = 1; n <= limit; n += 1) t.equal((await ask(app, site, address(n))).statusCode, 200)
    t.equal((await ask(app, site, address(limit + 1))).statusCode, 429, name)
    t.equal((await ask(app, site, elsewhere)).statusCode, 200, `beside ${name}`)
  }
})

t.test('requests that arrive together are counted before any of them is opened', async (t) => {
  const { app, site } = await setUp(t, { PENDING_REQUESTS_PER_NETWORK: 5, PENDING_REQUESTS: 12 })
  const burst = async (address: string) => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => ask(app, site, address)))
    return answers.filter(({ statusCode }) => statusCode === 200).length
  }
  t.same(
    [await burst('192.0.2.1'), await burst('198.51.100.1'), await burst('203.0.113.1')],
    [5, 5, 2],
  )
})

t.test('the server has a bound on requests in all', async (t) => {
  const { app, clock, site } = await setUp(t, { PENDING_REQUESTS: 3 })
  const agent = await createAgent(app)
  const opened = await open(app, site)
  for (const n of [1, 2]) t.equal((await ask(app, site, `198.51.${n}.1`)).statusCode, 200)
  for (const accept of ['application/json', 'text/html']) {
    const full = await ask(app, site, '203.0.113.1', accept)
    t.equal(full.statusCode, 503, accept)
    t.equal(full.headers['retry-after'], '60')
    t.match(full.body, 'Too many sign-ins wait for an agent, try again in a minute')
  }
  t.equal((await authenticate(app, opened.request_id, agent)).statusCode, 200)
  clock.advance(1)
  t.equal((await ask(app, site, '203.0.113.1')).statusCode, 200, 'there is room again')
  t.equal((await ask(app, site, '203.0.113.1')).statusCode, 503)
})

t.test('the fuller the server, the less one network may have', async (t) => {
  const { app, site } = await setUp(t, { PENDING_REQUESTS: 60, PENDING_REQUESTS_PER_NETWORK: 40 })
  const opened = async (address: string) => {
    for (let n = 0; ; n += 1) if ((await ask(app, site, address)).statusCode !== 200) return n
  }
  const first = await opened('198.51.100.1')
  const second = await opened('203.0.113.1')
  t.ok(first > second && second >= 5, `${first} of 60, then ${second}`)
  t.ok(first + second < 60, 'there is room for others')
  t.equal((await ask(app, site, OURS)).statusCode, 200)
})

t.test('a network and the server have bounds on clients that register themselves', async (t) => {
  const settings = { UNPROVED_CLIENTS: 6, UNPROVED_CLIENTS_PER_NETWORK: 2 }
  const { app, clock } = await setUp(t, settings)
  t.equal((await register(app, '2001:db8:1:1::1')).statusCode, 201)
  t.equal((await register(app, '2001:db8:1:1::2', { redirect_uris: ['/x'] })).statusCode, 400)
  const { client_id, registration_access_token } = (await register(app, '2001:db8:1:1::3')).json()
  const refused = await register(app, '2001:db8:1:1::4')
  t.equal(refused.statusCode, 429)
  t.equal(refused.headers['retry-after'], '3600')
  t.match(refused.json(), {
    error: 'temporarily_unavailable',
    error_description: 'Too many new clients from this network, try again in 3600 seconds',
  })
  const removed = await app.inject({
    method: 'DELETE',
    url: `/register/${client_id}`,
    headers: { authorization: `Bearer ${registration_access_token}` },
  })
  t.equal(removed.statusCode, 204)
  t.equal((await register(app, '2001:db8:1:1::5')).statusCode, 429, 'removing one gives none back')

  for (const n of [1, 2]) t.equal((await register(app, `2001:db8:1:10${n}::1`)).statusCode, 201)
  for (const n of [1, 2]) t.equal((await register(app, `198.51.${n}.1`)).statusCode, 201)
  const full = await register(app, OURS)
  t.equal(full.statusCode, 503, full.body)
  t.equal(full.headers['retry-after'], '60')
  clock.advance(3600)
  await app.store.clients.removeUnproved(clock.now())
  t.equal((await register(app, '2001:db8:1:1::5')).statusCode, 201, 'an hour later')
})

t.test('who has a token of the operator registers clients without such a bound', async (t) => {
  const { app, clock } = await setUp(t, {
    DYNAMIC_REGISTRATION: 'token',
    UNPROVED_CLIENTS_PER_NETWORK: 1,
  })
  const { initial_access_token } = await app.registration.createInitialAccessToken()
  for (let n = 0; n < 3; n += 1) {
    const answer = await app.inject({
      method: 'POST',
      url: '/register',
      headers: { authorization: `Bearer ${initial_access_token}` },
      payload: { redirect_uris: [REDIRECT], token_endpoint_auth_method: 'none' },
    })
    t.equal(answer.statusCode, 201)
  }
  clock.advance(3600)
  await app.store.clients.removeUnproved(clock.now())
  t.equal((await app.store.clients.list()).length, 4, 'they stay for UNUSED_CLIENT_TTL')
})

async function setUpDocuments(t: Test, settings: Partial<Settings>) {
  const clock = new TestClock()
  const web = await startWeb(t)
  const app = await build(t, settings, { clock, network: web.network })
  const site = (name: string): Site => {
    const client_id = web.url('client.example', `/${name}`)
    web.serveJson(`/${name}`, { client_id, client_name: name, redirect_uris: [REDIRECT] })
    return { client_id, client_secret: undefined, redirect_uri: REDIRECT }
  }
  return { app, clock, web, site }
}

t.test('a network and the server have bounds on clients with a metadata document', async (t) => {
  const settings = { UNPROVED_CLIENTS: 3, UNPROVED_CLIENTS_PER_NETWORK: 2 }
  const { app, site } = await setUpDocuments(t, settings)
  for (const name of ['a', 'b', 'a']) {
    t.equal((await ask(app, site(name), OURS)).statusCode, 200, name)
  }
  for (const accept of ['application/json', 'text/html']) {
    const refused = await ask(app, site('c'), OURS, accept)
    t.equal(refused.statusCode, 429)
    t.equal(refused.headers['retry-after'], '3600')
  }
  t.equal((await ask(app, site('b'), OURS)).statusCode, 200, 'a known one is not counted')
  t.equal((await ask(app, site('c'), '198.51.100.1')).statusCode, 200)
  t.equal((await ask(app, site('d'), '203.0.113.1')).statusCode, 503)
  t.equal(
    (await post(app, '/token', site('d'), { grant_type: 'refresh_token', refresh_token: 'x' }))
      .statusCode,
    503,
  )
  t.equal((await app.store.clients.list()).length, 3)
})
