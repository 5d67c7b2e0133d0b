import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { NewClient } from '../../../plugins/core/registry/registration.ts'
import type { Settings } from '../../../plugins/core/settings.ts'
import type { TokenResponse } from '../../../schemas/token.ts'
import {
  build,
  createAgent,
  createSite,
  getCode,
  post,
  redeem,
  refresh,
  type Site,
  signIn,
  TestClock,
} from '../../harness.ts'

interface Scene {
  app: FastifyInstance
  clock: TestClock
  site: Site
  tokens: TokenResponse
}

async function setUp(
  t: Test,
  settings: Partial<Settings>,
  client: Partial<NewClient> = {},
): Promise<Scene> {
  const clock = new TestClock()
  const app = await build(t, settings, { clock })
  const site = await createSite(app, client)
  const tokens = await signIn(app, site, await createAgent(app))
  return { app, clock, site, tokens }
}

/** What a refresh answers: the next refresh token, or the error. */
async function next({ app, site }: Scene, refresh_token: string | undefined): Promise<string> {
  const { refresh_token: successor, error } = (await refresh(app, site, refresh_token)).json()
  return successor ?? error
}

async function isActive({ app, site }: Scene, token: string | undefined): Promise<boolean> {
  return (await post(app, '/introspect', site, { token })).json().active
}

t.test('RFC 9700 section 4.14.2: without a grace the second use ends the sign-in', async (t) => {
  const scene = await setUp(t, {})
  const successor = await next(scene, scene.tokens.refresh_token)
  t.equal(await next(scene, scene.tokens.refresh_token), 'invalid_grant')
  t.equal(await next(scene, successor), 'invalid_grant', 'also for who holds the successor')
  t.equal(await isActive(scene, scene.tokens.access_token), false)
})

t.test('within the grace a refresh token gets its one successor again', async (t) => {
  const scene = await setUp(t, { REFRESH_REUSE_GRACE: 10 })
  const { refresh_token } = scene.tokens
  const successors = new Set(
    await Promise.all([1, 2, 3, 4, 5].map(() => next(scene, refresh_token))),
  )
  t.equal(successors.size, 1, 'five at once')
  scene.clock.advance(9)
  successors.add(await next(scene, refresh_token))
  t.equal(successors.size, 1, 'in the last second')
  t.equal(await isActive(scene, scene.tokens.access_token), true)
  const [successor] = successors
  t.match(await next(scene, successor), /^rt_/)
})

t.test('the second in which the grace has passed ends the sign-in', async (t) => {
  const scene = await setUp(t, { REFRESH_REUSE_GRACE: 10 })
  const successor = await next(scene, scene.tokens.refresh_token)
  scene.clock.advance(10)
  t.equal(await next(scene, scene.tokens.refresh_token), 'invalid_grant')
  t.equal(await next(scene, successor), 'invalid_grant')
})

t.test('an answer that is given again does not begin the grace anew', async (t) => {
  const scene = await setUp(t, { REFRESH_REUSE_GRACE: 10 })
  for (const _ of [1, 2]) {
    t.match(await next(scene, scene.tokens.refresh_token), /^rt_/)
    scene.clock.advance(5)
  }
  t.equal(await next(scene, scene.tokens.refresh_token), 'invalid_grant')
})

t.test('a grace holds for several generations, each from its own use', async (t) => {
  const scene = await setUp(t, { REFRESH_REUSE_GRACE: 10 })
  const second = await next(scene, scene.tokens.refresh_token)
  scene.clock.advance(5)
  const third = await next(scene, second)
  t.equal(await next(scene, second), third, 'the successor has a grace of its own')
  t.equal(await next(scene, scene.tokens.refresh_token), third, 'two generations old')
  scene.clock.advance(5)
  t.equal(await next(scene, second), third, 'the second is still within its grace')
  t.equal(await next(scene, scene.tokens.refresh_token), 'invalid_grant', 'the first is not')
  t.equal(await next(scene, third), 'invalid_grant')
})

t.test('a rotated token is inactive for introspection, also within the grace', async (t) => {
  const scene = await setUp(t, { REFRESH_REUSE_GRACE: 10 })
  const successor = await next(scene, scene.tokens.refresh_token)
  t.equal(await isActive(scene, scene.tokens.refresh_token), false)
  t.equal(await isActive(scene, successor), true)
})

t.test("a client's own grace goes before the server's", async (t) => {
  const lenient = await setUp(t, {}, { refresh_reuse_grace: 60 })
  await next(lenient, lenient.tokens.refresh_token)
  lenient.clock.advance(59)
  t.match(await next(lenient, lenient.tokens.refresh_token), /^rt_/)

  const strict = await setUp(t, { REFRESH_REUSE_GRACE: 60 }, { refresh_reuse_grace: 0 })
  await next(strict, strict.tokens.refresh_token)
  t.equal(await next(strict, strict.tokens.refresh_token), 'invalid_grant')

  const { app, site } = strict
  await app.registration.updateClient(site.client_id, { refresh_reuse_grace: null })
  const again = { ...strict, tokens: await signIn(app, site, await createAgent(app)) }
  await next(again, again.tokens.refresh_token)
  t.match(await next(again, again.tokens.refresh_token), /^rt_/, 'null is the setting again')

  for (const refresh_reuse_grace of [-1, 3601, 1.5, Number.NaN]) {
    await t.rejects(createSite(app, { refresh_reuse_grace }), { code: 'invalid_client_metadata' })
  }
})

t.test('OAuth 2.1 section 4.3.1: a refresh token that is not used dies', async (t) => {
  const scene = await setUp(t, { REFRESH_TOKEN_TTL: 100 })
  t.equal(scene.tokens.refresh_token_timeout, 100)
  t.notHas(scene.tokens, { authorization_expires_in: Number })
  scene.clock.advance(99)
  const second = await next(scene, scene.tokens.refresh_token)
  scene.clock.advance(99)
  const third = await next(scene, second)
  t.match(third, /^rt_/, 'each use keeps it')
  scene.clock.advance(100)
  t.equal(await isActive(scene, third), false)
  t.equal(await next(scene, third), 'invalid_grant')
})

t.test('GRANT_TTL ends a sign-in however often it is refreshed', async (t) => {
  const scene = await setUp(t, { GRANT_TTL: 5000, REFRESH_TOKEN_TTL: 3000 })
  const { app, clock, site, tokens } = scene
  t.match(tokens, {
    expires_in: 3600,
    refresh_token_timeout: 3000,
    authorization_expires_in: 5000,
  })
  clock.advance(2900)
  const second = (await refresh(app, site, tokens.refresh_token)).json()
  t.match(second, {
    expires_in: 2100,
    refresh_token_timeout: 2100,
    authorization_expires_in: 2100,
  })
  clock.advance(2099)
  t.equal(await isActive(scene, second.access_token), true)
  const last = (await refresh(app, site, second.refresh_token)).json()
  t.match(last, { expires_in: 1, refresh_token_timeout: 1, authorization_expires_in: 1 })
  clock.advance(1)
  t.equal(await isActive(scene, last.access_token), false)
  t.equal(await isActive(scene, last.refresh_token), false)
  t.equal(await next(scene, last.refresh_token), 'invalid_grant')
})

t.test('GRANT_TTL counts from the sign-in, not from the code', async (t) => {
  const clock = new TestClock()
  const app = await build(t, { GRANT_TTL: 30 }, { clock })
  const site = await createSite(app)
  const agent = await createAgent(app)
  const [early, late] = [await getCode(app, site, agent), await getCode(app, site, agent)]
  clock.advance(29)
  t.match((await redeem(app, site, early)).json(), { authorization_expires_in: 1, expires_in: 1 })
  clock.advance(1)
  t.match((await redeem(app, site, late)).json(), { error: 'invalid_grant' })
})

t.test('GRANT_TTL also holds for sign-ins from before it was set', async (t) => {
  const clock = new TestClock()
  const DATABASE_URL = `sqlite:${t.testdir()}/auth-agent.db`
  const before = await build(t, { DATABASE_URL }, { clock })
  const site = await createSite(before)
  const { refresh_token } = await signIn(before, site, await createAgent(before))
  await before.close()
  const after = await build(t, { DATABASE_URL, GRANT_TTL: 1000 }, { clock })
  clock.advance(1000)
  t.match((await refresh(after, site, refresh_token)).json(), { error: 'invalid_grant' })
})

t.test('refresh_token_expiration_types_supported says which ends there are', async (t) => {
  const types = async (settings: Partial<Settings>) =>
    (await (await build(t, settings)).inject('/.well-known/oauth-authorization-server')).json()
      .refresh_token_expiration_types_supported
  t.same(await types({}), ['token_timeout'])
  t.same(await types({ GRANT_TTL: 1 }), ['token_timeout', 'authorization'])
})
