import { join } from 'node:path'
import Database from 'better-sqlite3'
import { sql } from 'kysely'
import t, { type Test } from 'tap'
import { SqliteEngine } from '../../db/sqlite.ts'
import { type Act, all, db } from '../../db/statement.ts'
import { build, createAgent, createSite, getCode, redeem, refresh, signIn } from '../harness.ts'
import { makeFolder } from '../processes.ts'

/** Another process's transaction: SQLite tells connections apart, whoever has them. */
function lock(file: string): { end: () => void } {
  const other = new Database(file)
  other.exec('BEGIN IMMEDIATE')
  return {
    end: () => {
      other.exec('ROLLBACK')
      other.close()
    },
  }
}

async function makeSite(t: Test) {
  const file = join(makeFolder(t), 'data.db')
  const app = await build(t, { DATABASE_URL: `sqlite:${file}` })
  const site = await createSite(app)
  const agent = await createAgent(app)
  return { file, app, site, agent }
}

t.test('while another process writes, everything that writes nothing is answered', async (t) => {
  const { file, app, site, agent } = await makeSite(t)
  const { refresh_token } = await signIn(app, site, agent)
  const held = lock(file)
  let isRefreshed = false
  const refreshed = refresh(app, site, refresh_token).finally(() => {
    isRefreshed = true
  })
  for (const url of [
    '/healthz',
    '/.well-known/jwks.json',
    '/.well-known/oauth-authorization-server',
    '/.well-known/openid-configuration',
    '/api/check-status?request_id=req_x',
  ]) {
    const { statusCode } = await app.inject({ url })
    t.equal(statusCode, url.includes('req_x') ? 404 : 200, url)
    t.notOk(isRefreshed, 'while the refresh waits')
  }
  held.end()
  t.equal((await refreshed).statusCode, 200, 'the refresh goes on when the lock is free')
})

t.test('what waits for another process is done in the order in which it was asked', async (t) => {
  const { file, app, site, agent } = await makeSite(t)
  const code = await getCode(app, site, agent)
  const held = lock(file)
  const first = redeem(app, site, code)
  await app.inject('/healthz')
  const second = redeem(app, site, code)
  await app.inject('/healthz')
  held.end()
  t.equal((await first).statusCode, 200)
  t.match((await second).json(), { error: 'invalid_grant' }, 'the later one is the replay')

  const engine = await SqliteEngine.open(file, { existing: true })
  t.teardown(() => engine.close())
  await engine.write(function* () {
    yield sql`CREATE TABLE written (number integer)`.compile(db)
  })
  const again = lock(file)
  const writes = Array.from({ length: 20 }, (_, number) =>
    engine.write(function* () {
      yield sql`INSERT INTO written VALUES (${number})`.compile(db)
    }),
  )
  await new Promise((resolve) => setTimeout(resolve, 50))
  again.end()
  await Promise.all(writes)
  function* written(): Act<{ number: number }[]> {
    return yield* all(sql<{ number: number }>`SELECT number FROM written`.compile(db))
  }
  const numbers = (await engine.read(written)).map(({ number }) => number)
  t.same(numbers, [...numbers.keys()])
})

t.test(
  'a bounded number of acts waits for another process; more are refused at once',
  async (t) => {
    const { file } = await makeSite(t)
    const engine = await SqliteEngine.open(file, { existing: true })
    t.teardown(() => engine.close())
    const held = lock(file)
    const beat = () =>
      engine.write(function* () {
        yield sql`DELETE FROM heartbeat`.compile(db)
      })
    const waiting = Array.from({ length: 5000 }, beat)
    await new Promise((resolve) => setTimeout(resolve, 50))
    await t.rejects(beat(), { name: 'DatabaseUnavailableError', reason: 'locked' })
    held.end()
    await Promise.all(waiting)
  },
)

t.test('what waits for another process is done before the database is closed', async (t) => {
  const { file } = await makeSite(t)
  const engine = await SqliteEngine.open(file, { existing: true })
  const held = lock(file)
  const written = engine.write(function* () {
    yield sql`INSERT INTO heartbeat VALUES (7, 7)`.compile(db)
    return 'written'
  })
  const closed = engine.close()
  await new Promise((resolve) => setTimeout(resolve, 50))
  held.end()
  t.equal(await written, 'written')
  await closed
})

t.test('a start does not wait for a lock when the database is up to date', async (t) => {
  const { file } = await makeSite(t)
  const held = lock(file)
  const app = await build(t, { DATABASE_URL: `sqlite:${file}` })
  t.equal((await app.inject('/healthz')).statusCode, 200)
  held.end()
})

t.test('a new database waits from the event loop until it can be migrated', async (t) => {
  const file = join(makeFolder(t), 'data.db')
  const held = lock(file)
  const building = build(t, { DATABASE_URL: `sqlite:${file}` })
  await new Promise((resolve) => setTimeout(resolve, 50))
  held.end()
  const app = await building
  t.equal((await app.inject('/readyz')).statusCode, 200)
})
