import t from 'tap'
import { invite, origin } from '../account/owner.ts'
import {
  build,
  createAgent,
  createApi,
  createKeyedAgent,
  createSite,
  refresh,
  signIn,
} from '../harness.ts'
import { browserOf, readForm, readText } from './console.ts'

async function setScene(t: Parameters<typeof build>[0]) {
  const app = await build(t)
  const { owner_id, cookie } = await invite(app, 'op@example.com', { operator: true })
  const browser = browserOf(app, { headers: { cookie, origin: origin(app) } })
  /** Sends the form of a page with a change. */
  const submit = async (path: string, change: Record<string, string> = {}) => {
    const page = await browser.get(path)
    t.equal(page.statusCode, 200, path)
    return browser.post(path, { ...readForm(page.body), ...change })
  }
  /** What the trail says that this operator did. */
  const trail = async () => {
    const events = await app.store.events.page({ owner_id, limit: 100 })
    return events
      .map(({ event, outcome }) => `${event} ${outcome}`)
      .filter((each) => each !== 'owner invitation_accepted')
  }
  return { app, owner_id, ...browser, submit, trail }
}

t.test('a website is registered, changed, given a new secret, stopped and deleted', async (t) => {
  const { app, submit, trail, get } = await setScene(t)
  const made = await submit('/console/websites/new', {
    client_name: 'Shop & <b>Co</b>',
    redirect_uris: 'https://shop.example/callback\r\nhttps://shop.example/other\r\n',
    scope: 'openid email',
  })
  const [client_secret = ''] = made.body.match(/cs_[\w-]+/) ?? []
  const [client_id = ''] = made.body.match(/client_(?!secret|id)[\w-]+/) ?? []
  t.match(await app.store.clients.find(client_id), {
    client_name: 'Shop & <b>Co</b>',
    redirect_uris: ['https://shop.example/callback', 'https://shop.example/other'],
    scope: 'openid email',
    origin: 'operator',
    legacy_polling: true,
    token_endpoint_auth_method: 'client_secret_basic',
  })
  const site = { client_id, client_secret, redirect_uri: 'https://shop.example/callback' }
  const agent = await createAgent(app)
  t.ok((await signIn(app, site, agent)).access_token, 'the secret that was shown is good')

  const at = `/console/websites/${client_id}`
  t.notMatch((await get(at)).body, '<b>Co</b>', 'a name is shown and not run')
  const changes = {
    client_name: 'Shop',
    redirect_uris: 'https://shop.example/callback',
    grant_types: 'authorization_code\nrefresh_token\nclient_credentials',
    scope: '',
    legacy_polling: '',
    id_token_signed_response_alg: 'ES256',
    refresh_reuse: 'strict',
    refresh_reuse_grace: '7',
  }
  t.match((await submit(`${at}/edit`, changes)).headers.location, `${at}?done=changed`)
  t.match(await app.store.clients.find(client_id), {
    client_name: 'Shop',
    redirect_uris: ['https://shop.example/callback'],
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    scope: null,
    legacy_polling: false,
    id_token_signed_response_alg: 'ES256',
    refresh_reuse: 'strict',
    refresh_reuse_grace: 7,
  })
  t.match((await submit(`${at}/edit`)).headers.location, `${at}?done=same`)
  await submit(`${at}/models`, { allowed_models: 'claude-*' })
  t.match(await app.policies.ofClient(client_id), { allowed_models: ['claude-*'] })
  await submit(`${at}/models`, { allowed_models: '' })

  const tokens = await signIn(app, site, agent)
  const rotated = await submit(`${at}/secret`, { overlap: '3600' })
  t.match(rotated.body, /cs_[\w-]+/)
  t.equal((await refresh(app, site, tokens.refresh_token)).statusCode, 200, 'the overlap')
  const both = await submit(`${at}/secret`, { overlap: '1', compromised: 'yes' })
  t.equal(both.statusCode, 400)

  await submit(`${at}/disable`)
  t.ok((await app.store.clients.find(client_id))?.disabled_at)
  await submit(`${at}/enable`)
  t.match(await app.store.clients.find(client_id), { disabled_at: null })
  t.match((await submit(`${at}/delete`)).headers.location, 'console/websites?done=deleted')
  t.equal(await app.store.clients.find(client_id), undefined)
  t.same((await trail()).toReversed().slice(1), [
    'client created',
    'client changed',
    'policy changed',
    'policy changed',
    'client secret_rotated',
    'client disabled',
    'client enabled',
    'client deleted',
  ])
})

t.test('websites without a secret, and with keys, are registered', async (t) => {
  const { app, submit } = await setScene(t)
  const base = { client_name: 'App', redirect_uris: 'http://localhost/callback' }
  const key =
    '{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}'
  for (const [change, wanted] of [
    [{ authentication: 'public' }, { token_endpoint_auth_method: 'none', legacy_polling: false }],
    [
      { authentication: 'keys', jwks_uri: 'https://app.example/jwks.json' },
      { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: 'https://app.example/jwks.json' },
    ],
    [{ authentication: 'keys', jwks: key }, { jwks: JSON.parse(key) }],
  ] as const) {
    const answer = await submit('/console/websites/new', { ...base, ...change })
    const [, id = ''] = String(answer.headers.location).match(/(client_[\w-]+)\?/) ?? []
    t.match(await app.store.clients.find(id), wanted)
  }
  const refused: Record<string, string>[] = [
    { client_name: '' },
    { redirect_uris: 'http://shop.example/' },
    { redirect_uris: '' },
    { authentication: 'keys' },
    { authentication: 'keys', jwks: 'x' },
    { authentication: 'none' },
    { refresh_reuse_grace: '-1' },
    { default_resource: 'https://unknown.example' },
    { scope: '"' },
    { grant_types: 'password' },
  ]
  for (const change of refused) {
    const answer = await submit('/console/websites/new', { ...base, ...change })
    t.equal(answer.statusCode, 400, JSON.stringify(change))
    t.match(answer.body, 'Nothing was changed')
  }
  t.equal((await submit('/console/websites/new', base)).statusCode, 200, 'a good one still is')
})

t.test('what another operator changed since a form was shown stays', async (t) => {
  const { app, get, post } = await setScene(t)
  const { client_id } = await createSite(app)
  const path = `/console/websites/${client_id}/edit`
  const form = readForm((await get(path)).body)
  await app.registration.updateClient(client_id, { scope: 'openid' })
  await post(path, { ...form, client_name: 'New name' })
  t.match(await app.store.clients.find(client_id), { client_name: 'New name', scope: 'openid' })
})

t.test('an agent is registered, changed, and loses what it had', async (t) => {
  const { app, submit, trail } = await setScene(t)
  const made = await submit('/console/agents/new', { email: 'ann@example.com', name: 'Max' })
  t.match(made.body, /ags_[\w-]+/)
  const [agent_id = ''] = made.body.match(/agent_(?!secret|id)[\w-]+/) ?? []
  const at = `/console/agents/${agent_id}`
  await submit(`${at}/edit`, { email: 'bob@example.com', email_verified: 'yes', name: 'Moritz' })
  t.match(await app.store.agents.find(agent_id), {
    email: 'bob@example.com',
    email_verified: true,
    name: 'Moritz',
  })
  await submit(`${at}/policy`, { sites: 'ask', deliver: 'agent' })
  t.match(await app.policies.ofAgent(agent_id), { sites: 'ask', deliver: 'agent' })
  t.match((await submit(`${at}/secret`)).body, /ags_[\w-]+/)
  t.match((await submit(`${at}/add-key`, { from: 'made' })).body, /&#34;d&#34;/)
  const [key] = await app.agentKeys.list(agent_id)
  t.ok(key)
  await submit(`${at}/remove-key`)
  t.same(await app.agentKeys.list(agent_id), [])
  t.equal((await submit(`${at}/forget`, { client_id: 'client_x' })).statusCode, 404)
  await submit(`${at}/disable`)
  t.ok((await app.store.agents.find(agent_id))?.disabled_at)
  await submit(`${at}/enable`)
  await submit(`${at}/delete`)
  t.equal(await app.store.agents.find(agent_id), undefined)
  for (const word of ['created', 'changed', 'secret_rotated', 'disabled', 'enabled', 'deleted']) {
    t.ok((await trail()).includes(`agent ${word}`), word)
  }
  t.ok((await trail()).includes('key removed'))
  t.ok((await trail()).includes('policy changed'))
})

t.test('owners are invited, made operators, signed out, disabled and deleted', async (t) => {
  const { app, owner_id, submit, trail, get } = await setScene(t)
  const invited = await submit('/console/owners/invite', { email: 'ann@example.com' })
  t.match(invited.body, /account\/invitation\?token&#61;inv_/)
  const ann = await app.store.owners.findByEmail('ann@example.com')
  const at = `/console/owners/${ann?.owner_id}`
  t.match((await get(at)).body, 'ann@example.com')
  await submit(`${at}/operator`)
  await submit(`${at}/verify`)
  t.match(await app.store.owners.findByEmail('ann@example.com'), {
    operator: true,
    email_verified: true,
  })
  await submit(`${at}/operator`)
  t.match(await app.store.owners.findByEmail('ann@example.com'), { operator: false })
  await submit(`${at}/sign-out`)
  await submit(`${at}/disable`, { agents: 'yes' })
  t.ok((await app.store.owners.findByEmail('ann@example.com'))?.disabled_at)
  await submit(`${at}/enable`)
  await submit(`${at}/delete`)
  t.equal(await app.store.owners.findByEmail('ann@example.com'), undefined)
  for (const word of ['operator', 'disable', 'delete']) {
    const own = `/console/owners/${owner_id}/${word}`
    const refused = await submit(own)
    t.equal(refused.statusCode, 403, word)
    t.match(refused.body, 'the last operator')
  }
  t.equal((await get('/console')).statusCode, 200)
  const wanted = ['invited', 'made_operator', 'verified', 'no_operator', 'signed_out']
  for (const word of [...wanted, 'disabled', 'enabled', 'deleted']) {
    t.ok((await trail()).includes(`owner ${word}`), word)
  }
})

t.test('APIs, registration tokens and keys are managed', async (t) => {
  const { app, submit, trail, get } = await setScene(t)
  const made = await submit('/console/resources/new', {
    uri: 'https://api.example/mcp',
    scopes: 'read\nwrite',
  })
  t.match(made.body, /rss_[\w-]+/)
  const [resource] = await app.store.resources.list()
  const at = `/console/resources/${resource?.resource_id}`
  await submit(`${at}/edit`, { name: 'The API', scopes: 'read', open_to: 'anyone' })
  t.match(await app.store.resources.list(), [
    { name: 'The API', scopes: ['read'], open_to: 'anyone' },
  ])
  t.match((await submit(`${at}/secret`)).body, /rss_[\w-]+/)
  await submit(`${at}/delete`)
  t.same(await app.store.resources.list(), [])

  const token = await submit('/console/tokens/new', { name: 'Bob', expires_in: '60' })
  t.match(token.body, /iat_[\w-]+/)
  const [stored] = await app.store.initialAccessTokens.list()
  t.match(stored, { name: 'Bob', expires_at: (stored?.created_at ?? 0) + 60 })
  t.match((await get('/console/tokens')).body, 'Bob')
  await submit(`/console/tokens/${stored?.token_id}/delete`)
  t.same(await app.store.initialAccessTokens.list(), [])

  const before = await app.keys.active()
  await submit('/console/keys/rotate')
  t.equal((await app.keys.active()).kid, before.kid, 'the next one waits for verifiers')
  await submit('/console/keys/rotate', { when: 'now' })
  t.not((await app.keys.active()).kid, before.kid)
  t.match((await get('/console/keys')).body, before.kid)
  t.same((await trail()).toReversed().slice(1), [
    'resource created',
    'resource changed',
    'resource secret_rotated',
    'resource deleted',
    'registration_token created',
    'registration_token deleted',
    'signing_key rotated',
    'signing_key rotated',
  ])
})

t.test('the overview counts sign-ins, and names what needs attention', async (t) => {
  const { app, get } = await setScene(t)
  const site = await createSite(app, { client_name: 'Paper & Pine' })
  const agent = await createKeyedAgent(app)
  await signIn(app, site, agent)
  const { client_id } = await createSite(app)
  await app.registration.updateClient(client_id, { disabled_at: app.clock.now() })
  const body = readText((await get('/console')).body)
  t.match(body, /Paper & Pine<\/bdi><\/th><td class="number">1</)
  t.match(body, /“test-model”<\/bdi><\/th><td class="number">1</)
  t.match(body, 'Mail is not set')
  t.match(body, 'One website is disabled')
  t.match(body, 'has only one passkey')
})

t.test('the audit trail is filtered, paged and exported', async (t) => {
  const { app, get, owner_id } = await setScene(t)
  const now = app.clock.now()
  for (let index = 0; index < 45; index += 1) {
    const client_id = index % 2 === 0 ? 'client_even' : 'client_odd'
    await app.audit.record({ event: 'sign_in', outcome: 'granted', client_id, agent_id: 'agent_a' })
  }
  await app.audit.record({ event: 'policy', outcome: 'changed', detail: '=1+1' })
  const first = await get('/console/history')
  const [, next = ''] = first.body.match(/rel="next" href="([^"]*)"/) ?? []
  t.match((await get(`/${readText(next)}`)).body, 'Sign-in: granted')
  const count = async (query: string) => {
    const { body } = await get(`/console/history/export?format=json&${query}`)
    return JSON.parse(body).length
  }
  t.equal(await count('event=sign_in'), 45)
  t.equal(await count('client_id=client_odd'), 22)
  t.equal(await count('agent_id=agent_a&event=sign_in'), 45)
  t.equal(await count('outcome=changed'), 1)
  t.equal(await count(`owner_id=${owner_id}&event=sign_in`), 0)
  const tomorrow = new Date((now + 86_400) * 1000).toISOString().slice(0, 10)
  t.equal(await count(`from=${tomorrow}`), 0)
  const csv = await get('/console/history/export?format=csv')
  t.match(csv.headers['content-disposition'], 'audit-trail-utc.csv')
  t.match(csv.body, "'=1+1", 'no spreadsheet takes it for a formula')
})

t.test('lists are paged and searched by how names begin', async (t) => {
  const { app, get } = await setScene(t)
  for (let index = 0; index < 55; index += 1) {
    await createSite(app, { client_name: index === 3 ? 'Zebra' : `Site ${index}` })
  }
  const first = await get('/console/websites')
  const [, next = ''] = first.body.match(/rel="next" href="([^"]*)"/) ?? []
  const second = await get(`/${readText(next)}`)
  const names = (body: string) => body.match(/<bdi>(Site \d+|Zebra)<\/bdi>/g) ?? []
  t.equal(new Set([...names(first.body), ...names(second.body)]).size, 55)
  t.same(names((await get('/console/websites?search=zEb')).body), ['<bdi>Zebra</bdi>'])
  t.equal(names((await get('/console/websites?search=ite')).body).length, 0, 'from its beginning')
  t.equal(names((await get('/console/websites?search=Site')).body).length, 50)
  await createAgent(app, 'ann@example.com')
  t.match((await get('/console/agents?search=ANN')).body, 'ann@example.com')
  const { client_id } = await createApi(app)
  t.match((await get('/console/resources')).body, client_id)
})
