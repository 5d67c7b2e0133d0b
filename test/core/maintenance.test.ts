import t from 'tap'
import {
  authenticate,
  build,
  createAgent,
  createSite,
  getCode,
  open,
  post,
  redeem,
  refresh,
  signIn,
  TestClock,
} from '../harness.ts'

t.test('the sweep removes what is dead and nothing else', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const site = await createSite(app)
  const agent = await createAgent(app)
  const dead = await open(app, site)
  await getCode(app, site, agent)
  const long = await signIn(app, site, agent)
  clock.advance(app.settings.AUTHORIZATION_REQUEST_TTL + app.settings.ACCESS_TOKEN_TTL + 1)
  const pending = await open(app, site)
  const code = await getCode(app, site, agent)
  const fresh = await signIn(app, site, agent)
  await post(app, '/revoke', site, { token: fresh.access_token })
  const grants = (await app.store.grants.list({})).length

  const before = clock.now() - app.settings.ACCESS_TOKEN_TTL
  const batch = { before, events_before: clock.now() - app.settings.AUDIT_RETENTION, limit: 1 }
  for (let i = 0; i < 10; i++) await app.store.maintenance.sweep(batch)
  t.equal(await app.store.maintenance.sweep(batch), false, 'bounded, until none is left')

  t.equal((await authenticate(app, dead.request_id, agent)).statusCode, 404)
  t.equal(await app.store.authorizationRequests.find(dead.request_id), undefined)
  t.equal(
    (await app.store.grants.list({})).length,
    grants - 1,
    'the grant whose code was never used',
  )
  t.equal((await authenticate(app, pending.request_id, agent)).statusCode, 200)
  t.equal((await redeem(app, site, code)).statusCode, 200)
  const { active } = (await post(app, '/introspect', site, { token: fresh.access_token })).json()
  t.equal(active, false, 'a revocation outlives its token')
  for (const { refresh_token } of [long, fresh]) {
    t.equal((await refresh(app, site, refresh_token)).statusCode, 200)
  }

  const grantsAfter = async (seconds: number) => {
    clock.advance(seconds)
    const times = { before: clock.now(), events_before: 0 }
    while (await app.store.maintenance.sweep({ ...times, limit: 1 }));
    return (await app.store.grants.list({})).length
  }
  const { REFRESH_TOKEN_TTL } = app.settings
  t.equal(await grantsAfter(REFRESH_TOKEN_TTL), grants - 1, 'what was refreshed lives on')
  t.equal(await grantsAfter(1), 0, 'until it expires')
})

t.test('two secrets are good while one replaces the other', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const site = await createSite(app)
  const client_secret = await app.registration.rotateClientSecret(site.client_id, { overlap: 100 })
  const status = async (as: typeof site) =>
    (await post(app, '/introspect', as, { token: 'x' })).statusCode
  const renewed = { ...site, client_secret }
  t.same([await status(site), await status(renewed)], [200, 200])
  clock.advance(100)
  t.same([await status(site), await status(renewed)], [401, 200])
})
