import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import type { Settings } from '../../plugins/core/settings.ts'
import {
  authenticate,
  build,
  type Credentials,
  createAgent,
  createSite,
  type Opened,
  open,
  redeem,
  type Site,
  statusOf,
  TestClock,
} from '../harness.ts'
import { createMailbox } from '../mailbox.ts'

interface World {
  app: FastifyInstance
  clock: TestClock
  site: Site
  agent: Credentials
  mails: string[]
  /** The code of the last mail. */
  code(): string
  verify(request_id: string, code: string, model?: string): Promise<LightMyRequestResponse>
}

async function createWorld(t: Test, settings: Partial<Settings> = {}): Promise<World> {
  const { url, mails } = await createMailbox(t)
  const clock = new TestClock()
  const mail = { SMTP_URL: url, MAIL_FROM: 'Auth Agent <auth@auth.example>' }
  const app = await build(t, { ...mail, ...settings }, { clock })
  const agent = await createAgent(app)
  await app.policies.changeAgent(agent.agent_id, { sites: 'ask' })
  return {
    app,
    clock,
    agent,
    mails,
    site: await createSite(app, { client_name: 'Example Site' }),
    code: () => mails.at(-1)?.match(/^ {2}(\d{6})\r$/m)?.[1] ?? '',
    verify: (request_id, code, model = 'test-model') =>
      app.inject({
        method: 'POST',
        url: '/api/agent/verify-2fa',
        payload: { request_id, code, model },
      }),
  }
}

/** Another code than this one. */
const wrong = (code: string, by = 1) => String((Number(code) + by) % 1_000_000).padStart(6, '0')

t.test('a first sign-in to a site asks the owner by mail, and then signs in', async (t) => {
  const { app, clock, agent, site, mails, code, verify } = await createWorld(t)
  const { request_id, code_verifier, cookie } = await open(app, site)
  clock.advance(60)
  const asked = await authenticate(app, request_id, agent)
  t.equal(asked.statusCode, 200)
  t.same(asked.json(), {
    status: 'requires_2fa',
    success: false,
    requires_2fa: true,
    expires_in: 540,
    message: 'The owner has to approve this site: a code was sent by mail',
  })
  t.equal(await statusOf(app, request_id), 'pending', 'nothing is granted yet')
  const [mail = ''] = mails
  for (const part of [
    /^From: Auth Agent <auth@auth\.example>\r$/m,
    /^To: owner@example\.com\r$/m,
    /^Subject: Your agent asks to sign in to site\.example\r$/m,
    /Website: +Example Site\r$/m,
    /Host: +site\.example\r$/m,
    /Model: +test-model\r$/m,
    /Time: +20\d\d-\d\d-\d\d \d\d:\d\d UTC\r$/m,
    /within 9 minutes/,
    /If you did not expect this, do nothing/,
  ]) {
    t.match(mail, part)
  }
  t.match(code(), /^\d{6}$/)

  t.match((await authenticate(app, request_id, agent)).json(), { status: 'requires_2fa' })
  t.equal(mails.length, 1, 'asking again sends no second mail')

  const verified = await verify(request_id, code())
  t.equal(verified.statusCode, 200)
  t.match(verified.json(), { status: 'authenticated', success: true })
  const { redirect_to } = verified.json()
  const status = await app.inject({
    url: `/api/check-status?request_id=${request_id}`,
    headers: { cookie },
  })
  t.equal(status.json().redirect_to, redirect_to)
  const grant = { code: new URL(redirect_to).searchParams.get('code') ?? '', code_verifier }
  t.equal((await redeem(app, site, grant)).statusCode, 200)

  const next = await open(app, site)
  t.match((await authenticate(app, next.request_id, agent)).json(), { status: 'authenticated' })
  t.equal(mails.length, 1, 'the site is remembered')
})

t.test('a site is asked about every time when the owner chose so', async (t) => {
  const { app, agent, site, code, verify, mails } = await createWorld(t)
  await app.policies.changeAgent(agent.agent_id, { remember_sites: false })
  for (const times of [1, 2]) {
    const { request_id } = await open(app, site)
    t.match((await authenticate(app, request_id, agent)).json(), { requires_2fa: true })
    t.equal(mails.length, times)
    t.notMatch(mails.at(-1), /without asking/)
    t.equal((await verify(request_id, code())).statusCode, 200)
  }
})

t.test('deliver: agent is kept from the first answer to the last', async (t) => {
  const { app, agent, site, code, verify } = await createWorld(t)
  const { request_id, cookie } = await open(app, site)
  await authenticate(app, request_id, agent, { deliver: 'agent' })
  t.match((await verify(request_id, code())).json().redirect_to, /code=ac_/)
  const status = await app.inject({
    url: `/api/check-status?request_id=${request_id}`,
    headers: { cookie },
  })
  t.same(status.json(), { status: 'completed', deliver: 'agent' })
})

t.test('what the agent expects is checked before its owner is asked', async (t) => {
  const { app, agent, site, mails } = await createWorld(t)
  const { request_id } = await open(app, site)
  const refused = await authenticate(app, request_id, agent, { expected_client_id: 'another' })
  t.equal(refused.statusCode, 403)
  t.same(mails, [])
  t.equal(await app.approvals.find(request_id), undefined)
})

t.test('a code is guessed five times and no more', async (t) => {
  const { app, agent, site, code, verify } = await createWorld(t)
  const { request_id } = await open(app, site)
  await authenticate(app, request_id, agent)
  for (const left of ['4 tries are', '3 tries are', '2 tries are', '1 try is']) {
    const refused = await verify(request_id, wrong(code()))
    t.equal(refused.statusCode, 400)
    t.match(refused.json(), {
      success: false,
      error: 'invalid_grant',
      error_description: `The code is wrong, ${left} left`,
    })
  }
  for (const given of [wrong(code()), code()]) {
    const refused = await verify(request_id, given)
    t.equal(refused.statusCode, 403)
    t.match(refused.json(), { error: 'access_denied', error_description: /Too many wrong codes/ })
  }
  t.equal((await authenticate(app, request_id, agent)).statusCode, 403)
  t.equal(await statusOf(app, request_id), 'pending')
  t.same(await app.store.grants.list({}), [], 'nothing is left behind')
  t.same((await app.policies.ofAgent(agent.agent_id)).allowed_sites, [])
})

t.test('of guesses that arrive together no more than five are tried', async (t) => {
  const { app, agent, site, code, verify } = await createWorld(t)
  const { request_id } = await open(app, site)
  await authenticate(app, request_id, agent)
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) => verify(request_id, wrong(code(), n + 1))),
  )
  t.equal(answers.filter(({ statusCode }) => statusCode === 400).length, 4)
  t.equal(answers.filter(({ statusCode }) => statusCode === 403).length, 16)
  t.equal((await verify(request_id, code())).statusCode, 403)
})

t.test('wrong codes count as failures of the network that they come from', async (t) => {
  const { app, agent, site, code, verify } = await createWorld(t, { THROTTLE_FAILURES: 2 })
  const { request_id } = await open(app, site)
  await authenticate(app, request_id, agent)
  const statuses: number[] = []
  for (const by of [1, 2, 3])
    statuses.push((await verify(request_id, wrong(code(), by))).statusCode)
  t.same(statuses, [400, 400, 429])
  t.equal((await verify(request_id, code())).statusCode, 200, 'the right code is let through')
})

t.test('an approval is answered once', async (t) => {
  const { app, agent, site, code, verify } = await createWorld(t)
  const { request_id } = await open(app, site)
  await authenticate(app, request_id, agent)
  const answers = await Promise.all([1, 2, 3].map(() => verify(request_id, code())))
  const good = answers.filter(({ statusCode }) => statusCode === 200)
  t.equal(good.length, 1)
  const late = await verify(request_id, code())
  t.equal(late.statusCode, 409)
  t.match(late.json(), { error: 'invalid_request', error_description: /authenticated already/ })
  t.equal((await app.store.grants.list({ agent_id: agent.agent_id })).length, 1)
})

interface Refusal {
  name: string
  act(world: World, opened: Opened): Promise<unknown>
  request?(world: World): Promise<string>
  code?(code: string): string
  model?: string
  status: number
  error: string
  description: RegExp
}

const refusals: Refusal[] = [
  {
    name: 'for a request that nobody was asked about',
    act: async () => undefined,
    request: async ({ app, site }) => (await open(app, site)).request_id,
    status: 400,
    error: 'invalid_request',
    description: /No approval was asked/,
  },
  {
    name: 'for a request that does not exist',
    act: async () => undefined,
    request: async () => 'req_nothing',
    status: 404,
    error: 'invalid_request',
    description: /unknown or has expired/,
  },
  {
    name: 'of another approval',
    act: async () => undefined,
    request: async ({ app, agent, site }) => {
      const { request_id } = await open(app, site)
      await authenticate(app, request_id, agent)
      return request_id
    },
    status: 400,
    error: 'invalid_grant',
    description: /wrong, 4 tries/,
  },
  {
    name: 'for another model than the owner was told',
    act: async () => undefined,
    model: 'another-model',
    status: 400,
    error: 'invalid_request',
    description: /another model/,
  },
  {
    name: 'too late',
    act: async ({ clock }) => clock.advance(600),
    status: 404,
    error: 'invalid_request',
    description: /expired/,
  },
  {
    name: 'that is no code',
    act: async () => undefined,
    code: (code) => `${code} `,
    status: 400,
    error: 'invalid_request',
    description: /code is malformed/,
  },
  {
    name: 'after the operator denied it',
    act: ({ app }, { request_id }) => app.approvals.deny(request_id),
    status: 403,
    error: 'access_denied',
    description: /owner denied/,
  },
  {
    name: 'after the agent was disabled',
    act: ({ app, agent }) => app.registration.updateAgent(agent.agent_id, { disabled_at: 1 }),
    status: 401,
    error: 'invalid_credentials',
    description: /wrong/,
  },
  {
    name: 'after the policy took the site away',
    act: ({ app, agent }) => app.policies.changeAgent(agent.agent_id, { sites: 'list' }),
    status: 403,
    error: 'access_denied',
    description: /may not sign in to/,
  },
]

for (const { name, act, request, code, model, status, error, description } of refusals) {
  t.test(`a code ${name} is refused and leaves nothing behind`, async (t) => {
    const world = await createWorld(t)
    const { app, agent, site, verify } = world
    const opened = await open(app, site)
    await authenticate(app, opened.request_id, agent)
    const good = world.code()
    await act(world, opened)
    const request_id = (await request?.(world)) ?? opened.request_id
    const refused = await verify(request_id, code?.(good) ?? good, model)
    t.equal(refused.statusCode, status)
    t.match(refused.json(), { success: false, error, error_description: description })
    t.same(await app.store.grants.list({}), [])
    t.same((await app.policies.ofAgent(agent.agent_id)).allowed_sites, [])
  })
}

t.test(
  'a request that waits for the approval of one agent is not asked about for another',
  async (t) => {
    const { app, agent, site, mails, code, verify } = await createWorld(t)
    const other = await createAgent(app, 'other@example.com')
    await app.policies.changeAgent(other.agent_id, { sites: 'ask' })
    const { request_id } = await open(app, site)
    await authenticate(app, request_id, agent)
    const refused = await authenticate(app, request_id, other)
    t.equal(refused.statusCode, 409)
    t.match(refused.json(), { error: 'invalid_request', error_description: /another agent/ })
    const renamed = await authenticate(app, request_id, agent, { model: 'another-model' })
    t.equal(renamed.statusCode, 409)
    t.equal(mails.length, 1)

    const free = await createAgent(app, 'free@example.com')
    t.equal((await authenticate(app, request_id, free)).statusCode, 200)
    t.equal((await verify(request_id, code())).statusCode, 409, 'it came too late')
  },
)

t.test('an owner is not asked without end', async (t) => {
  const { app, clock, agent, site, mails } = await createWorld(t)
  const ask = async () => authenticate(app, (await open(app, site)).request_id, agent)
  for (let times = 0; times < 5; times += 1) {
    t.match((await ask()).json(), { requires_2fa: true })
    clock.advance(60)
  }
  const refused = await ask()
  t.equal(refused.statusCode, 429)
  t.equal(refused.headers['retry-after'], String(3600 - 300))
  t.equal(mails.length, 5)
  clock.advance(3300)
  t.match((await ask()).json(), { requires_2fa: true })
})

t.test('a mail that cannot be sent leaves nothing behind', async (t) => {
  const { app, agent, site } = await createWorld(t, { SMTP_URL: 'smtp://127.0.0.1:1' })
  const { request_id } = await open(app, site)
  const refused = await authenticate(app, request_id, agent)
  t.equal(refused.statusCode, 503)
  t.match(refused.json(), { error: 'temporarily_unavailable', error_description: /mail/ })
  t.equal(await app.approvals.find(request_id), undefined)
  t.equal(await statusOf(app, request_id), 'pending')
})

t.test('without a mail server the operator answers', async (t) => {
  const { app, clock, agent, site, verify } = await createWorld(t, {
    SMTP_URL: undefined,
    MAIL_FROM: undefined,
  })
  const ask = async () => {
    const { request_id } = await open(app, site)
    t.match((await authenticate(app, request_id, agent)).json(), { message: /operator/ })
    clock.advance(1)
    return request_id
  }
  const [yes, code, no] = [await ask(), await ask(), await ask()]
  t.match(await app.approvals.listOpen(), [
    { request_id: yes, client_name: 'Example Site', email: 'owner@example.com' },
    { request_id: code },
    { request_id: no },
  ])
  t.notOk('code_hash' in ((await app.approvals.listOpen())[0] ?? {}))

  await app.approvals.approve(yes, false)
  await t.rejects(app.approvals.approve(yes), { code: 'not_found' }, 'answered twice')
  await t.rejects(app.approvals.deny(yes), { code: 'not_found' })
  t.equal((await verify(yes, '000000')).json().redirect_to, undefined, 'a code is still needed')
  const again = await authenticate(app, yes, agent)
  t.match(again.json(), { status: 'authenticated' }, 'or that the agent proves itself again')
  t.same((await app.policies.ofAgent(agent.agent_id)).allowed_sites, [], 'approved for once')

  await app.approvals.deny(no)
  const denied = await authenticate(app, no, agent)
  t.equal(denied.statusCode, 403)
  t.match(denied.json(), { error: 'access_denied', error_description: /denied/ })

  const approved = await app.approvals.approve(code, true)
  t.equal((await verify(code, approved.code)).statusCode, 200)
  t.same((await app.policies.ofAgent(agent.agent_id)).allowed_sites, [site.client_id])
  t.same(await app.approvals.listOpen(), [])
})

t.test('neither the database nor the trail holds a code', async (t) => {
  const { app, agent, site, code, verify } = await createWorld(t)
  const { request_id } = await open(app, site)
  await authenticate(app, request_id, agent)
  const approval = await app.approvals.find(request_id)
  t.notOk(JSON.stringify(approval).includes(code()))
  await verify(request_id, wrong(code()))
  await verify(request_id, code())
  const events = (await app.store.events.list({ agent_id: agent.agent_id, limit: 10 })).reverse()
  t.match(events, [
    { event: 'policy' },
    { event: 'approval', outcome: 'asked', client_id: site.client_id, model: 'test-model' },
    { event: 'approval', outcome: 'invalid_grant', method: 'agent_secret' },
    { event: 'sign_in', outcome: 'granted', method: 'agent_secret approval' },
  ])
  t.notOk(JSON.stringify(events).includes(code()))
})

t.test('the metadata names where a code is sent', async (t) => {
  const { app } = await createWorld(t)
  t.match((await app.inject('/.well-known/oauth-authorization-server')).json(), {
    agent_approval_endpoint: 'http://localhost:8080/api/agent/verify-2fa',
  })
})

t.test('a mail server without a sender, or none at all, stops the start', async (t) => {
  const bad: Partial<Settings>[] = [
    { SMTP_URL: 'smtp://127.0.0.1' },
    { SMTP_URL: 'http://127.0.0.1', MAIL_FROM: 'a@b.example' },
    { SMTP_URL: 'smtp://:x:y', MAIL_FROM: 'a@b.example' },
  ]
  for (const settings of bad) await t.rejects(build(t, settings), { name: 'SettingsError' })
})
