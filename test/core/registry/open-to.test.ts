import { decodeJwt } from 'jose'
import t, { type Test } from 'tap'
import {
  authorizeQuery,
  build,
  createAgent,
  createApi,
  createSite,
  encode,
  getCode,
  type Parameters,
  pkce,
  redeem,
  refresh,
  type Site,
  signIn,
  startWeb,
} from '../../harness.ts'

const CLOSED = 'https://closed.example/mcp'
const OPEN = 'https://open.example/mcp'
const redirect_uris = ['https://shop.example/callback']
const grant_types = ['authorization_code', 'refresh_token']

/** Two APIs, and a client of each origin. */
async function createWorld(t: Test) {
  const web = await startWeb(t)
  const app = await build(t, { DYNAMIC_REGISTRATION: 'open' }, { network: web.network })
  const closed = await createApi(app, { uri: CLOSED, scopes: ['pay', 'both'] })
  const opened = await createApi(app, { uri: OPEN, scopes: ['tools', 'both'], open_to: 'anyone' })
  const client_id = web.url('client.example', '/client.json')
  web.serveJson('/client.json', { client_id, client_name: 'Shop', redirect_uris, grant_types })
  const registered = await app.inject({
    method: 'POST',
    url: '/register',
    payload: { redirect_uris, grant_types, token_endpoint_auth_method: 'none' },
  })
  const strangers: [string, Site][] = [client_id, registered.json().client_id].map((id) => [
    id === client_id ? 'a metadata document' : 'a client that registered itself',
    { client_id: id, client_secret: undefined, redirect_uri: redirect_uris[0] ?? '' },
  ])
  /** What /authorize answers, as JSON. */
  const ask = async (site: Site, change: Parameters) => {
    const query = encode(authorizeQuery(site, pkce().code_challenge, change))
    const headers = { accept: 'application/json' }
    return (await app.inject({ url: `/authorize?${query}`, headers })).json()
  }
  const agent = await createAgent(app, undefined, { sites: 'any' })
  return { app, closed, opened, strangers, ask, agent, site: await createSite(app) }
}

const refused = {
  error: 'invalid_target',
  error_description: 'This API is open only to clients that the operator of this server registered',
}

t.test('a client that the operator did not register gets at no API that is not open', async (t) => {
  const { strangers, ask, site } = await createWorld(t)
  const cases: [string, Parameters, expected: object][] = [
    ['by its URI', { resource: CLOSED }, refused],
    ['by its URI with its scope', { resource: CLOSED, scope: 'pay' }, refused],
    ['beside an open one', { resource: [OPEN, CLOSED], scope: 'tools pay' }, refused],
    ['by its scope alone', { scope: 'pay' }, refused],
    ['by its scope beside ours', { scope: 'openid email pay' }, refused],
    ['by its scope beside that of an open one', { scope: 'tools pay' }, refused],
    ['an open one', { resource: OPEN, scope: 'tools' }, { resource: [OPEN], scope: 'tools' }],
    ['an open one by its scope', { scope: 'tools' }, { resource: [OPEN], scope: 'tools' }],
    ['a scope of both', { scope: 'both' }, { resource: [OPEN], scope: 'both' }],
    [
      'its scope at an open one',
      { resource: OPEN, scope: 'tools pay' },
      { resource: [OPEN], scope: 'tools' },
    ],
    ['none', {}, { resource: [], scope: 'email' }],
  ]
  for (const [name, change, expected] of cases) {
    for (const [kind, stranger] of strangers) {
      t.match(await ask(stranger, change), expected, `${kind}: ${name}`)
    }
  }
  const all = { resource: [OPEN, CLOSED], scope: 'tools pay' }
  t.match(await ask(site, all), all, 'a client of the operator gets at both')
  t.match(await ask(site, { scope: 'pay' }), { resource: [CLOSED] })
})

t.test('an API that is closed again is closed to the sign-ins that there are', async (t) => {
  const { app, opened, strangers, agent, site } = await createWorld(t)
  const change = { resource: OPEN, scope: 'email tools' }
  for (const [kind, stranger] of strangers) {
    const resource_id = opened.client_id
    await app.registration.updateResource(resource_id, { open_to: 'anyone' })
    const code = await getCode(app, stranger, agent, change)
    const tokens = await signIn(app, stranger, agent, change)
    const own = await signIn(app, site, agent, change)
    await app.registration.updateResource(resource_id, { open_to: 'registered' })
    for (const answer of [
      await redeem(app, stranger, code),
      await redeem(app, stranger, code, { resource: OPEN }),
      await refresh(app, stranger, tokens.refresh_token),
      await refresh(app, stranger, tokens.refresh_token, { resource: OPEN }),
      await refresh(app, stranger, tokens.refresh_token, { scope: 'email' }),
    ]) {
      t.equal(answer.statusCode, 400, kind)
      t.match(answer.json(), refused, kind)
    }
    t.equal((await refresh(app, site, own.refresh_token)).statusCode, 200)

    await app.registration.updateResource(resource_id, { open_to: 'anyone' })
    const again = await refresh(app, stranger, tokens.refresh_token)
    t.equal(decodeJwt(again.json().access_token).aud, OPEN, `${kind}: and open to them again`)
  }
})

t.test('of several APIs, those that are still open stay', async (t) => {
  const { app, closed, strangers, agent } = await createWorld(t)
  const [, [, stranger] = []] = strangers
  if (stranger === undefined) throw new Error('no stranger')
  await app.registration.updateResource(closed.client_id, { open_to: 'anyone' })
  const both = { resource: [OPEN, CLOSED], scope: 'tools pay' }
  const tokens = await signIn(app, stranger, agent, both)
  await app.registration.updateResource(closed.client_id, { open_to: 'registered' })
  const less = (await refresh(app, stranger, tokens.refresh_token)).json()
  t.match([decodeJwt(less.access_token).aud, less.scope], [OPEN, 'tools'])
})

t.test('who an API is open to is one of two words', async (t) => {
  const app = await build(t)
  const { client_id } = await createApi(app)
  t.match(await app.store.resources.find(client_id), { open_to: 'registered' })
  for (const open_to of ['all', '', 'Anyone']) {
    const change = { open_to } as { open_to: 'anyone' }
    await t.rejects(app.registration.updateResource(client_id, change), { code: 'invalid_request' })
    const given = { uri: 'https://b.example', ...change }
    await t.rejects(createApi(app, given), { code: 'invalid_request' })
  }
})
