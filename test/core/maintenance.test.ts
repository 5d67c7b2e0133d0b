import Database from 'better-sqlite3'
import { decodeJwt } from 'jose'
import t, { type Test } from 'tap'
import { writes as maintenance } from '../../db/maintenance.ts'
import { expiring } from '../../db/store.ts'
import {
  authenticate,
  authenticateByKey,
  build,
  createAgent,
  createKeyedAgent,
  createSite,
  getCode,
  open,
  post,
  redeem,
  refresh,
  signAssertion,
  signIn,
  TestClock,
} from '../harness.ts'

t.test('the sweep removes expired rows and nothing else', async (t) => {
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

  await app.maintenance.run()

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
    while (await app.store.maintenance.sweep('grants', clock.now()));
    return (await app.store.grants.list({})).length
  }
  const { REFRESH_TOKEN_TTL } = app.settings
  t.equal(await grantsAfter(REFRESH_TOKEN_TTL), grants - 1, 'what was refreshed lives on')
  t.equal(await grantsAfter(1), 0, 'until it expires')
})

/** More rows of every kind than an act removes, all expired and none hanging from another. */
function expire(file: string, rows: number): void {
  const database = new Database(file)
  const insert = database.transaction((sql: string) => {
    const statement = database.prepare(sql)
    for (let row = 0; row < rows; row += 1) statement.run({ id: `x${row}` })
  })
  for (const sql of [
    "INSERT INTO events (event_id, at, event, outcome) VALUES (@id, 1, 'agent', 'x')",
    'INSERT INTO revoked_access_tokens (jti, expires_at) VALUES (@id, 1)',
    "INSERT INTO client_assertions (client_id, jti, expires_at) VALUES ('c', @id, 1)",
    "INSERT INTO secrets (holder_id, hint, bcrypt_hash, created_at, expires_at) VALUES (@id, 'h', 'x', 1, 1)",
    "INSERT INTO remote_documents (url, body, fetched_at, fresh_until, expires_at) VALUES (@id, '', 1, 1, 1)",
    'INSERT INTO initial_access_tokens (token_id, token_hash, created_at, expires_at) VALUES (@id, @id, 1, 1)',
    `INSERT INTO authorization_requests (request_id, client_id, redirect_uri, scope, response_mode,
     code_challenge, created_at, expires_at) SELECT @id, client_id, '', '', 'query', '', 1, 1 FROM clients`,
    `INSERT INTO grants (grant_id, client_id, agent_id, model, scope, amr, created_at, expires_at,
     expiry_check_at) SELECT @id, client_id, agent_id, '', '', '', 1, 1, 1 FROM clients, agents`,
    `INSERT INTO used_assertions (agent_id, jti, expires_at) SELECT agent_id, @id, 1 FROM agents`,
    `INSERT INTO signing_keys (kid, alg, public_jwk, private_jwk_encrypted, created_at, active_from,
     remove_at) VALUES (@id, 'x', '{}', '', 1, 1, 1)`,
  ]) {
    insert(sql)
  }
  database.close()
}

t.test(
  'an act of the sweep removes one kind, and other acts are done before its next',
  async (t) => {
    const file = `${t.testdir()}/auth-agent.db`
    const app = await build(t, { DATABASE_URL: `sqlite:${file}` })
    await createSite(app)
    await createAgent(app)
    expire(file, 1500)
    const acts: string[] = []
    const { sweep } = app.store.maintenance
    app.store.maintenance.sweep = async (kind, before) => {
      const more = await sweep(kind, before)
      acts.push(kind)
      return more
    }
    let done = false
    const maintenance = app.maintenance.run().then(() => {
      done = true
    })
    while (!done) {
      t.equal((await app.inject('/readyz')).statusCode, 200)
      acts.push('request')
    }
    await maintenance
    t.ok(acts.filter((kind) => kind === 'grants').length > 3, 'many small acts')
    t.ok(acts.filter((kind) => kind === 'request').length > 3, 'with requests between them')
    const database = new Database(file, { readonly: true })
    for (const [table, column] of [
      ['events', 'event_id'],
      ['authorization_requests', 'request_id'],
      ['grants', 'grant_id'],
      ['revoked_access_tokens', 'jti'],
      ['client_assertions', 'jti'],
      ['used_assertions', 'jti'],
      ['remote_documents', 'url'],
      ['secrets', 'holder_id'],
      ['initial_access_tokens', 'token_id'],
      ['signing_keys', 'kid'],
    ] as const) {
      const left = database.prepare(`SELECT count(*) FROM ${table} WHERE ${column} LIKE 'x%'`)
      t.equal(left.pluck().get(), 0, table)
    }
    database.close()
  },
)

t.test('the sweep finds each kind by an index', async (t) => {
  const file = `${t.testdir()}/auth-agent.db`
  const app = await build(t, { DATABASE_URL: `sqlite:${file}` })
  const database = new Database(file, { readonly: true })
  const explained: string[] = []
  for (const kind of expiring) {
    const act = maintenance.sweep(kind, 1)
    for (let step = act.next(); !step.done; step = act.next([])) {
      const { sql, parameters } = step.value
      const plan = database.prepare(`EXPLAIN QUERY PLAN ${sql}`).all(...parameters)
      explained.push(...plan.map((row) => `${kind}: ${(row as { detail: string }).detail}`))
    }
  }
  const scans = explained.filter((line) => / SCAN /.test(line) && !/^signingKeys/.test(line))
  t.same(scans, [])
  t.ok(
    explained.some((line) =>
      /^grants: SEARCH grants USING COVERING INDEX grants_expiry_check_at/.test(line),
    ),
  )
  database.close()
  await app.close()
})

t.test(
  'a client that nobody uses goes with all that hangs from it, however much it is',
  async (t) => {
    const clock = new TestClock()
    const file = `${t.testdir()}/auth-agent.db`
    const app = await build(t, { DATABASE_URL: `sqlite:${file}` }, { clock })
    const { client_id } = await createSite(app)
    await createAgent(app)
    const database = new Database(file)
    database.exec("UPDATE clients SET origin = 'dynamic', in_use_at = 1")
    database.close()
    expire(file, 2000)
    const unused = { origin: 'dynamic', before: clock.now(), now: clock.now() } as const
    let acts = 1
    while (await app.store.clients.removeUnused(unused)) acts += 1
    t.ok(acts > 1, 'in several acts')
    t.equal(await app.store.clients.find(client_id), undefined)
    t.same(await app.store.grants.list({ client_id }), [])
  },
)

/** A token that was revoked and an assertion that was used, both living for as long as they can. */
async function refused(t: Test, clock: TestClock) {
  const app = await build(t, { ACCESS_TOKEN_TTL: 172_800 }, { clock })
  const site = await createSite(app)
  const agent = await createKeyedAgent(app)
  const { access_token } = await signIn(app, site, agent)
  await post(app, '/revoke', site, { token: access_token })
  const { request_id } = await open(app, site)
  const assertion = await signAssertion(app, agent, { request_id, ...site })
  t.equal((await authenticateByKey(app, request_id, assertion)).statusCode, 200)
  const { jti = '', exp = 0 } = decodeJwt(assertion)
  return {
    app,
    assertStillRefused: async () => {
      const { active } = (await post(app, '/introspect', site, { token: access_token })).json()
      t.equal(active, false, 'the token stays revoked')
      const again = await app.store.agentKeys.useAssertion(agent.agent_id, jti, exp)
      t.equal(again, false, 'the assertion stays used')
    },
  }
}

t.test('a system time that was ahead for a while removes nothing that comes back', async (t) => {
  for (const [name, seconds] of [
    ['an hour', 3600],
    ['a day', 86_400],
    ['three days', 3 * 86_400],
    ['a year', 365 * 86_400],
  ] as const) {
    await t.test(name, async (t) => {
      const clock = new TestClock()
      const { app, assertStillRefused } = await refused(t, clock)
      const grants = (await app.store.grants.list({})).length
      const keys = (await app.keys.list()).length
      clock.jump(seconds)
      for (let turn = 0; turn < 3; turn += 1) {
        clock.advance(60)
        await app.maintenance.run()
      }
      clock.jump(-seconds)
      for (let turn = 0; turn < 3; turn += 1) {
        clock.advance(60)
        await app.maintenance.run()
      }
      await assertStillRefused()
      t.equal((await app.store.grants.list({})).length, grants, 'the sign-ins are there')
      t.equal((await app.keys.list()).length, keys, 'no key was rotated')
    })
  }
})

t.test('a removed row does not become valid again when the clock is set back', async (t) => {
  const clock = new TestClock()
  const { app, assertStillRefused } = await refused(t, clock)
  clock.advance(2 * 3600)
  await app.maintenance.run()
  clock.jump(-2 * 3600)
  await assertStillRefused()
})

t.test('after the system time was set, maintenance skips a run and logs it', async (t) => {
  const clock = new TestClock()
  const lines: string[] = []
  const app = await build(
    t,
    { LOG_LEVEL: 'warn' },
    { clock, logStream: { write: (line) => void lines.push(line) } },
  )
  const site = await createSite(app)
  await open(app, site)
  const { request_id } = await open(app, site)
  clock.advance(app.settings.AUTHORIZATION_REQUEST_TTL + 4000)
  const isThere = async () => (await app.store.authorizationRequests.find(request_id)) !== undefined
  clock.jump(-61)
  await app.maintenance.run()
  t.equal(await isThere(), true)
  t.match(
    lines.map((line) => JSON.parse(line)),
    [{ seconds: -61, msg: /system time was set/ }],
  )
  clock.advance(60)
  clock.jump(60)
  await app.maintenance.run()
  t.equal(await isThere(), false, 'a correction of up to a minute is none')
  t.equal(lines.length, 1)
})

t.test('two secrets are valid while one replaces the other', async (t) => {
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
