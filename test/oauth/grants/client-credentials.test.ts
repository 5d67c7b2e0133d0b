import { decodeJwt } from 'jose'
import t, { type Test } from 'tap'
import type { NewClient } from '../../../plugins/core/registry/registration.ts'
import {
  build,
  createApi,
  createSite,
  type Parameters,
  post,
  type Site,
  TestClock,
} from '../../harness.ts'

const CALENDAR = 'https://calendar.example'

async function setUp(t: Test, given: Partial<NewClient> = {}) {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const api = await createApi(app, { uri: CALENDAR, scopes: ['read', 'write', 'admin'] })
  const site = await createSite(app, {
    redirect_uris: [],
    grant_types: ['client_credentials'],
    scope: 'read write',
    ...given,
  })
  const ask = async (change: Parameters = {}, client: Site = site) =>
    await post(app, '/token', client, { grant_type: 'client_credentials', ...change })
  const isActive = async (token: string) =>
    (await post(app, '/introspect', api, { token })).json().active
  return { clock, app, api, site, ask, isActive }
}

t.test('RFC 6749 section 4.4: a client gets a token for itself', async (t) => {
  const { app, site, ask, isActive } = await setUp(t)
  const answer = await ask()
  t.equal(answer.statusCode, 200, answer.body)
  t.equal(answer.headers['cache-control'], 'no-store')
  const tokens = answer.json()
  t.match(tokens, { token_type: 'Bearer', expires_in: 3600, scope: 'read write' })
  t.notOk('refresh_token' in tokens, 'section 4.4.3: no refresh token')

  const claims = decodeJwt(tokens.access_token)
  t.match(claims, { aud: CALENDAR, sub: site.client_id, client_id: site.client_id })
  t.match(site.client_id, /^client_/, 'OAuth 2.1 section 7.4: no agent can have this subject')
  t.notOk('model' in claims)
  t.equal(await isActive(tokens.access_token), true)
  t.equal(
    (await post(app, '/introspect', site, { token: tokens.access_token })).json().active,
    true,
  )

  const authorization = `Bearer ${tokens.access_token}`
  const userinfo = await app.inject({ url: '/userinfo', headers: { authorization } })
  t.equal(userinfo.statusCode, 401, 'it is about no person, and for an API alone')
})

t.test('RFC 6749 section 3.3: of the scopes that are registered for it', async (t) => {
  const { app, ask } = await setUp(t, { scope: 'read write email elsewhere' })
  const asked: [Parameters, string][] = [
    [{}, 'read write'],
    [{ scope: 'read' }, 'read'],
    [{ scope: 'read admin email' }, 'read'],
    [{ scope: 'read', resource: CALENDAR }, 'read'],
    [{ resource: `${CALENDAR}/` }, 'read write'],
  ]
  for (const [change, scope] of asked) t.equal((await ask(change)).json().scope, scope)

  const refusals: [string, Parameters, string][] = [
    ['not registered for it', { scope: 'admin' }, 'invalid_scope'],
    ['of no resource', { scope: 'elsewhere' }, 'invalid_scope'],
    ['of a person', { scope: 'email' }, 'invalid_scope'],
    ['an unknown resource', { resource: 'https://x.example' }, 'invalid_target'],
  ]
  for (const [name, change, error] of refusals) {
    const answer = await ask(change)
    t.match([answer.statusCode, answer.json().error], [400, error], name)
  }
  const without = await createSite(app, { redirect_uris: [], grant_types: ['client_credentials'] })
  t.equal((await ask({}, without)).json().error, 'invalid_scope', 'none registered')
})

t.test('OAuth 2.1 section 4.2: only for confidential clients that may', async (t) => {
  const { app, ask } = await setUp(t)
  const site = await createSite(app)
  const refused = await ask({}, site)
  t.match([refused.statusCode, refused.json().error], [400, 'unauthorized_client'])

  const guest = await createSite(app, { token_endpoint_auth_method: 'none' })
  const refusedToo = await ask({}, guest)
  t.match([refusedToo.statusCode, refusedToo.json().error], [400, 'unauthorized_client'])

  const unauthenticated = await ask({}, { ...site, client_secret: undefined })
  t.match([unauthenticated.statusCode, unauthenticated.json().error], [401, 'invalid_client'])

  const creation = createSite(app, {
    token_endpoint_auth_method: 'none',
    grant_types: ['client_credentials'],
  })
  await t.rejects(creation, { code: 'invalid_client_metadata' })
})

t.test('RFC 7009: such a token can be revoked, and no other with it', async (t) => {
  const { app, site, ask, isActive } = await setUp(t)
  const [one, two] = [(await ask()).json().access_token, (await ask()).json().access_token]
  const stranger = await createSite(app)
  t.equal((await post(app, '/revoke', stranger, { token: one })).statusCode, 400)
  t.equal(await isActive(one), true, 'section 2.1: not by another client')
  t.equal((await post(app, '/revoke', site, { token: one })).statusCode, 200)
  t.same([await isActive(one), await isActive(two)], [false, true])
})

t.test('such tokens die with their client', async (t) => {
  const { clock, app, site, ask, isActive } = await setUp(t)
  const { access_token } = (await ask()).json()
  await app.registration.updateClient(site.client_id, { disabled_at: clock.now() })
  t.equal(await isActive(access_token), false)
  t.equal((await ask()).statusCode, 401)

  clock.advance(1)
  await app.registration.updateClient(site.client_id, { disabled_at: null })
  t.equal(await isActive(access_token), false, 'for good')
  const later = (await ask()).json().access_token
  t.equal(await isActive(later), true)

  await app.store.clients.delete(site.client_id)
  t.equal(await isActive(later), false)
})

t.test('a client without redirect URIs cannot ask for a sign-in', async (t) => {
  const { app, site } = await setUp(t)
  const page = await app.inject({
    url: `/authorize?response_type=code&client_id=${site.client_id}`,
  })
  t.equal(page.statusCode, 400)
  t.notOk(page.headers.location)
})
