import { decodeJwt } from 'jose'
import t from 'tap'
import {
  authorize,
  authorizeQuery,
  build,
  createAgent,
  createApi,
  createSite,
  pkce,
  post,
  refresh,
  signIn,
} from '../harness.ts'

t.test('RFC 8707 section 2: a client that names no resource has its default one', async (t) => {
  const app = await build(t)
  const agent = await createAgent(app)
  const api = await createApi(app, { uri: 'https://api.example/v1', scopes: ['read'] })
  const other = await createApi(app, { uri: 'https://other.example/', scopes: ['write'] })
  const site = await createSite(app, { default_resource: api.uri })
  const plain = await createSite(app)

  const rows: [name: string, as: typeof site, Record<string, string>, string, string][] = [
    ['its API', site, { scope: 'read' }, api.uri, 'read'],
    ['no scope', site, {}, api.uri, ''],
    ['a sign-in', site, { scope: 'openid email' }, api.uri, ''],
    ['both', site, { scope: 'openid email read' }, api.uri, 'read'],
    ['another API, named', site, { scope: 'write', resource: other.uri }, other.uri, 'write'],
    ['the issuer, named', site, { resource: app.settings.ISSUER }, api.uri, ''],
    ['a client without one', plain, {}, app.settings.ISSUER, 'email'],
  ]
  for (const [name, as, change, aud, scope] of rows) {
    const tokens = await signIn(app, as, agent, change)
    t.match(decodeJwt(tokens.access_token), { aud, scope }, name)
    const refreshed = await refresh(app, as, tokens.refresh_token)
    t.match(decodeJwt(refreshed.json().access_token), { aud, scope }, `${name}, refreshed`)
    if (change.scope?.includes('openid')) {
      t.match(decodeJwt(tokens.id_token ?? ''), { email: 'owner@example.com' }, name)
    }
  }
})

t.test(
  'RFC 6749 section 4.4: a client that acts for itself has its default resource',
  async (t) => {
    const app = await build(t)
    const api = await createApi(app, { uri: 'https://api.example/v1', scopes: ['read'] })
    await createApi(app, { uri: 'https://other.example/', scopes: ['read'] })
    const given = { redirect_uris: [], grant_types: ['client_credentials'], scope: 'read' }
    const service = await createSite(app, { ...given, default_resource: api.uri })
    const answer = await post(app, '/token', service, { grant_type: 'client_credentials' })
    t.equal(decodeJwt(answer.json().access_token).aud, api.uri)
    const plain = await createSite(app, given)
    const refused = await post(app, '/token', plain, { grant_type: 'client_credentials' })
    t.equal(refused.json().error, 'invalid_scope', 'two APIs have the scope, and none is meant')
  },
)

t.test('a default resource is one that is registered, also later', async (t) => {
  const app = await build(t)
  const api = await createApi(app, { uri: 'https://api.example/v1', scopes: ['read'] })
  for (const default_resource of ['https://nobody.example/', 'no URI', app.settings.ISSUER, '']) {
    await t.rejects(createSite(app, { default_resource }), { code: 'invalid_target' })
  }
  const site = await createSite(app)
  const { client_id } = site
  const update = (default_resource: string | null) =>
    app.registration.updateClient(client_id, { default_resource })
  await t.rejects(update('https://nobody.example/'), { code: 'invalid_target' })
  t.match(await update(api.uri), { default_resource: api.uri })

  const query = authorizeQuery(site, pkce().code_challenge, { scope: 'openid email' })
  t.equal((await authorize(app, query)).statusCode, 200)
  await app.store.resources.delete(api.client_id)
  const refused = await authorize(app, query)
  t.match(refused.headers.location, 'error=invalid_target', 'never the issuer in its place')
  t.match(await update(null), { default_resource: null })
  t.equal((await authorize(app, query)).statusCode, 200)
})
