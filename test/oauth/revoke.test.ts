import t from 'tap'
import {
  build,
  createAgent,
  createSite,
  type Parameters,
  post,
  refresh,
  type Site,
  signIn,
} from '../harness.ts'

t.test('RFC 7009 section 2.1: a caller that may not revoke a token changes nothing', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const stranger = await createSite(app)
  const open = await createSite(app, { token_endpoint_auth_method: 'none' })
  const { access_token, refresh_token } = await signIn(app, site, await createAgent(app))
  const active = async (token: string | undefined) =>
    (await post(app, '/introspect', site, { token })).json().active

  const refusals: [name: string, as: Site | undefined, change: Parameters, number, string][] = [
    ['nobody', undefined, {}, 401, 'invalid_client'],
    ['a wrong secret', { ...site, client_secret: 'cs_wrong' }, {}, 401, 'invalid_client'],
    ['no secret', { ...site, client_secret: undefined }, {}, 401, 'invalid_client'],
    ['another client', stranger, {}, 400, 'unauthorized_client'],
    ['a public client', open, {}, 400, 'unauthorized_client'],
    ['no token', site, { token: undefined }, 400, 'invalid_request'],
    ['the token twice', site, { token: [access_token, access_token] }, 400, 'invalid_request'],
  ]
  for (const token of [access_token, refresh_token]) {
    for (const [name, as, change, status, error] of refusals) {
      const response = await post(app, '/revoke', as, { token, ...change })
      t.equal(response.statusCode, status, name)
      t.equal(response.json().error, error, name)
      t.equal(response.headers['cache-control'], 'no-store', name)
    }
    t.equal(await active(token), true)
  }
  t.equal((await app.inject({ url: `/revoke?token=${access_token}` })).statusCode, 405, 'POST only')
})

t.test('RFC 7009 section 2.1: a refresh token takes its whole grant along', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const first = await signIn(app, site, await createAgent(app))
  const second = (await refresh(app, site, first.refresh_token)).json()
  const response = await post(app, '/revoke', site, { token: second.refresh_token })
  t.equal(response.statusCode, 200)
  t.equal(response.headers['content-type'], 'application/json; charset=utf-8')
  t.same(response.json(), {}, 'section 2.2: the body says nothing, and parses')
  t.equal(response.headers['cache-control'], 'no-store')
  for (const token of [first.access_token, second.access_token, second.refresh_token]) {
    t.same((await post(app, '/introspect', site, { token })).json(), { active: false })
  }
  t.equal((await refresh(app, site, second.refresh_token)).json().error, 'invalid_grant')
})

t.test('RFC 7009 section 2.1: a rotated refresh token still revokes its family', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const first = await signIn(app, site, await createAgent(app))
  const second = (await refresh(app, site, first.refresh_token)).json()
  t.equal((await post(app, '/revoke', site, { token: first.refresh_token })).statusCode, 200)
  t.equal((await refresh(app, site, second.refresh_token)).json().error, 'invalid_grant')
})

t.test('RFC 7009 section 2: an access token takes itself alone', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const { access_token, refresh_token } = await signIn(app, site, await createAgent(app))
  for (const token_type_hint of ['refresh_token', 'fish', 'access_token']) {
    const parameters = { token: access_token, token_type_hint }
    t.equal((await post(app, '/revoke', site, parameters)).statusCode, 200, token_type_hint)
  }
  const { active } = (await post(app, '/introspect', site, { token: access_token })).json()
  t.equal(active, false)
  const headers = { authorization: `Bearer ${access_token}` }
  t.equal((await app.inject({ url: '/userinfo', headers })).statusCode, 401)
  t.equal((await refresh(app, site, refresh_token)).statusCode, 200)
})

t.test('RFC 7009 section 2.2: an unknown token is as good as revoked', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  for (const token of ['nonsense', 'rt_nonsense', 'a.b.c', '\0', 'x'.repeat(50_000)]) {
    for (const token_type_hint of [undefined, 'id_token', 'x'.repeat(5000)]) {
      const response = await post(app, '/revoke', site, { token, token_type_hint })
      t.equal(response.statusCode, 200)
      t.same(response.json(), {})
    }
  }
})

t.test('RFC 7009 section 5: a public client revokes its own tokens', async (t) => {
  const app = await build(t)
  const site = await createSite(app, { token_endpoint_auth_method: 'none' })
  const { refresh_token } = await signIn(app, site, await createAgent(app))
  t.equal((await post(app, '/revoke', site, { token: refresh_token })).statusCode, 200)
  t.equal((await refresh(app, site, refresh_token)).json().error, 'invalid_grant')
})

t.test('the hint of the other kind and JSON bodies work too', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const { refresh_token } = await signIn(app, site, await createAgent(app))
  const { client_id, client_secret } = site
  const payload = {
    client_id,
    client_secret,
    token: refresh_token,
    token_type_hint: 'access_token',
  }
  t.equal((await app.inject({ method: 'POST', url: '/revoke', payload })).statusCode, 200)
  t.equal((await refresh(app, site, refresh_token)).json().error, 'invalid_grant')
})
