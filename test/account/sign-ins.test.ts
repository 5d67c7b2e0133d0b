import t from 'tap'
import type { Parameters } from '../harness.ts'
import { authenticate, createAgent, open, redeem, signIn } from '../harness.ts'
import { alive, createWorld, nextOf } from './world.ts'

const ended = { access: false, refresh: 400, userinfo: 401 }
const living = { access: true, refresh: 200, userinfo: 200 }

t.test('a sign-in is shown with where, who, since when and with what', async (t) => {
  const { app, ann, site } = await createWorld(t)
  const { body } = await ann.get('/account/sign-ins')
  for (const fact of [
    'Example Site',
    'site.example',
    'the operator of this server, who registered it',
    'Of ann@example.com',
    'test-model',
    /e-mail address of /,
    /datetime="2027-01-15T08:00:00.000Z">2027-01-15 08:00 UTC/,
    'never',
    'no API',
  ]) {
    t.match(body, fact)
  }
  await alive(app, site, ann.tokens)
  t.notMatch((await ann.get('/account/sign-ins')).body, '<dd>never</dd>')
  const none = await ann.get('/account/sign-ins?client_id=client_unknown')
  t.match(none.body, 'No agent is signed in here')
})

t.test('stop ends tokens of one sign-in, one website, one agent or everything', async (t) => {
  const world = await createWorld(t)
  const { app, site, other, ann } = world
  const second = await createAgent(app, 'ann@example.com', { sites: 'any' })
  await app.policies.changeAgent(ann.agent.agent_id, { sites: 'any' })
  const scope = { scope: 'openid email' }
  const cases: [string, () => Parameters, { here: object; there: object; second: object }][] = [
    [
      'one website',
      () => ({ client_id: site.client_id }),
      { here: ended, there: living, second: ended },
    ],
    [
      'one agent',
      () => ({ agent_id: ann.agent.agent_id }),
      { here: ended, there: ended, second: living },
    ],
    [
      'one agent at one website',
      () => ({ agent_id: ann.agent.agent_id, client_id: site.client_id }),
      { here: ended, there: living, second: living },
    ],
    ['everything', () => ({ everything: 'yes' }), { here: ended, there: ended, second: ended }],
  ]
  for (const [title, form, expected] of cases) {
    const here = await signIn(app, site, ann.agent, scope)
    const there = await signIn(app, other, ann.agent, scope)
    const others = await signIn(app, site, second, scope)
    const stopped = await ann.post('/account/sign-ins/stop', form())
    t.equal(stopped.statusCode, 303, title)
    t.same(await alive(app, site, here), expected.here, `${title}: here`)
    t.same(await alive(app, other, there), expected.there, `${title}: there`)
    t.same(await alive(app, site, others), expected.second, `${title}: the second agent`)
  }
  const tokens = await signIn(app, site, ann.agent, scope)
  const [newest] = await app.ownSignIns.list(ann.owner_id, { limit: 1 })
  const form = { grant_id: newest?.grant.grant_id }
  t.equal((await ann.post('/account/sign-ins/stop', form)).statusCode, 303)
  t.same(await alive(app, site, tokens), ended, 'one sign-in')
  t.equal((await ann.post('/account/sign-ins/stop', form)).statusCode, 404, 'it has ended')
  t.equal((await ann.post('/account/sign-ins/stop')).statusCode, 400, 'nothing is named')
  t.match((await ann.get('/account/sign-ins?done=stopped')).body, 'No agent is signed in here')
})

t.test('a stopped sign-in redeems no code, and what was approved for it ends', async (t) => {
  const { app, other, ann } = await createWorld(t)
  const { request_id, code_verifier } = ann.waiting
  await app.approvals.approve(request_id, false, ann.agent.agent_id)
  await ann.post('/account/sign-ins/stop', { client_id: other.client_id })
  const again = await authenticate(app, request_id, ann.agent)
  t.match(again.json(), { requires_2fa: true }, 'it is asked about anew')
  await app.approvals.approve(request_id, false, ann.agent.agent_id)
  const granted = await authenticate(app, request_id, ann.agent)
  const code = new URL(granted.json().redirect_to).searchParams.get('code') ?? ''
  await ann.post('/account/sign-ins/stop', { everything: 'yes' })
  const refused = await redeem(app, other, { code, code_verifier })
  t.match(refused.json(), { error: 'invalid_grant' })
})

t.test('what was approved for the future is forgotten where the owner says so', async (t) => {
  const { app, other, ann } = await createWorld(t)
  const { agent_id } = ann.agent
  const remember = async () => {
    const { request_id } = await open(app, other)
    if ((await authenticate(app, request_id, ann.agent)).json().requires_2fa !== true) return
    await app.approvals.approve(request_id, true, agent_id)
    await authenticate(app, request_id, ann.agent)
  }
  await remember()
  const count = async () => (await app.policies.remembered(agent_id)).length
  t.equal(await count(), 1)
  await ann.post('/account/sign-ins/stop', { client_id: other.client_id })
  t.equal(await count(), 1, 'not by stopping alone')
  for (const form of [{ client_id: other.client_id }, { agent_id }, { everything: 'yes' }]) {
    await remember()
    await ann.post('/account/sign-ins/stop', { ...form, forget: 'yes' })
    t.equal(await count(), 0, JSON.stringify(form))
  }
  await remember()
  const page = `/account/agents/${agent_id}`
  t.match((await ann.get(page)).body, 'other.example')
  await ann.post(`${page}/forget`, { client_id: other.client_id })
  t.equal(await count(), 0)
})

t.test('the list goes on page by page, and every sign-in is on one of them', async (t) => {
  const { app, site, ann } = await createWorld(t)
  const second = await createAgent(app, 'ann@example.com')
  await app.policies.changeAgent(ann.agent.agent_id, { sites: 'any' })
  for (let index = 0; index < 22; index += 1) await signIn(app, site, ann.agent)
  for (let index = 0; index < 22; index += 1) await signIn(app, site, second)
  const seen: string[] = []
  let path: string | undefined = 'account/sign-ins'
  let pages = 0
  while (path !== undefined && pages < 9) {
    const { body } = await ann.get(`/${path}`)
    t.ok(Buffer.byteLength(body) < 60 * 1024, `${Buffer.byteLength(body)} bytes`)
    seen.push(...[...body.matchAll(/name="grant_id" value="([^"]+)"/g)].map(([, id = '']) => id))
    path = nextOf(body)
    pages += 1
  }
  t.equal(pages, 3)
  t.equal(seen.length, 45)
  t.equal(new Set(seen).size, 45)
})

t.test('what an owner stopped is in the trail, with who did it', async (t) => {
  const { app, site, ann } = await createWorld(t)
  await ann.post('/account/sign-ins/stop', { grant_id: ann.grant_id })
  const [event] = await app.store.events.list({ agent_id: ann.agent.agent_id, limit: 1 })
  t.match(event, {
    event: 'revocation',
    outcome: 'revoked',
    client_id: site.client_id,
    owner_id: ann.owner_id,
    detail: 'The owner stopped it',
  })
})
