import t, { type Test } from 'tap'
import type { NewClient } from '../../plugins/core/registry/registration.ts'
import {
  authorizeAsPerson,
  buildWorld,
  claimsOf,
  codeOf,
  consent,
  createPerson,
  signInPerson,
} from '../account/consent-world.ts'
import {
  createAgent,
  createApi,
  open,
  type Parameters,
  redeem,
  refresh,
  signIn,
} from '../harness.ts'

/*
 * OpenID Connect Core section 3.1.2.1 with a person who is signed in here, as the OpenID Foundation's
 * conformance suite tries it.
 */

const asked = { scope: 'openid email' }
const remember = { remember: 'yes', lasts: 'until-stopped' }

/** A person who has consented and had it remembered, a hundred seconds ago. */
async function buildRemembered(t: Test) {
  const world = await buildWorld(t)
  const { app, clock, site, person } = world
  const first = await signInPerson(app, site, person, asked, remember)
  const before = claimsOf(first.id_token)
  clock.advance(100)
  const again = async (change: Parameters = {}) => {
    const { answer, response, code_verifier } = await authorizeAsPerson(app, site, person, {
      ...asked,
      ...change,
    })
    const code = answer?.code
    if (code === undefined) return { answer, response, claims: undefined }
    const tokens = (await redeem(app, site, { code, code_verifier })).json()
    return { answer, response, claims: claimsOf(tokens.id_token), tokens }
  }
  return { ...world, id_token: first.id_token, before, again }
}

t.test('prompt-none-logged-in: a code without a page, same sub, same auth_time', async (t) => {
  const { app, before, again } = await buildRemembered(t)
  const { answer, response, claims } = await again({ prompt: 'none', nonce: 'n' })
  t.equal(response.statusCode, 303)
  t.match(answer, { state: 'the state', iss: app.settings.ISSUER })
  t.match(claims, { sub: before.sub, auth_time: before.auth_time, nonce: 'n', acr: 'phr' })
  const [event] = await app.store.events.list({ limit: 1 })
  t.match(event, { event: 'sign_in', method: 'session', owner_id: String })
})

t.test('prompt-none-not-logged-in: login_required', async (t) => {
  const { app, site, person, again } = await buildRemembered(t)
  const nobody = { ...person, headers: { ...person.headers, cookie: 'x=y' } }
  const { answer } = await authorizeAsPerson(app, site, nobody, { ...asked, prompt: 'none' })
  t.match(answer, { error: 'login_required', state: 'the state' })
  t.ok((await again({ prompt: 'none' })).claims, 'the good request still works')
})

t.test('id-token-hint: of this subject a code, of another login_required', async (t) => {
  const { app, site, id_token, before, again } = await buildRemembered(t)
  const mine = await again({ prompt: 'none', id_token_hint: id_token })
  t.match(mine.claims, { sub: before.sub, auth_time: before.auth_time })
  const other = await createPerson(app, 'other@example.com')
  const theirs = await signInPerson(app, site, other, asked, remember)
  const { answer } = await again({ prompt: 'none', id_token_hint: theirs.id_token })
  t.equal(answer?.error, 'login_required')
  const page = await again({ id_token_hint: theirs.id_token })
  t.equal(page.response.statusCode, 200, 'without prompt=none it waits for the other')
})

t.test('max-age: within it nobody is asked and auth_time stays, else it moves', async (t) => {
  const { app, clock, site, person, before, again } = await buildRemembered(t)
  for (const max_age of ['10000', '100']) {
    const { claims } = await again({ max_age })
    t.match(claims, { sub: before.sub, auth_time: before.auth_time }, max_age)
  }
  for (const max_age of ['1', '0', '99']) {
    t.equal((await again({ max_age })).response.statusCode, 200, `${max_age}: a page`)
    const { answer } = await again({ max_age, prompt: 'none' })
    t.equal(answer?.error, 'login_required', `${max_age} with prompt=none`)
  }
  const opened = await open(app, site, { ...asked, max_age: '1' })
  const code = codeOf(await consent(app, person, opened))
  const { code_verifier } = opened
  const tokens = (await redeem(app, site, { code, code_verifier })).json()
  t.equal(claimsOf(tokens.id_token).auth_time, clock.now(), 'auth_time moves')
  clock.goBack(50)
  t.equal((await again({ max_age: '10000' })).response.statusCode, 200, 'a time that is to come')
})

t.test('prompt=login, consent and select_account ask each time', async (t) => {
  const { app, clock, site, person, again } = await buildRemembered(t)
  for (const prompt of ['login', 'consent', 'select_account', 'login consent']) {
    t.equal((await again({ prompt })).response.statusCode, 200, prompt)
    clock.advance(10)
    const tokens = await signInPerson(app, site, person, { ...asked, prompt })
    t.equal(claimsOf(tokens.id_token).auth_time, clock.now(), `${prompt}: auth_time moves`)
  }
  t.equal((await again({ prompt: 'none login' })).answer?.error, 'invalid_request')
  t.ok((await again()).claims, 'the good request still works')
})

t.test('consent_required: for what was never consented to, or more than that', async (t) => {
  const { app, again } = await buildRemembered(t)
  const api = await createApi(app)
  const more: Parameters[] = [
    { scope: 'openid email profile' },
    { scope: 'openid email offline_access' },
    { scope: 'openid email', resource: api.uri },
    { scope: 'openid email read', resource: [api.uri, app.settings.ISSUER] },
  ]
  for (const change of more) {
    const name = JSON.stringify(change)
    t.equal((await again({ ...change, prompt: 'none' })).answer?.error, 'consent_required', name)
    t.equal((await again(change)).response.statusCode, 200, `${name}: asks again`)
  }
  t.ok((await again({ scope: 'openid', prompt: 'none' })).claims, 'less needs no page')
})

t.test('a consent that was not remembered needs a page each time', async (t) => {
  const { app, site, person } = await buildWorld(t)
  await signInPerson(app, site, person, asked)
  const none = await authorizeAsPerson(app, site, person, { ...asked, prompt: 'none' })
  t.equal(none.answer?.error, 'consent_required')
  t.equal((await authorizeAsPerson(app, site, person, asked)).response.statusCode, 200)
})

t.test('OAuth 2.1 section 7.3.1: only clients that are known go on without a page', async (t) => {
  const { app, person } = await buildWorld(t)
  const none = { token_endpoint_auth_method: 'none' }
  const https = ['https://site.example/callback']
  const rows: [string, NewClient, 'operator' | 'dynamic', boolean][] = [
    ['a client with a secret', { client_name: 'A', redirect_uris: https }, 'operator', true],
    [
      'one that registered itself, with a secret',
      { client_name: 'B', redirect_uris: https },
      'dynamic',
      true,
    ],
    [
      'a public one of the operator',
      { client_name: 'C', redirect_uris: https, ...none },
      'operator',
      true,
    ],
    [
      'a public one that registered itself',
      { client_name: 'D', redirect_uris: https, ...none },
      'dynamic',
      false,
    ],
    [
      'a loopback',
      { client_name: 'E', redirect_uris: ['http://127.0.0.1/cb'], ...none },
      'operator',
      false,
    ],
    [
      'a loopback with a secret',
      { client_name: 'F', redirect_uris: ['http://localhost/cb'] },
      'operator',
      false,
    ],
    [
      'a loopback with https',
      { client_name: 'G', redirect_uris: ['https://localhost/cb'] },
      'operator',
      false,
    ],
  ]
  for (const [name, given, origin, silent] of rows) {
    const { client, client_secret } = await app.registration.createClient(given, { origin })
    const redirect_uri = client.redirect_uris[0] ?? ''
    const site = { client_id: client.client_id, client_secret, redirect_uri }
    const opened = await open(app, site, asked)
    const done = await consent(app, person, opened, silent ? remember : {})
    t.equal(done.statusCode, 200, name)
    if (!silent) {
      const refused = await consent(app, person, await open(app, site, asked), remember)
      t.equal(refused.statusCode, 400, `${name}: cannot be remembered`)
    }
    const { answer, response } = await authorizeAsPerson(app, site, person, {
      ...asked,
      prompt: 'none',
    })
    if (silent) t.ok(answer?.code, name)
    else if (origin === 'operator') t.equal(answer?.error, 'interaction_required', name)
    else t.equal(response.statusCode, 400, `${name}: its errors are shown`)
  }
})

t.test('what is remembered ends with what it relied on', async (t) => {
  const ends: [string, (world: Awaited<ReturnType<typeof buildRemembered>>) => Promise<unknown>][] =
    [
      [
        'the owner forgets the site',
        ({ app, person, site }) => app.store.consents.forget(person.owner.owner_id, site.client_id),
      ],
      [
        'the owner stops the site',
        ({ app, person, site }) => {
          const which = { owner_id: person.owner.owner_id, client_id: site.client_id }
          const event = app.audit.toRow({ event: 'owner', outcome: 'stopped' })
          return app.store.grants.stop(which, false, event)
        },
      ],
      [
        'the agent is disabled',
        async ({ app, clock, before }) =>
          app.registration.updateAgent(String(before.sub), { disabled_at: clock.now() }),
      ],
      [
        'the agent may sign in to listed sites alone',
        ({ app, before }) => app.policies.changeAgent(String(before.sub), { sites: 'list' }),
      ],
      [
        'the site accepts only certain models',
        ({ app, site }) => app.policies.changeClient(site.client_id, { allowed_models: ['m'] }),
      ],
      [
        'the site knows owners instead of agents',
        ({ app, site }) => app.registration.updateClient(site.client_id, { subject: 'owner' }),
      ],
      [
        'the site was disabled for a while',
        async ({ app, clock, site }) => {
          await app.registration.updateClient(site.client_id, { disabled_at: clock.now() })
          await app.registration.updateClient(site.client_id, { disabled_at: null })
        },
      ],
      [
        'the agent is deleted',
        ({ app, before, clock }) => app.store.agents.delete(String(before.sub), clock.now()),
      ],
    ]
  for (const [name, end] of ends) {
    const world = await buildRemembered(t)
    t.ok((await world.again({ prompt: 'none' })).claims)
    await end(world)
    t.equal((await world.again({ prompt: 'none' })).answer?.error, 'consent_required', name)
    t.equal((await world.again()).response.statusCode, 200, `${name}: a page`)
  }
  const world = await buildRemembered(t)
  await world.app.store.owners.update(world.person.owner.owner_id, {
    disabled_at: world.clock.now(),
  })
  t.equal((await world.again({ prompt: 'none' })).answer?.error, 'login_required')
})

t.test('a stranger that changes its name is asked for again', async (t) => {
  const { app, person } = await buildWorld(t)
  const given = { client_name: 'Nice', redirect_uris: ['https://site.example/callback'] }
  const { client, client_secret } = await app.registration.createClient(given, {
    origin: 'dynamic',
  })
  const { client_id } = client
  const site = { client_id, client_secret, redirect_uri: 'https://site.example/callback' }
  await signInPerson(app, site, person, asked, remember)
  t.ok((await authorizeAsPerson(app, site, person, asked)).answer?.code)
  await app.registration.updateClient(client_id, { client_name: 'Nasty' }, 'client')
  t.equal((await authorizeAsPerson(app, site, person, asked)).response.statusCode, 200)
})

t.test(
  'what is remembered lasts as long as the person chose, and so does what comes of it',
  async (t) => {
    const { app, clock, site, person } = await buildWorld(t)
    await signInPerson(app, site, person, asked, { remember: 'yes', lasts: '1-day' })
    clock.advance(80_000)
    const { answer, code_verifier } = await authorizeAsPerson(app, site, person, asked)
    const tokens = (await redeem(app, site, { code: answer?.code ?? '', code_verifier })).json()
    t.equal(tokens.authorization_expires_in, 6400)
    clock.advance(6400)
    t.equal((await authorizeAsPerson(app, site, person, asked)).response.statusCode, 200)
    t.equal((await refresh(app, site, tokens.refresh_token)).statusCode, 400)
  },
)

t.test('a session that no passkey began goes on nowhere by itself', async (t) => {
  const { app, site, person, again } = await buildRemembered(t)
  let cookie = ''
  const reply = { header: (_: string, value: string) => (cookie = value.split(';')[0] ?? '') }
  const { owner_id } = person.owner
  await app.sessions.start(owner_id, 'mail', { headers: {}, ip: '192.0.2.1' }, reply as never)
  const mailed = { ...person, headers: { ...person.headers, cookie } }
  const { answer } = await authorizeAsPerson(app, site, mailed, { ...asked, prompt: 'none' })
  t.equal(answer?.error, 'login_required')
  t.ok((await again({ prompt: 'none' })).claims)
})

t.test('login_hint preselects an agent', async (t) => {
  const { app, site, person } = await buildWorld(t)
  await createAgent(app)
  const { agent_id } = await createAgent(app)
  await app.store.owners.update(person.owner.owner_id, { email_verified: true })
  const tokens = await signInPerson(app, site, person, { ...asked, login_hint: agent_id })
  t.equal(claimsOf(tokens.id_token).sub, agent_id)
  t.ok(await signInPerson(app, site, person, { ...asked, login_hint: 'nobody we know' }))
})

t.test('acr_values, display, ui_locales and claims change nothing', async (t) => {
  const { again } = await buildRemembered(t)
  for (const change of [{ acr_values: 'urn:x' }, { display: 'popup' }, { claims: '{}' }]) {
    t.ok((await again({ ...change, prompt: 'none' })).claims, JSON.stringify(change))
  }
})

t.test(
  'an agent in a browser where nobody is signed in waits and signs in as before',
  async (t) => {
    const { app, site } = await buildWorld(t)
    const agent = await createAgent(app)
    for (const change of [{ prompt: 'login' }, { max_age: '0' }, {}]) {
      const tokens = await signIn(app, site, agent, { ...asked, ...change })
      t.match(claimsOf(tokens.id_token), { sub: agent.agent_id, amr: ['agent_secret'] })
    }
  },
)

t.test(
  'with response_mode=form_post the code comes in a form, without a page to answer',
  async (t) => {
    const { site, again } = await buildRemembered(t)
    const { response } = await again({ response_mode: 'form_post' })
    t.equal(response.statusCode, 200)
    t.match(response.body, `action="${site.redirect_uri}"`)
    t.match(response.body, 'name="code"')
  },
)

t.test('RP-Initiated Logout 1.0: after it, prompt=none finds nobody signed in', async (t) => {
  const { app, id_token, person, again } = await buildRemembered(t)
  const other = await createPerson(app, 'other@example.com')
  const url = `/logout?id_token_hint=${id_token}`
  await app.inject({ url, headers: { ...other.headers, accept: 'text/html' } })
  t.equal((await app.inject({ url: '/account', headers: other.headers })).statusCode, 200)
  t.ok((await again({ prompt: 'none' })).claims, 'in another browser nothing ends')
  await app.inject({ url, headers: { ...person.headers, accept: 'text/html' } })
  t.match((await again({ prompt: 'none' })).answer, { error: 'login_required' })
})
