import type { ServerResponse } from 'node:http'
import { createLocalJWKSet, jwtVerify } from 'jose'
import t, { type Test } from 'tap'
import { buildApp } from '../../../plugins/app.ts'
import {
  build,
  createAgent,
  createSite,
  post,
  refresh,
  signIn,
  startWeb,
  TestClock,
} from '../../harness.ts'
import { makeFolder } from '../../processes.ts'

const PATH = '/ended'

/** A website that is told of logouts, and answers with each status in turn, the last one from then on. */
async function setUp(t: Test, ...statuses: number[]) {
  const web = await startWeb(t)
  const clock = new TestClock()
  const told: URLSearchParams[] = []
  web.serve(PATH, async (request, response: ServerResponse) => {
    let body = ''
    for await (const chunk of request) body += chunk
    told.push(new URLSearchParams(body))
    response.writeHead(statuses.length > 1 ? (statuses.shift() ?? 200) : (statuses[0] ?? 200)).end()
  })
  const settings = {
    DATABASE_URL: `sqlite:${makeFolder(t)}/auth.db`,
    LOG_LEVEL: 'silent' as const,
  }
  const app = await build(t, settings, { clock, network: web.network })
  const site = await createSite(app, {
    backchannel_logout_uri: web.url('site.example', PATH),
  })
  const agent = await createAgent(app)
  return { app, agent, clock, settings, site, told, web }
}

t.test('OpenID Connect Back-Channel Logout 1.0 section 2.4: the client is told', async (t) => {
  const { app, agent, site, told } = await setUp(t)
  const tokens = await signIn(app, site, agent, { scope: 'openid' })
  const { keys } = (await app.inject('/.well-known/jwks.json')).json()
  const jwks = createLocalJWKSet({ keys })
  const read = (token = '') =>
    jwtVerify(token, jwks, { currentDate: new Date(app.clock.now() * 1000) })
  const { payload: idToken } = await read(tokens.id_token)
  await app.inject(`/logout?id_token_hint=${tokens.id_token}`)
  await app.logoutNotices.deliver()
  t.equal(told.length, 1)
  const { payload, protectedHeader } = await read(told[0]?.get('logout_token') ?? '')
  t.equal(protectedHeader.typ, 'logout+jwt')
  t.match(payload, {
    iss: app.settings.ISSUER,
    aud: site.client_id,
    sub: agent.agent_id,
    sid: idToken.sid,
    events: { 'http://schemas.openid.net/event/backchannel-logout': {} },
  })
  t.type(payload.jti, 'string')
  t.notOk('nonce' in payload)
  await app.logoutNotices.deliver()
  t.equal(told.length, 1, 'and only once')
  const metadata = (await app.inject('/.well-known/openid-configuration')).json()
  t.ok(metadata.backchannel_logout_supported && metadata.backchannel_logout_session_supported)
})

t.test('whatever ends a sign-in is told', async (t) => {
  type Scene = Awaited<ReturnType<typeof setUp>>
  type Tokens = Awaited<ReturnType<typeof signIn>>
  const ways: [string, (scene: Scene, tokens: Tokens) => Promise<unknown>][] = [
    [
      'disabling the agent',
      ({ app, agent }) =>
        app.registration.updateAgent(agent.agent_id, { disabled_at: app.clock.now() }),
    ],
    [
      'deleting the agent',
      ({ app, agent }) => app.store.agents.delete(agent.agent_id, app.clock.now()),
    ],
    [
      'disabling the client',
      ({ app, site }) =>
        app.registration.updateClient(site.client_id, { disabled_at: app.clock.now() }),
    ],
    [
      'a refresh token that comes twice',
      async ({ app, site }, tokens) => {
        await refresh(app, site, tokens.refresh_token ?? '')
        await refresh(app, site, tokens.refresh_token ?? '')
      },
    ],
    [
      'revoking the refresh token',
      ({ app, site }, { refresh_token }) =>
        post(app, '/revoke', site, { token: refresh_token ?? '' }),
    ],
  ]
  for (const [what, end] of ways) {
    const scene = await setUp(t)
    const tokens = await signIn(scene.app, scene.site, scene.agent)
    await end(scene, tokens)
    await scene.app.logoutNotices.deliver()
    t.equal(scene.told.length, 1, what)
  }
})

t.test('a client that fails is told again, ever later, and then given up', async (t) => {
  const { app, agent, clock, site, told } = await setUp(t, 500)
  const { id_token } = await signIn(app, site, agent, { scope: 'openid' })
  await app.inject(`/logout?id_token_hint=${id_token}`)
  for (const [seconds, attempts] of [
    [0, 1],
    [9, 1],
    [1, 2],
    [60, 3],
    [600, 4],
    [3600, 5],
    [14_400, 6],
    [100_000, 6],
  ] as const) {
    clock.advance(seconds)
    await app.logoutNotices.deliver()
    t.equal(told.length, attempts, `after ${seconds} more seconds`)
  }
})

t.test('a client that answers 400 is not told again, one that recovers is', async (t) => {
  for (const [statuses, attempts] of [
    [[400], 1],
    [[204], 1],
    [[503, 200], 2],
    [[302, 200], 2],
  ] as const) {
    const { app, agent, clock, site, told } = await setUp(t, ...statuses)
    const { id_token } = await signIn(app, site, agent, { scope: 'openid' })
    await app.inject(`/logout?id_token_hint=${id_token}`)
    for (let turn = 0; turn < 4; turn += 1) {
      await app.logoutNotices.deliver()
      clock.advance(10)
    }
    t.equal(told.length, attempts, statuses.join())
  }
})

t.test('two servers on one database tell each client once', async (t) => {
  const { app, agent, clock, settings, site, told, web } = await setUp(t)
  const other = await buildApp(settings, { clock, network: web.network })
  t.teardown(() => other.close())
  for (let sign = 0; sign < 12; sign += 1) await signIn(app, site, agent)
  await app.registration.updateAgent(agent.agent_id, { disabled_at: clock.now() })
  await Promise.all([app.logoutNotices.deliver(), other.logoutNotices.deliver()])
  await Promise.all([app.logoutNotices.deliver(), other.logoutNotices.deliver()])
  t.equal(told.length, 12)
})

t.test('where a client is told or returned to has rules like its redirect URIs', async (t) => {
  const app = await build(t)
  const bad = [
    { backchannel_logout_uri: 'http://site.example/' },
    { backchannel_logout_uri: 'http://localhost/' },
    { backchannel_logout_uri: 'https://site.example/#x' },
    { backchannel_logout_uri: 'https://user@site.example/' },
    { backchannel_logout_uri: 'site.example' },
    { backchannel_logout_uri: `https://site.example/${'x'.repeat(2048)}` },
    { post_logout_redirect_uris: ['http://site.example/'] },
    { post_logout_redirect_uris: ['https://site.example/#x'] },
    { post_logout_redirect_uris: ['https://*.site.example/'] },
    { post_logout_redirect_uris: ['javascript:alert(1)'] },
    { post_logout_redirect_uris: Array.from({ length: 51 }, (_, n) => `https://s.example/${n}`) },
  ]
  for (const given of bad) {
    await t.rejects(
      createSite(app, given),
      { code: 'invalid_client_metadata' },
      JSON.stringify(given).slice(0, 80),
    )
  }
  const site = await createSite(app, {
    backchannel_logout_uri: 'https://site.example/ended',
    post_logout_redirect_uris: ['http://localhost:3000/', 'https://site.example/'],
  })
  t.ok(site.client_id)
})
