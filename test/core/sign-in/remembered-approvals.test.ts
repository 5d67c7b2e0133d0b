import type { FastifyInstance } from 'fastify'
import t from 'tap'
import {
  authenticate,
  build,
  createAgent,
  createApi,
  createKeyedAgent,
  createSite,
  type KeyedAgent,
  open,
  type Parameters,
  type Site,
  startWeb,
  TestClock,
} from '../../harness.ts'
import { createMailbox } from '../../mailbox.ts'
import { createWorld, registerStranger } from './approval-world.ts'

interface Ending {
  name: string
  act(app: FastifyInstance, agent: KeyedAgent): Promise<unknown>
  forgets: boolean
}

const endings: Ending[] = [
  {
    name: 'its secret was replaced as compromised',
    act: ({ registration }, { agent_id }) =>
      registration.rotateAgentSecret(agent_id, { compromised: true }),
    forgets: true,
  },
  {
    name: 'its secret was replaced',
    act: ({ registration }, { agent_id }) => registration.rotateAgentSecret(agent_id),
    forgets: false,
  },
  {
    name: 'it was disabled and enabled',
    act: async ({ registration }, { agent_id }) => {
      await registration.updateAgent(agent_id, { disabled_at: 1 })
      await registration.updateAgent(agent_id, { disabled_at: null })
    },
    forgets: false,
  },
  {
    name: 'a key of it was removed',
    act: ({ agentKeys }, { agent_id, kid }) => agentKeys.remove(agent_id, kid),
    forgets: false,
  },
  {
    name: 'a key of it was removed as compromised',
    act: ({ agentKeys }, { agent_id, kid }) => agentKeys.remove(agent_id, kid, true),
    forgets: true,
  },
  {
    name: 'it got another owner',
    act: ({ registration }, { agent_id }) =>
      registration.updateAgent(agent_id, { email: 'new@example.com' }),
    forgets: true,
  },
]

for (const { name, act, forgets } of endings) {
  t.test(`what an agent asked for has ended when ${name}`, async (t) => {
    const { app, site, mails, code, verify } = await createWorld(t)
    const agent = await createKeyedAgent(app)
    const { agent_id } = agent
    await app.policies.changeAgent(agent_id, { sites: 'ask' })
    const other = await createSite(app)
    const before = await open(app, other)
    await authenticate(app, before.request_id, agent)
    await authenticate(app, before.request_id, agent, { approval_code: code() })
    t.equal((await app.policies.remembered(agent_id)).length, 1)

    const [asked, approved] = [await open(app, site), await open(app, site)]
    await authenticate(app, approved.request_id, agent)
    await app.approvals.approve(approved.request_id)
    await authenticate(app, asked.request_id, agent)
    const good = code()
    await act(app, agent)
    const remembered = await app.policies.remembered(agent_id)
    t.equal(remembered.length, forgets ? 0 : 1)
    const { agent_secret } = await freshSecret(app, agent_id)
    const now = { agent_id, agent_secret }
    for (const { request_id } of [asked, approved]) {
      const refused = await verify(request_id, good, undefined, now)
      t.equal(refused.statusCode, 400)
      t.match(refused.json(), { error: 'invalid_grant', error_description: /has ended/ })
    }
    const sent = mails.length
    t.match((await authenticate(app, asked.request_id, now)).json(), { requires_2fa: true })
    t.equal(mails.length, sent + 1, 'whoever is the agent now can ask again')
    t.equal(
      (await authenticate(app, asked.request_id, now, { approval_code: code() })).statusCode,
      200,
    )
  })
}

/** Another secret beside what the agent has, which ends nothing. */
async function freshSecret(app: FastifyInstance, agent_id: string) {
  return { agent_secret: await app.registration.rotateAgentSecret(agent_id, { overlap: 600 }) }
}

const metadata = { redirect_uris: ['https://stranger.example/a', 'https://other.example/b'] }

t.test('what is remembered is what was shown', async (t) => {
  const world = await createWorld(t, { DYNAMIC_REGISTRATION: 'open' })
  const { app, agent, code, guess } = world
  const api = await createApi(app, { open_to: 'anyone' })
  const second = await createApi(app, {
    uri: 'https://second.example/',
    scopes: ['read', 'pay'],
    open_to: 'anyone',
  })
  const { stranger, change } = await registerStranger(app, metadata)
  const { stranger: another } = await registerStranger(app)
  const approve = async (parameters: Parameters) => {
    const { request_id } = await open(app, stranger, parameters)
    await authenticate(app, request_id, agent)
    t.equal((await guess(request_id, code())).statusCode, 200)
  }
  const ask = async (parameters: Parameters, site: Site = stranger) => {
    const { request_id } = await open(app, site, parameters)
    const answer = await authenticate(app, request_id, agent)
    if (answer.json().requires_2fa) await app.approvals.deny(request_id)
    return answer.json().status
  }
  const shown = { scope: 'openid read write', resource: api.uri }
  await approve(shown)
  const requests: [name: string, parameters: Parameters, site: Site, status: string][] = [
    ['the same', shown, stranger, 'authenticated'],
    ['in another order', { ...shown, scope: 'write openid read' }, stranger, 'authenticated'],
    ['fewer scopes', { ...shown, scope: 'read' }, stranger, 'authenticated'],
    ['no API', { scope: 'openid' }, stranger, 'authenticated'],
    ['another scope', { ...shown, scope: 'openid email read' }, stranger, 'requires_2fa'],
    ['another API', { scope: 'read', resource: second.uri }, stranger, 'requires_2fa'],
    [
      'another host',
      { ...shown, redirect_uri: 'https://other.example/b' },
      stranger,
      'requires_2fa',
    ],
  ]
  await app.registration.updateAgent(agent.agent_id, { name: 'Max' })
  for (const [name, parameters, site, status] of requests) {
    if (status === 'requires_2fa') world.clock.advance(3600)
    t.equal(await ask(parameters, site), status, name)
  }
  world.clock.advance(3600)
  t.equal(await ask({}, another), 'requires_2fa', 'another client')
  t.match(await app.policies.remembered(agent.agent_id), [
    {
      client_id: stranger.client_id,
      redirect_host: 'stranger.example',
      scope: 'openid read write',
    },
  ])

  await approve({ scope: 'read pay', resource: second.uri })
  t.equal((await app.policies.remembered(agent.agent_id)).length, 2)
  world.clock.advance(3600)
  const both = { scope: 'read pay', resource: [api.uri, second.uri] }
  t.equal(await ask(both), 'requires_2fa', 'two answers are not one')
  await approve({ scope: 'openid read write pay', resource: [api.uri, second.uri] })
  t.equal((await app.policies.remembered(agent.agent_id)).length, 1, 'the wider takes in both')
  t.equal(await ask(both), 'authenticated')
  t.equal((await change({})).statusCode, 200)
  t.equal(await ask(both), 'authenticated', 'a change that changes nothing')
})

const jwks = { keys: [{ kty: 'EC', crv: 'P-256', x: 'x', y: 'y' }] }
const changes: [name: string, change: object][] = [
  ['its name', { client_name: 'Shop' }],
  ['its redirect URIs', { redirect_uris: [...metadata.redirect_uris, 'https://evil.example/c'] }],
  ['its keys', { jwks }],
  ['the place of its keys', { jwks_uri: 'https://stranger.example/jwks' }],
]

for (const [name, change] of changes) {
  t.test(`RFC 7592 section 2.2: a client that changes ${name} is asked about again`, async (t) => {
    const { app, agent, code, guess } = await createWorld(t, { DYNAMIC_REGISTRATION: 'open' })
    const client = await registerStranger(app, metadata)
    const { request_id } = await open(app, client.stranger)
    await authenticate(app, request_id, agent)
    await guess(request_id, code())
    const [before, waiting] = [await open(app, client.stranger), await open(app, client.stranger)]
    t.equal((await authenticate(app, before.request_id, agent)).statusCode, 200)
    await app.policies.forget(agent.agent_id, client.stranger.client_id)
    const rest = await open(app, client.stranger)
    await authenticate(app, rest.request_id, agent)
    await guess(rest.request_id, code())
    await app.policies.changeAgent(agent.agent_id, { deliver: 'any' })
    const wider = await open(app, client.stranger, { scope: 'openid email profile' })
    await authenticate(app, wider.request_id, agent)
    const good = code()

    t.equal((await client.change(change)).statusCode, 200)
    t.same(await app.policies.remembered(agent.agent_id), [], 'what was shown is forgotten')
    const next = await authenticate(app, waiting.request_id, agent)
    t.match(next.json(), { requires_2fa: true })
    t.equal((await guess(wider.request_id, good)).json().status, 'requires_2fa', 'shown anew')
  })
}

t.test('a metadata document that says something else is asked about again', async (t) => {
  const web = await startWeb(t)
  const { url, mails } = await createMailbox(t)
  const clock = new TestClock()
  const mail = { SMTP_URL: url, MAIL_FROM: 'auth@auth.example' }
  const app = await build(t, mail, { clock, network: web.network })
  const agent = await createAgent(app)
  const client_id = web.url('client.example', '/client.json')
  const redirect_uri = 'https://stranger.example/callback'
  const document = { client_id, client_name: 'Shop', redirect_uris: [redirect_uri] }
  web.serveJson('/client.json', document, { 'cache-control': 'max-age=60' })
  const stranger = { client_id, client_secret: undefined, redirect_uri }
  const ask = async () => {
    clock.advance(3600)
    const { request_id } = await open(app, stranger)
    const answer = await authenticate(app, request_id, agent)
    return { request_id, status: answer.json().status }
  }
  const { request_id, status } = await ask()
  t.equal(status, 'requires_2fa', 'of an agent without a policy, too')
  const code = mails.at(-1)?.match(/^ {2}(\d{6})\r$/m)?.[1]
  const signedIn = await authenticate(app, request_id, agent, { approval_code: code })
  t.equal(signedIn.statusCode, 200)
  t.equal((await ask()).status, 'authenticated', 'an agent without a policy is not asked twice')
  await app.policies.changeAgent(agent.agent_id, { sites: 'ask' })
  t.equal((await ask()).status, 'authenticated')
  clock.advance(3 * 86_400)
  const now = clock.now()
  const unused = { origin: 'document', before: now, now, limit: 10 } as const
  await app.store.clients.removeUnused(unused)
  t.equal((await ask()).status, 'authenticated', 'what is remembered keeps its client')
  web.serveJson('/client.json', { ...document, client_name: 'Bank' })
  t.equal((await ask()).status, 'requires_2fa')
  t.same(await app.policies.remembered(agent.agent_id), [])
})

t.test('the operator forgets what an owner approved', async (t) => {
  const { app, agent, site, code, guess } = await createWorld(t)
  const { request_id } = await open(app, site)
  await authenticate(app, request_id, agent)
  await guess(request_id, code())
  await app.policies.forget(agent.agent_id, site.client_id)
  await t.rejects(app.policies.forget(agent.agent_id, site.client_id), { code: 'not_found' })
  const next = await open(app, site)
  t.match((await authenticate(app, next.request_id, agent)).json(), { requires_2fa: true })
})
