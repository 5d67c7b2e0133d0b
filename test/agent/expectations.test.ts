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
  TestClock,
} from '../harness.ts'

t.test(
  'an agent that says which site it means signs in to that site and to no other',
  async (t) => {
    const app = await build(t)
    const site = await createSite(app, { redirect_uris: ['https://site.example:8443/callback'] })
    const other = await createSite(app)
    const agent = await createAgent(app)
    const { request_id, cookie } = await open(app, site)

    const refusals: [name: string, expected: Record<string, string>, description: RegExp][] = [
      ['another client_id', { expected_client_id: other.client_id }, /expected_client_id/],
      ['another host', { expected_redirect_host: 'other.example:8443' }, /expected_redirect_host/],
      ['another port', { expected_redirect_host: 'site.example' }, /expected_redirect_host/],
      ['a host that ends alike', { expected_redirect_host: 'evil-site.example:8443' }, /_host/],
      [
        'the right client at another host',
        { expected_client_id: site.client_id, expected_redirect_host: 'other.example' },
        /expected_redirect_host/,
      ],
    ]
    for (const [name, expected, description] of refusals) {
      const refused = await authenticate(app, request_id, agent, expected)
      t.equal(refused.statusCode, 403, name)
      const body = { error: 'access_denied', error_description: description, reason: 'site' }
      t.match(refused.json(), body, name)
      const status = await app.inject({
        url: `/api/check-status?request_id=${request_id}`,
        headers: { cookie },
      })
      t.same(status.json(), { status: 'pending' }, `${name}: the request stays pending`)
    }

    const expected = {
      expected_client_id: site.client_id,
      expected_redirect_host: 'Site.Example:8443',
    }
    t.match((await authenticate(app, request_id, agent, expected)).json(), { success: true })
  },
)

t.test('what an agent expects is told to nobody who has not proved to be one', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createAgent(app)
  const { request_id } = await open(app, site)
  const wrong = { ...agent, agent_secret: 'ags_wrong' }
  const refused = await authenticate(app, request_id, wrong, { expected_client_id: 'another' })
  t.match(refused.json(), { error: 'invalid_credentials' })
})

t.test('GET /authorize gives an agent that asks for JSON the facts of the request', async (t) => {
  const clock = new TestClock()
  const app = await build(t, { ISSUER: 'https://auth.example/tenant' }, { clock })
  const site = await createSite(app, { client_name: 'A <b>site</b>' })
  const query = authorizeQuery(site, pkce().code_challenge, { scope: 'openid email' })
  const response = await app.inject({
    url: `/authorize?${encode(query)}`,
    headers: { accept: 'application/json' },
  })
  t.equal(response.headers['cache-control'], 'no-store')
  const { request_id, ...facts } = response.json()
  t.match(request_id, /^req_/)
  t.same(facts, {
    issuer: 'https://auth.example/tenant',
    client_id: site.client_id,
    client_name: 'A <b>site</b>',
    client_origin: 'operator',
    redirect_host: 'site.example',
    opened_from: '127.0.0.1',
    opened_at: clock.now(),
    scope: 'openid email',
    apis: [],
    resource: [],
    expires_in: 600,
    authenticate_endpoint: 'https://auth.example/tenant/api/agent/authenticate',
    check_status_endpoint: 'https://auth.example/tenant/api/check-status',
    agent_authentication_methods: ['agent_secret', 'agent_assertion'],
  })
})
