import { createLocalJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import t from 'tap'
import { build, createAgent, createSite, signIn, TestClock } from '../../harness.ts'

const algs = (keys: { alg: string }[]) => keys.map(({ alg }) => alg).sort()

t.test('the first RS256 key is made when it is first needed, once', async (t) => {
  const app = await build(t)
  t.same(algs(await app.keys.list()), ['ES256'], 'a start makes no RSA key')
  await Promise.all([1, 2, 3].map(() => app.inject('/.well-known/jwks.json')))
  t.same(algs(await app.keys.list()), ['ES256', 'RS256'])
})

t.test('processes that need the first RS256 key at once agree on one', async (t) => {
  const settings = { DATABASE_URL: `sqlite:${t.testdir()}/auth-agent.db` }
  const apps = [await build(t, settings), await build(t, settings), await build(t, settings)]
  const active = await Promise.all(apps.map((app) => app.keys.active('RS256')))
  t.equal(new Set(active.map(({ kid }) => kid)).size, 1)
  for (const app of apps) t.same(algs(await app.keys.list()), ['ES256', 'RS256'])
})

t.test('RFC 9068 section 2.1: access tokens are signed as ACCESS_TOKEN_ALG says', async (t) => {
  for (const ACCESS_TOKEN_ALG of ['ES256', 'RS256', 'EdDSA']) {
    const app = await build(t, { ACCESS_TOKEN_ALG })
    const site = await createSite(app)
    const { access_token, id_token } = await signIn(app, site, await createAgent(app), {
      scope: 'openid',
    })
    const { alg, typ } = decodeProtectedHeader(access_token)
    t.same({ alg, typ }, { alg: ACCESS_TOKEN_ALG, typ: 'at+jwt' })
    t.equal(decodeProtectedHeader(id_token ?? '').alg, 'RS256')
    const keys = createLocalJWKSet((await app.inject('/.well-known/jwks.json')).json())
    await jwtVerify(access_token, keys, { issuer: app.settings.ISSUER, typ: 'at+jwt' })
    const headers = { authorization: `Bearer ${access_token}` }
    t.equal((await app.inject({ url: '/userinfo', headers })).statusCode, 200)
  }
})

t.test('RFC 9068 section 2.2: the claims of an access token', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const site = await createSite(app)
  const agent = await createAgent(app)
  const { access_token } = await signIn(app, site, agent, { scope: 'openid email' })
  const keys = createLocalJWKSet((await app.inject('/.well-known/jwks.json')).json())
  const { payload } = await jwtVerify(access_token, keys, {
    currentDate: new Date(clock.now() * 1000),
  })
  t.match(payload, {
    iss: app.settings.ISSUER,
    sub: agent.agent_id,
    aud: /./,
    client_id: site.client_id,
    scope: 'openid email',
    iat: clock.now(),
    exp: clock.now() + 3600,
    jti: /^at_/,
  })
})

t.test('each algorithm is rotated by itself, and old tokens stay verifiable', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const site = await createSite(app)
  const agent = await createAgent(app)
  const keySet = async () => createLocalJWKSet((await app.inject('/.well-known/jwks.json')).json())
  const kidOf = (token = '') => decodeProtectedHeader(token).kid
  const tokens = () => signIn(app, site, agent, { scope: 'openid' })

  const first = await tokens()
  const successor = await app.keys.rotate(false, 'RS256')
  const announced = await tokens()
  t.equal(kidOf(announced.id_token), kidOf(first.id_token), 'published before it signs')
  clock.advance(600)
  const second = await tokens()
  t.equal(kidOf(second.id_token), successor.kid)
  t.equal(kidOf(second.access_token), kidOf(first.access_token), 'ES256 stayed')
  const currentDate = new Date(clock.now() * 1000)
  for (const { id_token = '' } of [first, second]) {
    await t.resolves(jwtVerify(id_token, await keySet(), { currentDate }))
  }

  clock.advance(app.settings.SIGNING_KEY_TTL)
  await app.keys.rotateWhenDue()
  clock.advance(600)
  const third = await tokens()
  t.not(kidOf(third.id_token), kidOf(second.id_token))
  t.not(kidOf(third.access_token), kidOf(second.access_token))
  await app.keys.rotateWhenDue()
  t.same(algs(await app.keys.list()), ['ES256', 'ES256', 'RS256', 'RS256'])
})

t.test('a changed ACCESS_TOKEN_ALG does not hide a wrong encryption key', async (t) => {
  const DATABASE_URL = `sqlite:${t.testdir()}/auth-agent.db`
  const key = (byte: string) => byte.repeat(64)
  await (await build(t, { DATABASE_URL, ENCRYPTION_KEY: key('a') })).close()
  await t.rejects(
    build(t, { DATABASE_URL, ENCRYPTION_KEY: key('b'), ACCESS_TOKEN_ALG: 'EdDSA' }),
    /ENCRYPTION_KEY/,
  )
})

t.test('a rotation at once is final, also when a next key was published already', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const scheduled = await app.keys.rotate()
  const compromised = await app.keys.rotate(true)
  t.equal((await app.keys.active()).kid, compromised.kid)
  clock.advance(scheduled.active_from - clock.now() + 1)
  t.equal((await app.keys.active()).kid, compromised.kid, 'the scheduled key does not take over')
})

t.test('a token of a key that another process has just made is valid at once', async (t) => {
  const clock = new TestClock()
  const settings = { DATABASE_URL: `sqlite:${t.testdir()}/auth-agent.db` }
  const ours = await build(t, settings, { clock })
  const theirs = await build(t, settings, { clock })
  const site = await createSite(theirs)
  const agent = await createAgent(theirs)
  await ours.inject('/.well-known/jwks.json')
  clock.advance(1)
  await theirs.keys.rotate(true)
  const { access_token } = await signIn(theirs, site, agent)
  const headers = { authorization: `Bearer ${access_token}` }
  t.equal((await ours.inject({ url: '/userinfo', headers })).statusCode, 200)
})

t.test('a clock that was set back does not hide a key that another process made', async (t) => {
  const clock = new TestClock()
  const settings = { DATABASE_URL: `sqlite:${t.testdir()}/auth-agent.db` }
  const ours = await build(t, settings, { clock })
  const theirs = await build(t, settings, { clock })
  await ours.inject('/.well-known/jwks.json')
  clock.goBack(7200)
  const { kid } = await theirs.keys.rotate(true)
  t.equal((await ours.keys.active()).kid, kid)
  const { keys } = (await ours.inject('/.well-known/jwks.json')).json()
  t.ok(keys.some((key: { kid: string }) => key.kid === kid))
})

t.test(
  'a key that was replaced at once never signs again, though the clock is set back',
  async (t) => {
    const clock = new TestClock()
    const app = await build(t, {}, { clock })
    const active = async () => (await app.keys.active()).kid
    const first = await active()
    const second = await app.keys.rotate(true)
    clock.goBack(7200)
    t.equal(await active(), second.kid, 'after the rotation')
    const third = await app.keys.rotate(true)
    t.equal(await active(), third.kid, 'before a rotation')
    const fourth = await app.keys.rotate()
    t.equal(await active(), third.kid, 'a scheduled one is published before it signs')
    clock.advance(600)
    t.equal(await active(), fourth.kid)
    clock.advance(7200)
    t.equal(await active(), fourth.kid, 'and still when the clock is right again')
    t.not(first, fourth.kid)
    const fifth = await app.keys.rotate()
    clock.goBack(7200)
    t.equal(await active(), fourth.kid, 'what is published ahead waits')
    clock.advance(7800)
    t.equal(await active(), fifth.kid)
  },
)
