import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { AgentPolicy, ModelPolicy } from '../../../schemas/policy.ts'
import {
  authenticate,
  authenticateByKey,
  build,
  createAgent,
  createKeyedAgent,
  createSite,
  open,
  type Site,
  signAssertion,
  signIn,
  statusOf,
  TestClock,
} from '../../harness.ts'

interface Case {
  name: string
  policy?: Partial<AgentPolicy> | ((site: Site) => Partial<AgentPolicy>)
  clientPolicy?: Partial<ModelPolicy>
  body?: Record<string, unknown>
  /** Undefined for a sign-in that is allowed. */
  refusal?: RegExp
}

const cases: Case[] = [
  { name: 'no policy' },
  { name: 'any site', policy: { sites: 'any' } },
  {
    name: 'a list with its client_id',
    policy: ({ client_id }) => ({ sites: 'list', allowed_sites: [client_id] }),
  },
  {
    name: 'a list with its host',
    policy: { sites: 'list', allowed_sites: ['other.example', 'Site.Example'] },
  },
  {
    name: 'a list without it',
    policy: { sites: 'list', allowed_sites: ['evil-site.example', 'site.example:8443'] },
    refusal: /may not sign in to this site/,
  },
  { name: 'an empty list', policy: { sites: 'list' }, refusal: /may not sign in to/ },
  {
    name: 'deliver required and named',
    policy: { deliver: 'agent' },
    body: { deliver: 'agent' },
  },
  { name: 'deliver required and missing', policy: { deliver: 'agent' }, refusal: /deliver/ },
  { name: 'the model allowed by name', policy: { allowed_models: ['test-model'] } },
  { name: 'the model allowed by its beginning', policy: { allowed_models: ['other', 'test-*'] } },
  {
    name: 'another model allowed',
    policy: { allowed_models: ['test-model-2', 'test'] },
    refusal: /agent may not sign in with the model test-model/,
  },
  {
    name: 'the model refused by its beginning, though allowed by name',
    policy: { allowed_models: ['test-model'], refused_models: ['test*'] },
    refusal: /agent may not sign in with the model/,
  },
  { name: 'another model refused', policy: { refused_models: ['test-model-*'] } },
  { name: 'all models refused', policy: { refused_models: ['*'] }, refusal: /model/ },
  {
    name: 'the model refused by the site',
    clientPolicy: { refused_models: ['test-model'] },
    refusal: /site does not take the model test-model/,
  },
  {
    name: 'another model allowed by the site',
    clientPolicy: { allowed_models: ['other-*'] },
    refusal: /site does not take/,
  },
  { name: 'the model allowed by the site', clientPolicy: { allowed_models: ['test-*'] } },
]

t.test(
  'an agent signs in as its policy and the site allow; a refusal changes nothing',
  async (t) => {
    const app = await build(t)
    const agent = await createAgent(app)
    for (const { name, policy, clientPolicy, body, refusal } of cases) {
      const site = await createSite(app)
      await app.policies.changeAgent(agent.agent_id, {
        sites: 'any',
        allowed_sites: [],
        deliver: 'any',
        allowed_models: [],
        refused_models: [],
        ...(typeof policy === 'function' ? policy(site) : policy),
      })
      if (clientPolicy) await app.policies.changeClient(site.client_id, clientPolicy)
      const { request_id } = await open(app, site)
      const answer = await authenticate(app, request_id, agent, body)
      if (refusal === undefined) {
        t.equal(answer.statusCode, 200, name)
        continue
      }
      t.equal(answer.statusCode, 403, name)
      const told = { error: 'access_denied', error_description: refusal, reason: 'policy' }
      t.match(answer.json(), told, name)
      t.equal(await statusOf(app, request_id), 'pending', `${name}: the request stays pending`)
      t.same(await app.store.grants.list({ client_id: site.client_id }), [], `${name}: no grant`)
    }
  },
)

t.test('an agent whose secret is forbidden signs in by its key alone', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createKeyedAgent(app)
  const { request_id } = await open(app, site)
  t.equal((await authenticate(app, (await open(app, site)).request_id, agent)).statusCode, 200)
  await app.policies.changeAgent(agent.agent_id, { secret: 'forbid' })

  const wrong = await authenticate(app, request_id, { ...agent, agent_secret: 'ags_wrong' })
  const right = await authenticate(app, request_id, agent)
  t.equal(right.statusCode, 401)
  t.equal(right.body, wrong.body, 'the right secret is answered as a wrong one')
  const assertion = await signAssertion(app, agent, { request_id, ...site })
  t.equal((await authenticateByKey(app, request_id, assertion)).statusCode, 200)
})

t.test('a policy that is none is refused and changes nothing', async (t) => {
  const app = await build(t)
  const { agent_id } = await createAgent(app)
  const { client_id } = await createSite(app)
  const before = await app.policies.ofAgent(agent_id)
  const bad: Record<string, unknown>[] = [
    { sites: 'some' },
    { allowed_sites: ['two words'] },
    { deliver: 'browser' },
    { allowed_models: ['a*b'] },
    { allowed_models: [''] },
    { refused_models: 'one' },
    { unknown: true },
  ]
  for (const change of bad) {
    const message = JSON.stringify(change)
    await t.rejects(
      app.policies.changeAgent(agent_id, change),
      { code: 'invalid_request' },
      message,
    )
  }
  await t.rejects(app.policies.changeAgent(agent_id, { secret: 'forbid' }), {
    message: /Register a key/,
  })
  await t.rejects(app.policies.changeAgent('agent_x', { sites: 'any' }), { code: 'not_found' })
  await t.rejects(app.policies.changeClient('client_x', {}), { code: 'not_found' })
  await t.rejects(app.policies.changeClient(client_id, { sites: 'any' } as Partial<ModelPolicy>), {
    code: 'invalid_request',
  })
  t.same(await app.policies.ofAgent(agent_id), before)
})

async function trail(app: FastifyInstance, agent_id: string) {
  const events = await app.store.events.list({ agent_id, limit: 100 })
  return events.reverse().map(({ event_id: _, at: __, ...event }) => event)
}

t.test(
  'the audit trail tells when an agent signed in where, how, and what was refused',
  async (t) => {
    const clock = new TestClock()
    const app = await build(t, { AUDIT_RETENTION: 1000 }, { clock })
    const site = await createSite(app)
    const agent = await createKeyedAgent(app)
    const { agent_id, kid, agent_secret } = agent
    const { client_id } = site
    const one = await open(app, site)
    await authenticate(app, one.request_id, { agent_id, agent_secret: 'ags_wrong' })
    await authenticate(app, one.request_id, agent, { expected_client_id: 'another' })
    await authenticate(app, one.request_id, agent)
    await app.policies.changeAgent(agent_id, { sites: 'list' })
    const two = await open(app, site)
    const assertion = await signAssertion(app, agent, { request_id: two.request_id, client_id })
    await authenticateByKey(app, two.request_id, assertion)

    const where = { client_id, model: 'test-model', address: '127.0.0.1' }
    const nowhere = { client_id: null, model: null, address: null, method: null }
    t.match(await trail(app, agent_id), [
      { event: 'key', outcome: 'added', detail: kid, ...nowhere },
      { event: 'sign_in', outcome: 'invalid_credentials', method: 'agent_secret', ...where },
      {
        event: 'sign_in',
        outcome: 'access_denied',
        detail: /expected_client_id.*Leads to: site\.example/,
        ...where,
      },
      {
        event: 'sign_in',
        outcome: 'granted',
        method: 'agent_secret',
        detail: /Leads to: site/,
        ...where,
      },
      { event: 'policy', outcome: 'changed', detail: '{"sites":"list"}', ...nowhere },
      { event: 'sign_in', outcome: 'access_denied', method: 'agent_assertion', ...where },
    ])
    const all = JSON.stringify(await trail(app, agent_id))
    for (const secret of [agent_secret, 'ags_', assertion, one.request_id]) {
      t.notOk(all.includes(secret), 'it holds no secret')
    }

    clock.advance(1000)
    await app.maintenance.run()
    t.equal((await trail(app, agent_id)).length, 6)
    clock.advance(1)
    await app.maintenance.run()
    t.same(await trail(app, agent_id), [], 'it forgets what is older than AUDIT_RETENTION')
  },
)

t.test('the model that an agent names is in its tokens', async (t) => {
  const app = await build(t)
  const { access_token } = await signIn(app, await createSite(app), await createAgent(app))
  const [, claims = ''] = access_token.split('.')
  t.match(JSON.parse(Buffer.from(claims, 'base64url').toString()), { model: 'test-model' })
})

t.test(
  'a site that nobody registered needs approval, unless the policy says any site',
  async (t) => {
    const app = await build(t, { DYNAMIC_REGISTRATION: 'open' })
    const registered = await app.inject({
      method: 'POST',
      url: '/register',
      payload: { client_name: 'Stranger', redirect_uris: ['https://stranger.example/callback'] },
    })
    const { client_id } = registered.json()
    const stranger = { client_id, client_secret: undefined, redirect_uri: '' }
    const query = { redirect_uri: 'https://stranger.example/callback' }
    const answerTo = async (policy?: Partial<AgentPolicy>) => {
      const agent = await createAgent(app, undefined, policy)
      const { request_id } = await open(app, stranger, query)
      return (await authenticate(app, request_id, agent)).json().status
    }
    t.equal(await answerTo(), 'requires_2fa')
    t.equal(await answerTo({ sites: 'registered' }), 'requires_2fa')
    t.equal(await answerTo({ allowed_sites: ['stranger.example'] }), 'requires_2fa')
    t.equal(await answerTo({ allowed_sites: [client_id] }), 'authenticated')
    t.equal(await answerTo({ sites: 'any' }), 'authenticated')
  },
)
