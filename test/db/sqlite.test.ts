import { chmodSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import { sql } from 'kysely'
import t from 'tap'
import { SqliteEngine } from '../../db/sqlite.ts'
import { type Act, db } from '../../db/statement.ts'
import { buildApp } from '../../plugins/app.ts'
import { createAgent, createSite, getCode, redeem, refresh, signIn } from '../harness.ts'
import { makeFolder } from '../processes.ts'

t.test('a database that cannot be written answers 503 and loses nothing', async (t) => {
  const file = join(makeFolder(t), 'data.db')
  const app = await buildApp({ DATABASE_URL: `sqlite:${file}`, LOG_LEVEL: 'silent' })
  t.teardown(() => app.close())
  const site = await createSite(app)
  const agent = await createAgent(app)
  const code = await getCode(app, site, agent)
  const { refresh_token } = await signIn(app, site, agent)

  const other = new Database(file)
  other.exec('BEGIN IMMEDIATE')
  const refused = await Promise.all([redeem(app, site, code), refresh(app, site, refresh_token)])
  for (const response of refused) {
    t.equal(response.statusCode, 503, 'locked for longer than the timeout')
    t.match(response.json(), { error: 'temporarily_unavailable', error_description: /./ })
    t.ok(response.headers['retry-after'])
    t.equal(response.headers['cache-control'], 'no-store')
  }
  other.exec('ROLLBACK')
  other.close()
  t.equal((await redeem(app, site, code)).statusCode, 200, 'the code is still good')
  t.equal((await refresh(app, site, refresh_token)).statusCode, 200, 'and the refresh token')
})

t.test('of acts that share a commit, one that throws undoes itself alone', async (t) => {
  const app = await buildApp({ DATABASE_URL: 'sqlite::memory:', LOG_LEVEL: 'silent' })
  t.teardown(() => app.close())
  const site = await createSite(app)
  const agent = await createAgent(app)
  const codes = [await getCode(app, site, agent), await getCode(app, site, agent)]
  const [good, bad] = codes
  if (good === undefined || bad === undefined) throw new Error('no code')
  const [refused, redeemed] = await Promise.all([
    redeem(app, site, bad, { redirect_uri: 'https://site.example/other' }),
    redeem(app, site, good),
  ])
  t.equal(redeemed.statusCode, 200)
  t.equal(refused.statusCode, 400)
  t.equal((await redeem(app, site, bad)).statusCode, 200)

  const client = { ...(await app.store.clients.find(site.client_id)) } as never
  const name = { client_name: 'Renamed' }
  const outcomes = await Promise.allSettled([
    app.store.clients.create(client, undefined),
    app.store.clients.update(site.client_id, name, app.clock.now()),
  ])
  t.same(
    outcomes.map(({ status }) => status),
    ['rejected', 'fulfilled'],
  )
  t.match(await app.store.clients.find(site.client_id), name)
})

t.test('of reads that share a snapshot, one that throws fails alone', async (t) => {
  const engine = await SqliteEngine.open(':memory:')
  t.teardown(() => engine.close())
  function* broken(): Act<void> {
    yield sql`SELECT nothing`.compile(db)
  }
  const outcomes = await Promise.allSettled([engine.read(broken), engine.foreignVersion()])
  t.same(
    outcomes.map(({ status }) => status),
    ['rejected', 'fulfilled'],
  )
  t.equal(await engine.foreignVersion(), 1, 'and the next one works')
})

t.test('the database and what lies beside it are for the operator alone', async (t) => {
  const folder = makeFolder(t)
  chmodSync(folder, 0o755)
  const app = await buildApp({
    DATABASE_URL: `sqlite:${join(folder, 'data.db')}`,
    LOG_LEVEL: 'silent',
  })
  t.teardown(() => app.close())
  await createSite(app)
  const files = readdirSync(folder)
  t.ok(files.includes('data.db') && files.includes('data.db-wal'), files.join(' '))
  for (const file of files) t.equal(statSync(join(folder, file)).mode & 0o077, 0, file)
})

t.test('a new database can be opened twice at once by one process', async (t) => {
  const DATABASE_URL = `sqlite:${join(makeFolder(t), 'data.db')}`
  const settings = { DATABASE_URL, LOG_LEVEL: 'silent' } as const
  const apps = await Promise.all([buildApp(settings), buildApp(settings)])
  t.teardown(() => Promise.all(apps.map((app) => app.close())))
  const [one, other] = apps
  const site = await createSite(one)
  t.ok(await other.store.clients.find(site.client_id), 'what one writes the other reads')
})

t.test(
  'a query that is executed outside an act fails, and does not answer with nothing',
  async (t) => {
    await t.rejects(
      db.selectFrom('clients').selectAll().execute(),
      /yield what compile\(\) returns/,
    )
    await t.rejects(db.deleteFrom('clients').executeTakeFirst(), /yield what compile\(\) returns/)
  },
)
