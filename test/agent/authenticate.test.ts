import t from 'tap'
import {
  authenticate,
  build,
  createAgent,
  createSite,
  open,
  redeem,
  TestClock,
} from '../harness.ts'

t.test('an agent authenticates a request and gets the callback URL', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const { request_id, code_verifier } = await open(app, site)
  const response = await authenticate(app, request_id, await createAgent(app), { unknown: 1 })
  t.equal(response.statusCode, 200)
  t.equal(response.headers['cache-control'], 'no-store')
  const body = response.json()
  t.match(body, { status: 'authenticated', success: true, message: /./, redirect_to: /^https/ })
  const code = new URL(body.redirect_to).searchParams.get('code') ?? ''
  t.equal((await redeem(app, site, { code, code_verifier })).statusCode, 200)
})

t.test('what is refused leaves the request pending', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createAgent(app)
  const disabled = await createAgent(app)
  await app.store.agents.update(disabled.agent_id, { disabled_at: 1 }, app.clock.now())
  const { request_id } = await open(app, site)

  const refusals: [name: string, change: Record<string, unknown>, number, string, RegExp?][] = [
    ...['request_id', 'agent_id', 'agent_secret', 'model'].flatMap(
      (name): [string, Record<string, unknown>, number, string, RegExp][] => [
        [`no ${name}`, { [name]: undefined }, 400, 'invalid_request', new RegExp(name)],
        [`an empty ${name}`, { [name]: '' }, 400, 'invalid_request', new RegExp(name)],
        [`null as ${name}`, { [name]: null }, 400, 'invalid_request', new RegExp(name)],
        [`a number as ${name}`, { [name]: 1 }, 400, 'invalid_request', new RegExp(name)],
        [`true as ${name}`, { [name]: true }, 400, 'invalid_request', new RegExp(name)],
        [`an array as ${name}`, { [name]: ['x'] }, 400, 'invalid_request', new RegExp(name)],
        [`an object as ${name}`, { [name]: { x: 1 } }, 400, 'invalid_request', new RegExp(name)],
      ],
    ),
    ['a model too long', { model: 'x'.repeat(5000) }, 400, 'invalid_request', /model/],
    ['a request_id too long', { request_id: 'x'.repeat(50_000) }, 404, 'invalid_request'],
    ['an agent_id too long', { agent_id: 'x'.repeat(50_000) }, 401, 'invalid_credentials'],
    ['a secret too long', { agent_secret: 'x'.repeat(50_000) }, 401, 'invalid_credentials'],
    ['a model with a line break', { model: 'a\r\nb' }, 400, 'invalid_request', /model/],
    ['an unknown request', { request_id: 'req_unknown' }, 404, 'invalid_request'],
    ['a request with a NUL byte', { request_id: `${request_id}\0` }, 404, 'invalid_request'],
    ['an unknown agent', { agent_id: 'agent_unknown' }, 401, 'invalid_credentials'],
    ['a wrong secret', { agent_secret: 'ags_wrong' }, 401, 'invalid_credentials'],
    ['a secret with more', { agent_secret: `${agent.agent_secret}\0` }, 401, 'invalid_credentials'],
    ['another agent\u2019s secret', { agent_id: disabled.agent_id }, 401, 'invalid_credentials'],
    ['a disabled agent', { ...disabled }, 401, 'invalid_credentials'],
    [
      'a client as an agent',
      { agent_id: site.client_id, agent_secret: site.client_secret },
      401,
      'invalid_credentials',
    ],
  ]
  for (const [name, change, status, error, description = /./] of refusals) {
    const response = await authenticate(app, request_id, agent, change)
    t.equal(response.statusCode, status, name)
    const body = response.json()
    t.same(Object.keys(body), ['success', 'error', 'error_description'], name)
    t.equal(body.success, false, name)
    t.equal(body.error, error, name)
    t.match(body.error_description, description, name)
    t.equal(response.headers['cache-control'], 'no-store', name)
  }
  t.equal(
    (await authenticate(app, request_id, agent)).statusCode,
    200,
    'the good request still works',
  )
})

t.test(
  'an unknown agent, a disabled one and a wrong secret get the same bytes for the same work',
  async (t) => {
    const app = await build(t)
    const site = await createSite(app)
    const agent = await createAgent(app)
    const disabled = await createAgent(app)
    await app.store.agents.update(disabled.agent_id, { disabled_at: 1 }, app.clock.now())
    const { request_id } = await open(app, site)
    const { date: _, ...answer } = await refuse({ agent_secret: 'ags_wrong' })
    for (const change of [
      { agent_id: 'agent_unknown' },
      { ...disabled },
      { agent_id: 'x', agent_secret: 'y' },
    ]) {
      const { date: _, ...other } = await refuse(change)
      t.strictSame(other, answer)
    }

    async function refuse(change: Record<string, unknown>): Promise<Record<string, unknown>> {
      const { body, headers, statusCode } = await authenticate(app, request_id, agent, change)
      return { ...headers, body, statusCode }
    }
  },
)

t.test('a request is authenticated once', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const { request_id } = await open(app, site)
  const [one, two] = [await createAgent(app), await createAgent(app)]
  t.equal((await authenticate(app, request_id, one)).statusCode, 200)
  for (const agent of [one, two]) {
    const again = await authenticate(app, request_id, agent)
    t.equal(again.statusCode, 409)
    t.match(again.json(), { success: false, error: 'invalid_request' })
  }
})

t.test('a request dies after AUTHORIZATION_REQUEST_TTL', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const site = await createSite(app)
  const agent = await createAgent(app)
  const { request_id } = await open(app, site)
  const late = await open(app, site)
  clock.advance(app.settings.AUTHORIZATION_REQUEST_TTL - 1)
  t.equal((await authenticate(app, request_id, agent)).statusCode, 200, 'in its last second')
  clock.advance(1)
  t.equal((await authenticate(app, late.request_id, agent)).statusCode, 404, 'after it')
})
