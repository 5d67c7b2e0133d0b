import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t from 'tap'
import {
  authenticateByKey,
  build,
  createKeyedAgent,
  createSite,
  encode,
  open,
  signAssertion,
  TestClock,
} from '../../harness.ts'

const OURS = '192.0.2.1'
const ELSEWHERE = '198.51.100.7'
const settings = { THROTTLE_FAILURES: 3, THROTTLE_WINDOW: 60 }

interface Caller {
  post(
    url: string,
    body: Record<string, string | undefined>,
    address?: string,
  ): Promise<LightMyRequestResponse>
}

function caller(app: FastifyInstance): Caller {
  return {
    post: (url, body, address = OURS) =>
      app.inject({
        method: 'POST',
        url,
        remoteAddress: address,
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        payload: encode(body),
      }),
  }
}

const endpoints = [
  ['/token', 'OAuth 2.1 section 2.4.1'],
  ['/introspect', 'RFC 7662 section 4'],
  ['/revoke', 'RFC 7009 section 2.1'],
] as const
for (const [url, clause] of endpoints) {
  t.test(`${clause}: guessing a client_secret at ${url} is slowed down`, async (t) => {
    const clock = new TestClock()
    const app = await build(t, settings, { clock })
    const { client_id, client_secret } = await createSite(app)
    const { post } = caller(app)
    const body = { token: 'x', grant_type: 'refresh_token', refresh_token: 'x', client_id }
    const guess = (address?: string) => post(url, { ...body, client_secret: 'cs_guess' }, address)

    for (let failures = 0; failures < 3; failures += 1) t.equal((await guess()).statusCode, 401)
    const throttled = await guess()
    t.equal(throttled.statusCode, 429)
    t.equal(throttled.headers['retry-after'], '60')
    t.match(throttled.json(), {
      error: 'temporarily_unavailable',
      error_description: 'Too many failed attempts, try again in 60 seconds',
    })

    t.equal((await guess(ELSEWHERE)).statusCode, 401, 'another network is not concerned')
    const good = await post(url, { ...body, client_secret })
    t.not(good.statusCode, 429, 'the client itself is let through, first time and at this address')
    t.not(good.statusCode, 401)

    clock.advance(59)
    t.equal((await guess()).headers['retry-after'], '1')
    clock.advance(1)
    t.equal((await guess()).statusCode, 401, 'the failures are forgotten')
  })
}

t.test('failures of the future do not count when the clock was set back', async (t) => {
  const clock = new TestClock()
  const app = await build(t, { ...settings, THROTTLE_FAILURES: 1 }, { clock })
  const { client_id } = await createSite(app)
  const { post } = caller(app)
  const guess = () => post('/revoke', { token: 'x', client_id, client_secret: 'cs_guess' })
  t.equal((await guess()).statusCode, 401)
  t.equal((await guess()).statusCode, 429)
  clock.goBack(7200)
  t.equal((await guess()).statusCode, 401)
  const throttled = await guess()
  t.match([throttled.statusCode, throttled.headers['retry-after']], [429, '60'])
})

t.test('strangers who fail in the name of an agent do not lock it out', async (t) => {
  const app = await build(t, settings, { clock: new TestClock() })
  const site = await createSite(app)
  const agent = await createKeyedAgent(app)
  const { agent_id, agent_secret } = agent
  const unknown = { agent_id: 'agent_nobody' }
  const { request_id } = await open(app, site)
  const attempt = (change: Record<string, string>, address?: string) =>
    app.inject({
      method: 'POST',
      url: '/api/agent/authenticate',
      remoteAddress: address ?? OURS,
      payload: { request_id, agent_id, agent_secret, model: 'test-model', ...change },
    })

  for (let failures = 0; failures < 3; failures += 1) {
    t.equal((await attempt({ agent_secret: 'ags_guess' })).statusCode, 401)
    t.equal((await attempt({ ...unknown, agent_secret: 'ags_guess' })).statusCode, 401)
  }
  const throttled = await attempt({ agent_secret: 'ags_guess' })
  t.equal(throttled.statusCode, 429)
  t.match(throttled.json(), { success: false, error: 'temporarily_unavailable' })
  t.equal(
    (await attempt({ ...unknown, agent_secret: 'ags_guess' })).body,
    throttled.body,
    'an unknown agent is throttled alike',
  )
  const stranger = await createKeyedAgent(app)
  const forged = await signAssertion(
    app,
    { ...agent, privateKey: stranger.privateKey },
    { request_id, ...site },
  )
  t.equal((await attemptByKey(app, request_id, forged)).statusCode, 429)

  t.equal((await attempt({ agent_secret: 'ags_other' }, ELSEWHERE)).statusCode, 401)
  t.equal((await attempt({})).statusCode, 200, 'its secret is let through')
  const next = await open(app, site)
  const good = await signAssertion(app, agent, { request_id: next.request_id, ...site })
  t.equal((await attemptByKey(app, next.request_id, good)).statusCode, 200, 'so is its key')
})

function attemptByKey(app: FastifyInstance, request_id: string, agent_assertion: string) {
  return app.inject({
    method: 'POST',
    url: '/api/agent/authenticate',
    remoteAddress: OURS,
    payload: { request_id, agent_assertion, model: 'test-model' },
  })
}

t.test('a network that fails under ever new names is throttled as a whole', async (t) => {
  const app = await build(t, { ...settings, THROTTLE_FAILURES: 1 })
  const { client_id, client_secret } = await createSite(app)
  const { post } = caller(app)
  const guess = (name: string, address: string) =>
    post('/revoke', { token: 'x', client_id: name, client_secret: 'cs_guess' }, address)
  const address = (host: number) => `2001:db8:1:2:3:4:5:${host}`
  for (let failures = 0; failures < 10; failures += 1) {
    t.equal((await guess(`client_${failures}`, address(failures))).statusCode, 401)
  }
  t.equal((await guess('client_10', address(10))).statusCode, 429)
  t.equal((await guess('client_10', '2001:db8:1:3::1')).statusCode, 401, 'the next /64 is another')
  const good = await post('/revoke', { token: 'x', client_id, client_secret }, address(11))
  t.equal(good.statusCode, 200, 'a good client in it is let through')
})

t.test('guesses that arrive together are counted before any of them is checked', async (t) => {
  const app = await build(t, settings)
  const { client_id } = await createSite(app)
  const { post } = caller(app)
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, n) =>
      post('/revoke', { token: 'x', client_id, client_secret: `cs_${n}` }),
    ),
  )
  t.equal(answers.filter(({ statusCode }) => statusCode === 401).length, 3)
  t.equal(answers.filter(({ statusCode }) => statusCode === 429).length, 27)
})

t.test('RFC 9700 section 4.13: only a trusted proxy says where a request comes from', async (t) => {
  for (const [TRUST_PROXY, expected] of [
    [undefined, 429],
    [OURS, 401],
  ] as const) {
    const app = await build(t, { ...settings, TRUST_PROXY })
    const { client_id } = await createSite(app)
    const guess = (from: string) =>
      app.inject({
        method: 'POST',
        url: '/revoke',
        remoteAddress: OURS,
        headers: { 'x-forwarded-for': from },
        payload: { token: 'x', client_id, client_secret: 'cs_guess' },
      })
    for (let failures = 0; failures < 3; failures += 1) await guess(`203.0.113.${failures}`)
    t.equal((await guess('203.0.113.9')).statusCode, expected)
  }
})

t.test('an agent that only succeeds is never counted', async (t) => {
  const app = await build(t, { ...settings, THROTTLE_FAILURES: 1 })
  const site = await createSite(app)
  const agent = await createKeyedAgent(app)
  for (let times = 0; times < 5; times += 1) {
    const { request_id } = await open(app, site)
    const assertion = await signAssertion(app, agent, { request_id, ...site })
    t.equal((await authenticateByKey(app, request_id, assertion)).statusCode, 200)
  }
})
