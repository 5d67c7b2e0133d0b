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
  TestClock,
} from '../harness.ts'

t.test('RFC 7662 section 2.1: a caller that is not authorized learns nothing', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const open = await createSite(app, { token_endpoint_auth_method: 'none' })
  const { access_token: token } = await signIn(app, site, await createAgent(app))
  const mine = await signIn(app, open, await createAgent(app, 'other@example.com'))

  const refusals: [name: string, as: Site | undefined, change: Parameters, number, string][] = [
    ['nobody', undefined, { token }, 401, 'invalid_client'],
    ['a wrong secret', { ...site, client_secret: 'cs_wrong' }, { token }, 401, 'invalid_client'],
    ['no secret', { ...site, client_secret: undefined }, { token }, 401, 'invalid_client'],
    ['a public client', open, { token: mine.access_token }, 401, 'invalid_client'],
    ['no token', site, {}, 400, 'invalid_request'],
    ['an empty token', site, { token: '' }, 400, 'invalid_request'],
    ['the token twice', site, { token: [token, token] }, 400, 'invalid_request'],
    ['the hint twice', site, { token, token_type_hint: ['a', 'b'] }, 400, 'invalid_request'],
  ]
  for (const [name, as, change, status, error] of refusals) {
    const response = await post(app, '/introspect', as, change)
    t.equal(response.statusCode, status, name)
    t.equal(response.json().error, error, name)
    t.equal(response.headers['cache-control'], 'no-store', name)
    if (status === 401) t.match(response.headers['www-authenticate'], /^Basic /, name)
  }
  const get = await app.inject({ url: `/introspect?token=${token}` })
  t.equal(get.statusCode, 405, 'POST only')
})

t.test('RFC 7662 section 2.2: what an active token is', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const site = await createSite(app)
  const agent = await createAgent(app)
  const tokens = await signIn(app, site, agent, { scope: 'openid email' })
  const response = await post(app, '/introspect', site, { token: tokens.access_token })
  t.equal(response.headers['cache-control'], 'no-store')
  t.strictSame(response.json(), {
    active: true,
    scope: 'openid email',
    client_id: site.client_id,
    sub: agent.agent_id,
    username: 'owner@example.com',
    auth_time: clock.now(),
    acr: 'urn:auth-agent:acr:agent',
    amr: ['agent_secret'],
    model: 'test-model',
    exp: clock.now() + 3600,
    iat: clock.now(),
    iss: app.settings.ISSUER,
    aud: app.settings.ISSUER,
    jti: response.json().jti,
    token_type: 'Bearer',
  })
  t.match(response.json().jti, /^at_/)

  const refreshToken = await post(app, '/introspect', site, { token: tokens.refresh_token })
  t.match(refreshToken.json(), {
    active: true,
    scope: 'openid email',
    client_id: site.client_id,
    sub: agent.agent_id,
    exp: clock.now() + app.settings.REFRESH_TOKEN_TTL,
  })
})

t.test('RFC 7662 section 2.1: token_type_hint is only a hint', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const { access_token, refresh_token } = await signIn(app, site, await createAgent(app))
  for (const token of [access_token, refresh_token]) {
    for (const token_type_hint of ['access_token', 'refresh_token', 'fish']) {
      const { active } = (await post(app, '/introspect', site, { token, token_type_hint })).json()
      t.equal(active, true, token_type_hint)
    }
  }
})

t.test('RFC 7662 section 2.2: whatever is not active gets the same bytes', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const site = await createSite(app)
  const stranger = await createSite(app)
  const agent = await createAgent(app)
  const fresh = () => signIn(app, site, agent)

  const expired = await fresh()
  clock.advance(app.settings.ACCESS_TOKEN_TTL)
  const revoked = await fresh()
  await post(app, '/revoke', site, { token: revoked.refresh_token })
  const single = await fresh()
  await post(app, '/revoke', site, { token: single.access_token })
  const rotated = await fresh()
  await refresh(app, site, rotated.refresh_token)
  const good = await fresh()
  const [head, body, signature] = good.access_token.split('.')
  const none = Buffer.from('{"alg":"none","typ":"at+jwt"}').toString('base64url')
  const other = await signIn(app, stranger, agent)

  const inactive: [name: string, token: string | undefined][] = [
    ['nonsense', 'nonsense'],
    ['an expired access token', expired.access_token],
    ['an access token of a revoked grant', revoked.access_token],
    ['a revoked refresh token', revoked.refresh_token],
    ['a revoked access token', single.access_token],
    ['a rotated refresh token', rotated.refresh_token],
    ['an access token of another client', other.access_token],
    ['a refresh token of another client', other.refresh_token],
    ['alg none', `${none}.${body}.`],
    ['alg none with the signature', `${none}.${body}.${signature}`],
    ['no signature', `${head}.${body}.`],
    ['another body', `${head}.${other.access_token.split('.')[1]}.${signature}`],
    ['half a token', `${head}.${body}`],
    ['a NUL byte', '\0'],
    ['an empty refresh token', 'rt_'],
  ]
  for (const [name, token] of inactive) {
    const response = await post(app, '/introspect', site, { token })
    t.equal(response.statusCode, 200, name)
    t.equal(response.body, '{"active":false}', name)
  }
  const active = async (token: string | undefined) =>
    (await post(app, '/introspect', site, { token })).json().active
  t.equal(await active(single.refresh_token), true, 'a revoked access token leaves its grant')
  t.equal(await active(good.access_token), true)
})

t.test(
  'RFC 7662 section 2.2: what is no token of ours is not active, however long it is',
  async (t) => {
    const app = await build(t)
    const site = await createSite(app)
    for (const token of [
      'nonsense',
      'rt_nonsense',
      'a.b.c',
      'x'.repeat(9000),
      'a.'.repeat(25_000),
    ]) {
      for (const token_type_hint of [undefined, 'id_token', 'x'.repeat(5000)]) {
        const response = await post(app, '/introspect', site, { token, token_type_hint })
        t.equal(response.statusCode, 200)
        t.same(response.json(), { active: false })
      }
    }
  },
)
