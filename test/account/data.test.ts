import t from 'tap'
import { authenticate, open } from '../harness.ts'
import { invite, send } from './owner.ts'
import { alive, createWorld } from './world.ts'

t.test('an owner exports everything that is kept, and no secret', async (t) => {
  const { app, ann, site, other } = await createWorld(t)
  const { agent_id, agent_secret } = ann.agent
  await app.approvals.approve(ann.waiting.request_id, true, agent_id)
  await authenticate(app, ann.waiting.request_id, ann.agent)
  await ann.post('/account/sign-ins/stop', { client_id: site.client_id })
  const answer = await ann.get('/account/data/export')
  t.match(answer.headers['content-disposition'], 'my-data.json')
  const data = answer.json()
  t.match(data, {
    owner: { email: 'ann@example.com', owner_id: ann.owner_id },
    passkeys: [{ credential_id: ann.passkey.id }],
    browser_sessions: [{ method: 'passkey' }],
    agents: [
      {
        agent_id,
        policy: { sites: 'ask' },
        keys: [{ kid: ann.kid }],
        remembered_approvals: [{ client_id: other.client_id }],
      },
    ],
    approvals_waiting: [],
    approval_proofs: [],
  })
  t.equal(data.sign_ins.length, 2, 'the ended one too')
  t.ok(data.history.length > 3)
  for (const secret of [agent_secret, ann.cookie.split('=')[1], 'bcrypt', 'session_hash']) {
    t.notOk(answer.body.includes(String(secret)))
  }
})

t.test('an account ends with its agents, or leaves them to the operator', async (t) => {
  const { app, ann, bob, site } = await createWorld(t)
  t.equal((await ann.post('/account/data/delete')).statusCode, 400, 'the choice is needed')
  t.equal((await ann.post('/account/data/delete', { agents: 'delete' })).statusCode, 200)
  t.equal((await ann.get('/account')).statusCode, 303, 'the session has ended')
  t.equal(await app.store.agents.find(ann.agent.agent_id), undefined)
  t.same(await alive(app, site, ann.tokens), { access: false, refresh: 400, userinfo: 401 })
  t.equal((await bob.post('/account/data/delete', { agents: 'keep' })).statusCode, 200)
  t.match(await app.store.agents.find(bob.agent.agent_id), { owner_id: null })
  t.same(await alive(app, site, bob.tokens), { access: true, refresh: 200, userinfo: 200 })
  t.same(await app.store.owners.list(), [])
})

t.test('the last operator stays', async (t) => {
  const { app } = await createWorld(t)
  const operator = await invite(app, 'operator@example.com', { operator: true })
  const close = ({ cookie }: { cookie: string }) =>
    send(app, '/account/data/delete', { agents: 'keep' }, { cookie })
  const refused = await close(operator)
  t.equal(refused.statusCode, 403)
  t.match(refused.body, 'the last operator')
  await invite(app, 'second@example.com', { operator: true })
  t.equal((await close(operator)).statusCode, 200)
})

t.test('what is dangerous needs a passkey that was used within five minutes', async (t) => {
  const { app, ann, clock, other } = await createWorld(t)
  const page = `/account/agents/${ann.agent.agent_id}`
  const dangerous = [
    '/account/agents/new',
    `${page}/policy`,
    `${page}/keys`,
    `${page}/secret`,
    `${page}/enable`,
    `${page}/delete`,
    '/account/data/delete',
  ]
  const forms: Record<string, Record<string, string>> = {
    '/account/data/delete': { agents: 'delete' },
    [`${page}/keys`]: { jwk: '{}' },
  }
  for (const path of dangerous) t.equal((await ann.get(path)).statusCode, 200, path)
  clock.advance(301)
  for (const path of dangerous) {
    for (const answer of [await ann.get(path), await ann.post(path, forms[path])]) {
      t.equal(answer.statusCode, 303, path)
      const to = new URL(String(answer.headers.location))
      t.equal(to.pathname, '/account/confirm', path)
      t.equal(to.searchParams.get('next'), path.slice(1), 'and back again')
    }
  }
  t.match(await app.store.agents.find(ann.agent.agent_id), { disabled_at: null })
  const { request_id } = await open(app, other)
  await authenticate(app, request_id, ann.agent)
  for (const [path, form] of [
    ['/account/sign-ins/stop', { everything: 'yes' }],
    [`${page}/disable`, {}],
    [`${page}/keys/remove`, { kid: ann.kid }],
  ] as const) {
    t.match((await ann.post(path, form)).headers.location, 'done=', `${path} takes away only`)
  }
})
