import t from 'tap'
import type { Settings } from '../../../plugins/core/settings.ts'
import {
  authenticate,
  build,
  createAgent,
  type Opened,
  open,
  redeem,
  statusOf,
} from '../../harness.ts'
import { createWorld, NOWHERE, type World } from './approval-world.ts'

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
    mailed_at: clock.now(),
    message: 'The owner has to approve this site: a code was sent by mail',
    sign_in: {
      redirect_host: 'site.example',
      client_origin: 'operator',
      client_id: site.client_id,
      apis: [],
      scope: 'email',
      opened_from: '127.0.0.1',
      opened_at: clock.now() - 60,
      agent_id: agent.agent_id,
      agent_address: '127.0.0.1',
      delivery: 'opener',
      client_name: 'Example Site',
      model: 'test-model',
    },
  })
  t.equal(await statusOf(app, request_id), 'pending', 'nothing is granted yet')
  const [mail = ''] = mails
  for (const part of [
    /^From: Auth Agent <auth@auth\.example>\r$/m,
    /^To: owner@example\.com\r$/m,
    /^Subject: Your agent asks to sign in to site\.example\r$/m,
    /Leads to: +site\.example\r$/m,
    /Vouched for by: +the operator of this server/,
    /Name: +calls itself =E2=80=9CExample Site=E2=80=9D\r$/m,
    /Model: +calls itself =E2=80=9Ctest-model=E2=80=9D\r$/m,
    /Opened at: +20\d\d-\d\d-\d\d \d\d:\d\d UTC\r$/m,
    /within 9 minutes/,
    /If you did not expect this, do nothing/,
  ]) {
    t.match(mail, part)
  }
  t.match(code(), /^\d{6}$/)
  const pages = [...mail.matchAll(/https?:\/\/[^\s)"]+/g)].map(([url]) => url)
  t.ok(pages.length > 0)
  for (const url of pages) {
    t.ok(url.startsWith(app.settings.ISSUER), url)
    const path = url.slice(app.settings.ISSUER.length) || '/'
    t.equal((await app.inject(path)).statusCode, 200, `${url} exists`)
  }

  const mailed_at = clock.now()
  clock.advance(60)
  t.match((await authenticate(app, request_id, agent)).json(), {
    status: 'requires_2fa',
    expires_in: 480,
    mailed_at,
    message: /a code was sent by mail at 2027-01-15 08:01 UTC$/,
  })
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
  t.match((await verify(request_id, code(), undefined, agent)).json().redirect_to, /code=ac_/)
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
  t.equal(await app.approvals.find(request_id, agent.agent_id), undefined)
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
    t.same(await app.policies.remembered(agent.agent_id), [])
  })
}

t.test('an approval is of one agent: another may ask for the same request', async (t) => {
  const { app, agent, site, mails, code, verify, guess } = await createWorld(t)
  const thief = await createAgent(app, 'other@example.com')
  await app.policies.changeAgent(thief.agent_id, { sites: 'ask' })
  const { request_id } = await open(app, site)
  t.match((await authenticate(app, request_id, thief)).json(), { requires_2fa: true })
  const others = code()
  t.match((await authenticate(app, request_id, agent)).json(), { requires_2fa: true })
  t.equal(mails.length, 2)
  t.match(mails.at(-1), /^To: owner@example\.com\r$/m)
  t.equal((await guess(request_id, others)).statusCode, 400, 'the code of another agent')
  const renamed = await authenticate(app, request_id, agent, { model: 'another-model' })
  t.equal(renamed.statusCode, 409)

  await t.rejects(app.approvals.deny(request_id), { code: 'invalid_request', message: /Several/ })
  await app.approvals.deny(request_id, thief.agent_id)
  t.equal((await verify(request_id, code())).statusCode, 200, 'without proof, as it came second')
  t.equal((await authenticate(app, request_id, thief)).statusCode, 409)
  t.match(await app.store.grants.list({}), [{ agent_id: agent.agent_id }])
})

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

t.test('a code is good for nothing before the mail server has accepted it', async (t) => {
  const { app, agent, site, verify, guess } = await createWorld(t, { SMTP_URL: NOWHERE })
  const { request_id } = await open(app, site)
  const refused = await authenticate(app, request_id, agent)
  t.equal(refused.statusCode, 503)
  t.match(refused.json(), { error: 'temporarily_unavailable', error_description: /mail/ })
  t.match(await app.approvals.find(request_id, agent.agent_id), { mailed_at: null })
  const unsent = await verify(request_id, '000000')
  t.equal(unsent.statusCode, 400)
  t.match(unsent.json(), { error: 'invalid_grant', error_description: /sent no code/ })

  t.equal((await guess(request_id, '000000')).statusCode, 503, 'the mail is tried again')
  t.equal((await guess(request_id, '000000')).statusCode, 503)
  const waiting = await guess(request_id, '000000')
  t.match(waiting.json(), { requires_2fa: true, mailed_at: null, message: /no mail could be sent/ })
  t.match(await app.approvals.find(request_id, agent.agent_id), {
    tries_left: 5,
    unproved_tries_left: 5,
  })
  t.equal(await statusOf(app, request_id), 'pending')
  await app.approvals.approve(request_id)
  t.match((await authenticate(app, request_id, agent)).json(), { status: 'authenticated' })
})

t.test('an asking whose mail failed counts like any other', async (t) => {
  const { app, agent, site } = await createWorld(t, { SMTP_URL: NOWHERE })
  const ask = async () =>
    (await authenticate(app, (await open(app, site)).request_id, agent)).statusCode
  const statuses: number[] = []
  for (let times = 0; times < 6; times += 1) statuses.push(await ask())
  t.same(statuses, [503, 503, 503, 503, 503, 429])
})

t.test('an approval whose process ended before its mail is mailed again, once', async (t) => {
  const { app, clock, agent, site, mails, code, guess } = await createWorld(t)
  const { request_id } = await open(app, site)
  await authenticate(app, request_id, agent)
  const first = code()
  const approval = await app.approvals.find(request_id, agent.agent_id)
  if (approval === undefined) throw new Error('no approval')
  // As it stands between the commit and the mail.
  await app.store.approvals.recordMail(approval, null)
  t.equal((await guess(request_id, first)).json().status, 'requires_2fa', 'not known to be sent')
  t.equal(mails.length, 2)
  t.equal((await guess(request_id, code())).statusCode, 200)

  const { request_id: next } = await open(app, site, { redirect_uri: site.redirect_uri })
  await app.policies.forget(agent.agent_id, site.client_id)
  await authenticate(app, next, agent)
  const asked = await app.approvals.find(next, agent.agent_id)
  if (asked === undefined) throw new Error('no approval')
  await app.store.approvals.recordMail(asked, null)
  clock.advance(1)
  const answers = await Promise.all([1, 2, 3, 4].map(() => authenticate(app, next, agent)))
  t.equal(mails.length, 4, 'of callers at the same moment one sends it')
  t.equal(answers.filter((answer) => answer.json().mailed_at === clock.now()).length, 1)
  t.match(answers.find((answer) => answer.json().mailed_at === null)?.json(), {
    message: /is being sent by mail/,
  })
})

t.test('without a mail server there are no digits, and the operator answers', async (t) => {
  const { app, clock, agent, site, verify, guess } = await createWorld(t, {
    SMTP_URL: undefined,
    MAIL_FROM: undefined,
  })
  const ask = async () => {
    const { request_id } = await open(app, site)
    t.match((await authenticate(app, request_id, agent)).json(), {
      mailed_at: null,
      message: /the operator of this server answers/,
    })
    clock.advance(1)
    return request_id
  }
  const [yes, no] = [await ask(), await ask()]
  t.match(await app.approvals.listOpen(), [
    { request_id: yes, client_name: 'Example Site', email: 'owner@example.com', mailed_at: null },
    { request_id: no },
  ])
  t.notOk('code_hash' in ((await app.approvals.listOpen())[0] ?? {}))
  t.match(await app.approvals.find(yes, agent.agent_id), { code_hash: null })
  t.equal((await verify(yes, '000000')).statusCode, 400)
  t.match((await guess(yes, '000000')).json(), { requires_2fa: true, mailed_at: null })

  await app.approvals.approve(yes, false)
  await t.rejects(app.approvals.approve(yes), { code: 'not_found' }, 'answered twice')
  await t.rejects(app.approvals.deny(yes), { code: 'not_found' })
  t.equal((await verify(yes, '000000')).json().redirect_to, undefined, 'no code, no proof')
  const again = await guess(yes, '000000')
  t.match(again.json(), { status: 'authenticated' }, 'the agent proves itself again')
  t.same(await app.policies.remembered(agent.agent_id), [], 'approved for once')

  await app.approvals.deny(no)
  const denied = await authenticate(app, no, agent)
  t.equal(denied.statusCode, 403)
  t.match(denied.json(), {
    error: 'access_denied',
    error_description: /denied/,
    reason: 'owner',
  })

  const always = await ask()
  await app.approvals.approve(always, true)
  t.equal((await authenticate(app, always, agent)).statusCode, 200)
  t.match(await app.policies.remembered(agent.agent_id), [{ client_id: site.client_id }])
  t.same(await app.approvals.listOpen(), [])
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
