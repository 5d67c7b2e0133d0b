import { exportJWK, generateKeyPair } from 'jose'
import t from 'tap'
import { policyFields } from '../../plugins/pages/agent-policy-form.ts'
import { AgentPolicy } from '../../schemas/policy.ts'
import { authenticate, open, signIn } from '../harness.ts'
import { invite, send } from './owner.ts'
import { alive, createWorld } from './world.ts'

t.test('an owner makes an agent, whose secret is shown once and signs in', async (t) => {
  const { app, ann, site } = await createWorld(t)
  const made = await ann.post('/account/agents/new', { name: 'Max' })
  t.equal(made.statusCode, 200)
  t.equal(made.headers['cache-control'], 'no-store')
  const [agent_secret = ''] = made.body.match(/ags_[\w-]+/) ?? []
  const [agent_id = ''] = made.body.match(/agent_[\w-]{20,}/) ?? []
  t.match(made.body, /AUTH_AGENT_ISSUER.{1,6}http:\/\/localhost:8080/)
  t.match(made.body, 'auth-agent-mcp')
  const tokens = await signIn(app, site, { agent_id, agent_secret }, { scope: 'openid email' })
  const userinfo = await app.inject({
    url: '/userinfo',
    headers: { authorization: `Bearer ${tokens.access_token}` },
  })
  t.match(userinfo.json(), { sub: agent_id, email: 'ann@example.com', email_verified: true })
  for (const path of ['', `/${agent_id}`, `/${agent_id}/secret`]) {
    t.notMatch((await ann.get(`/account/agents${path}`)).body, 'ags_', path)
  }
  t.match((await ann.get('/account/agents')).body, 'Max')
})

t.test('an agent with a key of its own has no secret that counts', async (t) => {
  const { app, ann } = await createWorld(t)
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const before = (await app.store.agents.list()).length
  for (const jwk of [
    'x',
    '[]',
    '{}',
    '{"kty":"RSA"}',
    JSON.stringify(await exportJWK(privateKey)),
  ]) {
    t.equal((await ann.post('/account/agents/new', { jwk })).statusCode, 400, jwk.slice(0, 20))
  }
  t.equal((await ann.post('/account/agents/new', { name: 'a\u202eb' })).statusCode, 400)
  t.equal((await app.store.agents.list()).length, before, 'nothing was made')
  const jwk = JSON.stringify(await exportJWK(publicKey))
  const made = await ann.post('/account/agents/new', { jwk })
  t.equal(made.statusCode, 200)
  t.notMatch(made.body, 'ags_')
  const [agent_id = ''] = made.body.match(/agent_[\w-]{20,}/) ?? []
  t.equal((await app.agentKeys.list(agent_id)).length, 1)
  t.equal((await app.policies.ofAgent(agent_id)).secret, 'forbid')
})

t.test("an agent is told as verified once its owner's address is", async (t) => {
  const { app, site } = await createWorld(t)
  const { owner_id, cookie } = await invite(app, 'unverified@example.com')
  const made = await send(app, '/account/agents/new', {}, { cookie })
  const [agent_secret = ''] = made.body.match(/ags_[\w-]+/) ?? []
  const [agent_id = ''] = made.body.match(/agent_[\w-]{20,}/) ?? []
  const verified = async () => {
    const { access_token } = await signIn(
      app,
      site,
      { agent_id, agent_secret },
      { scope: 'openid email' },
    )
    const headers = { authorization: `Bearer ${access_token}` }
    return (await app.inject({ url: '/userinfo', headers })).json().email_verified
  }
  t.equal(await verified(), false)
  await app.owners.vouch(owner_id)
  t.equal(await verified(), true)
})

t.test('an owner has so many agents, also of forms that race', async (t) => {
  const { app, ann } = await createWorld(t)
  for (let index = 0; index < 97; index += 1) {
    await app.store.agents.createOfOwner(
      {
        agent_id: `agent_${index}`,
        owner_id: ann.owner_id,
        email: 'ann@example.com',
        email_verified: false,
        name: null,
        created_at: 1,
        disabled_at: null,
      },
      { holder_id: `agent_${index}`, hint: '', bcrypt_hash: '', created_at: 1, expires_at: null },
      100,
      app.audit.toRow({ event: 'agent', outcome: 'created' }),
    )
  }
  const answers = await Promise.all(
    Array.from({ length: 4 }, () => ann.post('/account/agents/new')),
  )
  t.same(answers.map(({ statusCode }) => statusCode).sort(), [200, 200, 400, 400])
})

t.test('the form of a policy has every member and every value that there is', async (t) => {
  const { ann, app } = await createWorld(t)
  t.same(Object.keys(policyFields).sort(), Object.keys(AgentPolicy.properties).sort())
  const path = `/account/agents/${ann.agent.agent_id}/policy`
  const { body } = await ann.get(path)
  for (const [name, schema] of Object.entries(AgentPolicy.properties)) {
    t.match(body, `name="${name}"`)
    for (const option of 'anyOf' in schema ? schema.anyOf : []) {
      t.match(body, `name="${name}" value="${option.const}"`)
    }
  }
  const policy = {
    sites: 'list',
    allowed_sites: ['client_x', 'shop.example'],
    remember_sites: false,
    deliver: 'agent',
    secret: 'forbid',
    approval: 'passkey',
    allowed_models: ['claude-*', 'other'],
    refused_models: ['claude-bad'],
  }
  const form = {
    ...policy,
    allowed_sites: ' shop.example \r\n\r\nclient_x',
    remember_sites: undefined,
    allowed_models: 'claude-*\nother',
    refused_models: 'claude-bad',
  }
  t.equal((await ann.post(path, form)).statusCode, 303)
  t.same(await app.policies.ofAgent(ann.agent.agent_id), policy)
  const again = await ann.get(path)
  for (const part of ['value="list" checked', 'client_x\nshop.example', 'claude-*\nother']) {
    t.match(again.body, part)
  }
  const refused: [string, object][] = [
    ['another value', { sites: 'everywhere' }],
    ['no value', { deliver: undefined }],
    ['what is no site', { allowed_sites: 'not a site' }],
    ['what is no model', { allowed_models: 'a*b' }],
    ['a member twice', { sites: ['any', 'list'] }],
  ]
  for (const [title, change] of refused) {
    t.equal((await ann.post(path, { ...form, ...change })).statusCode, 400, title)
  }
  t.same(await app.policies.ofAgent(ann.agent.agent_id), policy, 'nothing was changed')
  const cleared = { ...form, allowed_sites: '', allowed_models: undefined, remember_sites: 'yes' }
  t.equal((await ann.post(path, cleared)).statusCode, 303)
  t.match(await app.policies.ofAgent(ann.agent.agent_id), {
    allowed_sites: [],
    allowed_models: [],
    remember_sites: true,
  })
})

t.test('a policy forbids the secret only of an agent with a key', async (t) => {
  const { ann } = await createWorld(t)
  const page = `/account/agents/${ann.agent.agent_id}`
  await ann.post(`${page}/keys/remove`, { kid: ann.kid })
  const form = { sites: 'any', deliver: 'any', secret: 'forbid', approval: 'mail' }
  const refused = await ann.post(`${page}/policy`, form)
  t.equal(refused.statusCode, 400)
  t.match(refused.body, 'Register a key before')
})

t.test('a new secret replaces the old one at once, later, or with all it gave', async (t) => {
  const { app, ann, clock, site, other } = await createWorld(t)
  const { agent_id } = ann.agent
  const path = `/account/agents/${agent_id}/secret`
  const rotate = async (old: string) => {
    const { body } = await ann.post(path, { old })
    return /ags_[\w-]+/.exec(body)?.[0] ?? ''
  }
  const works = async (agent_secret: string) => {
    const { request_id } = await open(app, other)
    const answer = await authenticate(app, request_id, { agent_id, agent_secret })
    return answer.statusCode !== 401
  }
  t.equal((await ann.post(path, { old: 'toString' })).statusCode, 400)
  t.equal((await ann.post(path)).statusCode, 400)
  const second = await rotate('ends')
  t.same([await works(ann.agent.agent_secret), await works(second)], [false, true])
  const third = await rotate('hour')
  t.same([await works(second), await works(third)], [true, true])
  t.same(await alive(app, site, ann.tokens), { access: true, refresh: 200, userinfo: 200 })
  await rotate('compromised')
  t.match(await alive(app, site, ann.tokens), { refresh: 400 })
  t.equal(await works(third), false)
  clock.advance(1)
})

t.test(
  'an agent is renamed, disabled, let in again and deleted, and the trail says by whom',
  async (t) => {
    const { app, ann, site } = await createWorld(t)
    const { agent_id } = ann.agent
    const page = `/account/agents/${agent_id}`
    for (const [path, form, done] of [
      [`${page}/name`, { name: 'Max' }, 'renamed'],
      [`${page}/disable`, {}, 'disabled'],
      [`${page}/enable`, {}, 'enabled'],
    ] as const) {
      const answer = await ann.post(path, form)
      t.equal(answer.headers.location, `http://localhost:8080${page}?done=${done}`)
      t.match((await ann.get(`${page}?done=${done}`)).body, 'role="status"')
    }
    t.match((await ann.get(page)).body, 'Max')
    t.same(await alive(app, site, ann.tokens), { access: false, refresh: 400, userinfo: 401 })
    t.equal((await ann.post(`${page}/delete`)).statusCode, 303)
    t.equal((await ann.get(page)).statusCode, 404)
    const events = await app.store.events.list({ agent_id, limit: 4 })
    t.same(
      events.map(({ outcome, owner_id }) => [outcome, owner_id]),
      ['deleted', 'enabled', 'disabled', 'renamed'].map((outcome) => [outcome, ann.owner_id]),
    )
  },
)
