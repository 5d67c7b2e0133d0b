import t from 'tap'
import {
  authenticate,
  authorizeFrom,
  open,
  post,
  registerFrom,
  setUp,
  setUpDocuments,
} from '../../harness.ts'

const OPEN = { DYNAMIC_REGISTRATION: 'open' } as const
const OURS = '192.0.2.1'
const REDIRECT = 'https://client.example/callback'

t.test('a network has a bound on requests that no agent has authenticated', async (t) => {
  const { app, clock, site, agent } = await setUp(t, { ...OPEN, PENDING_REQUESTS_PER_NETWORK: 2 })
  const first = await authorizeFrom(app, OURS, site)
  clock.advance(10)
  t.same([first.statusCode, (await authorizeFrom(app, OURS, site)).statusCode], [200, 200])

  const json = await authorizeFrom(app, OURS, site)
  t.equal(json.statusCode, 429)
  t.equal(json.headers['retry-after'], '590')
  t.match(json.json(), {
    error: 'temporarily_unavailable',
    error_description: 'Too many sign-ins were started from this network, try again in 590 seconds',
  })
  const page = await authorizeFrom(app, OURS, site, 'text/html')
  t.equal(page.statusCode, 429)
  t.equal(page.headers['retry-after'], '590')
  t.match(page.headers['content-type'], 'text/html')
  t.match(page.body, 'Too many sign-ins were started from this network')
  t.notOk(page.headers.location)
  t.equal(
    (await authorizeFrom(app, '192.0.2.2', site)).statusCode,
    200,
    'another address is not concerned',
  )

  clock.advance(1)
  const { request_id } = first.json()
  t.equal((await authenticate(app, request_id, agent)).statusCode, 200)
  t.equal(
    (await authorizeFrom(app, OURS, site)).statusCode,
    200,
    'an authenticated one counts no more',
  )
  t.equal((await authorizeFrom(app, OURS, site)).statusCode, 429)
  clock.advance(app.settings.AUTHORIZATION_REQUEST_TTL)
  t.equal((await authorizeFrom(app, OURS, site)).statusCode, 200, 'nor does an expired one')
})

t.test('requests are counted for wider networks, too', async (t) => {
  const networks: [string, limit: number, (n: number) => string, elsewhere: string][] = [
    ['an IPv4 /24', 8, (n) => `203.0.113.${n}`, '203.0.114.1'],
    ['an IPv6 /64', 1, (n) => `2001:db8:1:1::${n}`, '2001:db8:1:2::1'],
    ['an IPv6 /56', 2, (n) => `2001:db8:2:${n}::1`, '2001:db8:2:100::1'],
    ['an IPv6 /48', 4, (n) => `2001:db8:3:${n}00::1`, '2001:db8:4::1'],
  ]
  const { app, site } = await setUp(t, { ...OPEN, PENDING_REQUESTS_PER_NETWORK: 1 })
  for (const [name, limit, address, elsewhere] of networks) {
    for (let n = 1; n <= limit; n += 1)
      t.equal((await authorizeFrom(app, address(n), site)).statusCode, 200)
    t.equal((await authorizeFrom(app, address(limit + 1), site)).statusCode, 429, name)
    t.equal((await authorizeFrom(app, elsewhere, site)).statusCode, 200, `beside ${name}`)
  }
})

t.test('requests that arrive together are counted before any of them is opened', async (t) => {
  const { app, site } = await setUp(t, {
    ...OPEN,
    PENDING_REQUESTS_PER_NETWORK: 5,
    PENDING_REQUESTS: 12,
  })
  const burst = async (address: string) => {
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => authorizeFrom(app, address, site)),
    )
    return answers.filter(({ statusCode }) => statusCode === 200).length
  }
  t.same(
    [await burst('192.0.2.1'), await burst('198.51.100.1'), await burst('203.0.113.1')],
    [5, 5, 2],
  )
})

t.test('the server has a bound on requests in all', async (t) => {
  const { app, clock, site, agent } = await setUp(t, { ...OPEN, PENDING_REQUESTS: 3 })
  const opened = await open(app, site)
  for (const n of [1, 2]) t.equal((await authorizeFrom(app, `198.51.${n}.1`, site)).statusCode, 200)
  for (const accept of ['application/json', 'text/html']) {
    const full = await authorizeFrom(app, '203.0.113.1', site, accept)
    t.equal(full.statusCode, 503, accept)
    t.equal(full.headers['retry-after'], '60')
    t.match(full.body, 'Too many sign-ins wait for an agent, try again in a minute')
  }
  t.equal((await authenticate(app, opened.request_id, agent)).statusCode, 200)
  clock.advance(1)
  t.equal((await authorizeFrom(app, '203.0.113.1', site)).statusCode, 200, 'there is room again')
  t.equal((await authorizeFrom(app, '203.0.113.1', site)).statusCode, 503)
})

t.test('the fuller the server, the less one network may have', async (t) => {
  const { app, site } = await setUp(t, {
    ...OPEN,
    PENDING_REQUESTS: 60,
    PENDING_REQUESTS_PER_NETWORK: 40,
  })
  const opened = async (address: string) => {
    for (let n = 0; ; n += 1)
      if ((await authorizeFrom(app, address, site)).statusCode !== 200) return n
  }
  const first = await opened('198.51.100.1')
  const second = await opened('203.0.113.1')
  t.ok(first > second && second >= 5, `${first} of 60, then ${second}`)
  t.ok(first + second < 60, 'there is room for others')
  t.equal((await authorizeFrom(app, OURS, site)).statusCode, 200)
})

t.test('a network and the server have bounds on clients that register themselves', async (t) => {
  const settings = { UNPROVED_CLIENTS: 6, UNPROVED_CLIENTS_PER_NETWORK: 2 }
  const { app, clock } = await setUp(t, { ...OPEN, ...settings })
  t.equal((await registerFrom(app, '2001:db8:1:1::1')).statusCode, 201)
  t.equal((await registerFrom(app, '2001:db8:1:1::2', { redirect_uris: ['/x'] })).statusCode, 400)
  const { client_id, registration_access_token } = (
    await registerFrom(app, '2001:db8:1:1::3')
  ).json()
  const refused = await registerFrom(app, '2001:db8:1:1::4')
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
  t.equal(
    (await registerFrom(app, '2001:db8:1:1::5')).statusCode,
    429,
    'removing one gives none back',
  )

  for (const n of [1, 2]) t.equal((await registerFrom(app, `2001:db8:1:10${n}::1`)).statusCode, 201)
  for (const n of [1, 2]) t.equal((await registerFrom(app, `198.51.${n}.1`)).statusCode, 201)
  const full = await registerFrom(app, OURS)
  t.equal(full.statusCode, 503, full.body)
  t.equal(full.headers['retry-after'], '60')
  clock.advance(3600)
  while (await app.store.clients.removeUnproved(clock.now()));
  t.equal((await registerFrom(app, '2001:db8:1:1::5')).statusCode, 201, 'an hour later')
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
  while (await app.store.clients.removeUnproved(clock.now()));
  t.equal((await app.store.clients.list()).length, 4, 'they stay for UNUSED_CLIENT_TTL')
})

t.test('a network and the server have bounds on clients with a metadata document', async (t) => {
  const settings = { UNPROVED_CLIENTS: 3, UNPROVED_CLIENTS_PER_NETWORK: 2 }
  const { app, serveSite } = await setUpDocuments(t, settings)
  for (const name of ['a', 'b', 'a']) {
    t.equal((await authorizeFrom(app, OURS, serveSite(name))).statusCode, 200, name)
  }
  for (const accept of ['application/json', 'text/html']) {
    const refused = await authorizeFrom(app, OURS, serveSite('c'), accept)
    t.equal(refused.statusCode, 429)
    t.equal(refused.headers['retry-after'], '3600')
  }
  t.equal(
    (await authorizeFrom(app, OURS, serveSite('b'))).statusCode,
    200,
    'a known one is not counted',
  )
  t.equal((await authorizeFrom(app, '198.51.100.1', serveSite('c'))).statusCode, 200)
  t.equal((await authorizeFrom(app, '203.0.113.1', serveSite('d'))).statusCode, 503)
  t.equal(
    (await post(app, '/token', serveSite('d'), { grant_type: 'refresh_token', refresh_token: 'x' }))
      .statusCode,
    503,
  )
  t.equal((await app.store.clients.list()).length, 3)
})
