import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { AgentPolicy } from '../../schemas/policy.ts'
import type { Deviation } from '../authenticator.ts'
import {
  authenticate,
  build,
  createAgent,
  createApi,
  createSite,
  open,
  type Parameters,
  post,
  redeem,
  refresh,
  signInOwner,
  statusOf,
} from '../harness.ts'
import {
  browserOf,
  buildWorld,
  claimsOf,
  codeOf,
  consent,
  createPerson,
  decodeEntities,
  ISSUER,
  type Person,
  readForm,
  send,
  signInPerson,
} from './consent-world.ts'

function pageOf(app: FastifyInstance, request_id: string, headers: Record<string, string> = {}) {
  return app.inject({ url: `/account/consent?request_id=${request_id}`, headers })
}

t.test('a person consents in the place of an agent, and the website gets the code', async (t) => {
  const { app, clock, site, person } = await buildWorld(t)
  const opened = await open(app, site, { scope: 'openid email profile' })
  const waiting = await app.inject({
    url: `/api/check-status?request_id=${opened.request_id}`,
    headers: browserOf(person, opened),
  })
  t.equal(waiting.json().status, 'pending')
  clock.advance(100)
  const done = await consent(app, person, opened, { agent: 'new' })
  t.equal(done.statusCode, 200)
  t.equal(done.headers['cache-control'], 'no-store')
  const code = { code: codeOf(done), code_verifier: opened.code_verifier }
  const tokens = (await redeem(app, site, code)).json()

  const [agent] = await app.store.agents.listOfOwner(person.owner.owner_id)
  t.match(agent, { name: 'Example Site', email: 'owner@example.com' })
  const how = { auth_time: clock.now(), acr: 'phr', amr: ['pop', 'user', 'mfa'] }
  const claims = claimsOf(tokens.id_token)
  t.match(claims, { sub: agent?.agent_id, ...how, email: 'owner@example.com' })
  t.equal(claims.email_verified, true, 'the address of the owner is verified')
  t.notOk('model' in claims, 'a person has no model')
  t.match(claimsOf(tokens.access_token), { sub: agent?.agent_id, ...how }, 'RFC 9068 section 2.2.1')
  for (const token of [tokens.access_token, tokens.refresh_token]) {
    const told = (await post(app, '/introspect', site, { token })).json()
    t.match(told, { active: true, sub: agent?.agent_id, ...how })
    t.notOk('model' in told)
  }
  const [grant] = await app.store.grants.list({})
  const proof = await app.store.consents.findProof(grant?.grant_id ?? '')
  t.match(JSON.parse(proof?.subject ?? ''), {
    request_id: opened.request_id,
    description: { redirect_host: 'site.example', client_name: 'Example Site' },
    chosen: { agent: 'new', lasts: '30-days', remember: false },
  })
  t.match(JSON.parse(proof?.proof ?? ''), { credential_id: person.passkey.id })
  const [event] = await app.store.events.list({ limit: 1 })
  t.match(event, { event: 'sign_in', outcome: 'granted', owner_id: person.owner.owner_id })

  t.equal(await statusOf(app, opened.request_id), 'completed')
  const again = await app.inject({
    url: `/api/check-status?request_id=${opened.request_id}`,
    headers: browserOf(person, opened),
  })
  t.same(again.json(), { status: 'completed' }, 'the code went to one page alone')
})

t.test('RFC 6749 section 4.1.2: with response_mode=form_post the page is a form', async (t) => {
  const { app, site, person } = await buildWorld(t)
  const opened = await open(app, site, { scope: 'email', response_mode: 'form_post' })
  const done = await consent(app, person, opened)
  t.match(done.headers['content-security-policy'], 'form-action https:')
  t.match(done.body, `action="${site.redirect_uri}"`)
  const [, code = ''] = done.body.match(/name="code" value="([^"]+)"/) ?? []
  t.equal((await redeem(app, site, { code, code_verifier: opened.code_verifier })).statusCode, 200)
})

t.test('a session alone approves nothing, and no other assertion does', async (t) => {
  const { app, site, person } = await buildWorld(t)
  const other = await createPerson(app, 'other@example.com')
  const opened = await open(app, site, { scope: 'openid' })
  const headers = browserOf(person, opened)
  const form = await readForm(app, person, opened)
  const ask = async (fields: Parameters, change?: Deviation, by: Person = person) => {
    const options = await send(app, '/account/consent/options', headers, fields)
    return JSON.stringify(by.passkey.get(options.json(), change))
  }
  const confirm = async () =>
    JSON.stringify(
      person.passkey.get(
        await app.passkeys.requestOptions('confirm', { owner_id: person.owner.owner_id }),
      ),
    )
  const used = await ask(form)
  await send(app, '/account/consent', headers, { ...form, passkey: used, lasts: '1-day' })
  const refusals: [string, Parameters][] = [
    ['no passkey', form],
    ['nonsense', { ...form, passkey: '{}' }],
    ['an assertion for another purpose', { ...form, passkey: await confirm() }],
    ['an assertion that was used', { ...form, passkey: used }],
    ['other choices than were signed', { ...form, passkey: await ask(form), lasts: 'once' }],
    ['remembering that was not signed', { ...form, passkey: await ask(form), remember: 'yes' }],
    ['another page', { ...form, passkey: await ask(form, { origin: 'https://evil.example' }) }],
    ['another relying party', { ...form, passkey: await ask(form, { rp_id: 'evil.example' }) }],
    ['no user verification', { ...form, passkey: await ask(form, { userVerified: false }) }],
    ["another owner's passkey", { ...form, passkey: await ask(form, {}, other) }],
    ['a page that was not shown', { ...form, shown: 'x' }],
    ['an agent that nobody has', { ...form, agent: 'agent_none' }],
    ['a scope that was not asked', { ...form, scope: 'admin' }],
  ]
  for (const [name, fields] of refusals) {
    const response = await send(app, '/account/consent', headers, fields)
    t.ok([400, 403].includes(response.statusCode), `${name}: ${response.statusCode}`)
    t.equal(await statusOf(app, opened.request_id), 'pending', name)
  }
  t.equal((await app.store.grants.list({})).length, 0)
  t.equal((await consent(app, person, opened)).statusCode, 200, 'the good one still works')
})

t.test("another's agent cannot be chosen, shown or signed", async (t) => {
  const { app, site, person } = await buildWorld(t)
  const other = await createPerson(app, 'other@example.com')
  const { agent_id } = await createAgent(app, 'other@example.com')
  await app.store.owners.update(other.owner.owner_id, { email_verified: true })
  t.equal((await app.store.agents.find(agent_id))?.owner_id, other.owner.owner_id)
  const opened = await open(app, site)
  const page = await pageOf(app, opened.request_id, browserOf(person, opened))
  t.notMatch(page.body, agent_id)
  t.equal((await consent(app, person, opened, { agent: agent_id })).statusCode, 400)
  t.equal(await statusOf(app, opened.request_id), 'pending')
})

t.test('login CSRF: nobody consents to a request that another browser opened', async (t) => {
  const { app, site, person } = await buildWorld(t)
  const begunElsewhere = await open(app, site)
  const mine = await open(app, site)
  const headers = browserOf(person, mine)
  const page = await pageOf(app, begunElsewhere.request_id, headers)
  t.equal(page.statusCode, 403)
  t.match(page.body, 'begun in another browser')
  t.notMatch(page.body, 'data-action="approve"')
  const form = { ...(await readForm(app, person, mine)), request_id: begunElsewhere.request_id }
  for (const path of ['/account/consent/options', '/account/consent', '/account/consent/deny']) {
    t.equal((await send(app, path, headers, form)).statusCode, 403, path)
  }
  const withoutBrowser = await app.inject({
    url: `/authorize?client_id=${site.client_id}&redirect_uri=${site.redirect_uri}&response_type=code&code_challenge=${'a'.repeat(43)}&code_challenge_method=S256`,
    headers: { accept: 'application/json' },
  })
  const { request_id } = withoutBrowser.json()
  t.equal((await pageOf(app, request_id, headers)).statusCode, 403)
  t.equal(await statusOf(app, begunElsewhere.request_id), 'pending')
})

t.test('the page of choices is told in JSON what went wrong with a passkey', async (t) => {
  const { app, site, person } = await buildWorld(t)
  const opened = await open(app, site)
  const form = await readForm(app, person, opened)
  const accept = 'application/json'
  for (const [headers, status] of [
    [{ ...browserOf(person, opened), accept }, 200],
    [{ ...person.headers, cookie: opened.cookie, accept }, 403],
    [{ ...person.headers, accept }, 403],
  ] as const) {
    const answer = await send(app, '/account/consent/options', headers, form)
    t.equal(answer.statusCode, status)
    if (status !== 200)
      t.match(answer.json(), { error: 'access_denied', error_description: String })
  }
})

t.test('who is not signed in is led to the sign-in and back', async (t) => {
  const { app, site } = await buildWorld(t)
  const { request_id, cookie } = await open(app, site)
  const page = await pageOf(app, request_id, { cookie })
  t.equal(page.statusCode, 303)
  const { pathname, searchParams } = new URL(String(page.headers.location))
  t.equal(pathname, '/account/sign-in')
  t.equal(searchParams.get('next'), `account/consent?request_id=${request_id}`)
})

t.test('the waiting page leads to it in the browser that opened the request alone', async (t) => {
  const { app, site } = await buildWorld(t)
  const { code_challenge } = { code_challenge: 'a'.repeat(43) }
  const query = new URLSearchParams({
    client_id: site.client_id,
    redirect_uri: site.redirect_uri,
    response_type: 'code',
    code_challenge,
    code_challenge_method: 'S256',
  })
  const inBrowser = await app.inject({
    url: `/authorize?${query}`,
    headers: { accept: 'text/html' },
  })
  const [, request_id] = inBrowser.body.match(/request_id: '(req_[\w-]+)'/) ?? []
  t.match(
    decodeEntities(inBrowser.body),
    `<a href="account/consent?request_id=${request_id}" data-action="approve-as-owner">`,
  )
  t.notMatch((await app.inject(`/authorize?${query}`)).body, 'approve-as-owner')
})

t.test('RFC 6749 section 4.1.2.1: a refusal goes to the website as access_denied', async (t) => {
  const { app, site, person } = await buildWorld(t)
  const agent = await createAgent(app)
  const opened = await open(app, site)
  const headers = browserOf(person, opened)
  const { request_id } = opened
  const done = await send(app, '/account/consent/deny', headers, { request_id })
  t.equal(done.statusCode, 200)
  t.match(decodeEntities(done.body), 'href="https://site.example/callback?error=access_denied&')
  t.match(done.body, 'location.replace', 'the operator vouches for this website')
  t.equal((await authenticate(app, request_id, agent)).statusCode, 403, 'no agent can sign in')
  t.equal(await statusOf(app, request_id), 'error')
  t.equal((await send(app, '/account/consent/deny', headers, { request_id })).statusCode, 404)
  t.equal((await pageOf(app, request_id, headers)).statusCode, 404)

  const { client } = await app.registration.createClient(
    { client_name: 'Stranger', redirect_uris: ['https://stranger.example/'] },
    { origin: 'dynamic' },
  )
  const stranger = {
    ...client,
    client_secret: undefined,
    redirect_uri: 'https://stranger.example/',
  }
  const other = await open(app, stranger)
  const shown = await send(app, '/account/consent/deny', browserOf(person, other), {
    request_id: other.request_id,
  })
  t.match(decodeEntities(shown.body), 'href="https://stranger.example/?error=access_denied')
  t.notMatch(shown.body, '<script', 'RFC 9700 section 4.11.2: the person follows the link or not')
})

t.test('what is left out is not granted, and the token response says so', async (t) => {
  const { app, site, person } = await buildWorld(t)
  const api = await createApi(app)
  const other = await createApi(app, { uri: 'https://other.example/', scopes: ['see'] })
  const asked = { scope: 'openid read write see', resource: [api.uri, other.uri, ISSUER] }
  const tokens = await signInPerson(app, site, person, asked, { scope: ['read'] })
  t.equal(tokens.scope, 'openid read', 'RFC 6749 section 3.3')
  t.same(claimsOf(tokens.access_token).aud, [ISSUER, api.uri], 'an API without a scope is left out')
  const wider = await refresh(app, site, tokens.refresh_token, { scope: 'openid read write' })
  t.equal(wider.json().error, 'invalid_scope')

  const opened = await open(app, site, { scope: 'read', resource: api.uri })
  const nothing = await consent(app, person, opened, { scope: undefined })
  t.equal(nothing.statusCode, 400)
  t.match(nothing.body, 'at least one')
})

t.test('the sign-in lasts as long as the person chose', async (t) => {
  const { app, clock, site, person } = await buildWorld(t)
  const day = await signInPerson(app, site, person, {}, { lasts: '1-day' })
  t.equal(day.authorization_expires_in, 86_400)
  clock.advance(86_000)
  const next = (await refresh(app, site, day.refresh_token)).json()
  t.equal(next.expires_in, 400, 'no token outlives it')
  clock.advance(400)
  t.equal((await refresh(app, site, next.refresh_token)).json().error, 'invalid_grant')

  const again = await createPerson(app, 'again@example.com')
  const once = await signInPerson(
    app,
    site,
    again,
    { scope: 'email offline_access' },
    { lasts: 'once' },
  )
  t.notOk('refresh_token' in once)
  t.equal(once.scope, 'email')
  const long = await signInPerson(app, site, again, {}, { lasts: 'until-stopped' })
  t.notOk('authorization_expires_in' in long)
  t.ok(long.refresh_token)
})

t.test('policies hold for persons', async (t) => {
  const { app, site, person } = await buildWorld(t)
  const chosen = async (policy: Partial<AgentPolicy>) => {
    const { agent_id } = await createAgent(app)
    await app.store.owners.update(person.owner.owner_id, { email_verified: true })
    await app.policies.changeAgent(agent_id, policy)
    const opened = await open(app, site)
    return (await consent(app, person, opened, { agent: agent_id })).statusCode
  }
  t.equal(await chosen({ sites: 'list' }), 400)
  t.equal(await chosen({ sites: 'list', allowed_sites: ['site.example'] }), 200)
  t.equal(await chosen({ sites: 'ask' }), 200, 'the owner is who would be asked')
  t.equal(await chosen({ deliver: 'agent' }), 400)
  t.equal(await chosen({ allowed_models: ['claude-*'] }), 400)
  t.equal(await chosen({ refused_models: ['old-*'] }), 200)

  const { agent_id } = await createAgent(app)
  await app.store.owners.update(person.owner.owner_id, { email_verified: true })
  await app.registration.updateAgent(agent_id, { disabled_at: app.clock.now() })
  const opened = await open(app, site)
  t.equal((await consent(app, person, opened, { agent: agent_id })).statusCode, 400, 'disabled')

  await app.policies.changeClient(site.client_id, { allowed_models: ['claude-*'] })
  const page = await pageOf(app, opened.request_id, browserOf(person, opened))
  t.equal(page.statusCode, 403)
  t.match(page.body, 'only agents with certain models')
})

t.test(
  'OpenID Connect Core section 5.1: an address that nobody verified is told as such',
  async (t) => {
    const { app, site } = await buildWorld(t)
    const person = await createPerson(app, 'new@example.com', { email_verified: false })
    const { id_token } = await signInPerson(app, site, person, { scope: 'openid email' })
    t.match(claimsOf(id_token), { email: 'new@example.com', email_verified: false })
  },
)

t.test('a name that is HTML is text', async (t) => {
  const { app, person } = await buildWorld(t)
  const site = await createSite(app, { client_name: '<img src=x onerror=alert(1)>' })
  const opened = await open(app, site)
  const page = await pageOf(app, opened.request_id, browserOf(person, opened))
  t.equal(page.statusCode, 200)
  t.notMatch(page.body, '<img')
})

t.test('an issuer that is an address says that nobody can consent', async (t) => {
  const app = await build(t, { ISSUER: 'http://127.0.0.1:3000' })
  const site = await createSite(app)
  const { headers } = await signInOwner(app)
  const { request_id, cookie } = await open(app, site)
  const page = await pageOf(app, request_id, { ...headers, cookie: `${headers.cookie}; ${cookie}` })
  t.equal(page.statusCode, 200)
  t.match(page.body, 'there are no passkeys')
  t.notMatch(page.body, 'data-action="approve"')
})

t.test('of an agent and a person who race for one request, one signs in', async (t) => {
  const { app, site, person } = await buildWorld(t)
  const agent = await createAgent(app)
  const opened = await open(app, site)
  const headers = browserOf(person, opened)
  const form = await readForm(app, person, opened)
  const options = await send(app, '/account/consent/options', headers, form)
  const passkey = JSON.stringify(person.passkey.get(options.json()))
  const answers = await Promise.all([
    send(app, '/account/consent', headers, { ...form, passkey }),
    authenticate(app, opened.request_id, agent),
    send(app, '/account/consent/deny', headers, { request_id: opened.request_id }),
  ])
  t.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 1)
  t.ok((await app.store.grants.list({})).length <= 1)
})

t.test('what a person signed in to ends with the person', async (t) => {
  const { app, clock, site, person } = await buildWorld(t)
  const { access_token, refresh_token } = await signInPerson(app, site, person, { scope: 'email' })
  await app.store.owners.update(person.owner.owner_id, { disabled_at: clock.now() })
  t.equal((await refresh(app, site, refresh_token)).json().error, 'invalid_grant')
  const told = (await post(app, '/introspect', site, { token: access_token })).json()
  t.same(told, { active: false })
})
