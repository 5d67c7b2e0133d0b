import { copyFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { build, createAgent, createSite, getCode, redeem } from '../harness.ts'
import { makeFolder } from '../processes.ts'

async function makeServer(t: Test) {
  const file = join(makeFolder(t), 'data.db')
  const lines: Record<string, unknown>[] = []
  const app = await build(
    t,
    { DATABASE_URL: `sqlite:${file}`, LOG_LEVEL: 'info' },
    { logStream: { write: (line) => void lines.push(JSON.parse(line)) } },
  )
  const site = await createSite(app)
  const agent = await createAgent(app)
  return { file, app, lines, site, agent }
}

/** Asks until it says so, as whoever watches a server does. */
async function until(app: FastifyInstance, statusCode: number): Promise<Record<string, unknown>> {
  for (let tries = 0; tries < 400; tries += 1) {
    const response = await app.inject('/readyz')
    if (response.statusCode === statusCode) return response.json()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error(`/readyz never answered ${statusCode}`)
}

/** How often the log says that something is wrong with the database, or that it is over. */
function count(lines: Record<string, unknown>[], reason: string, msg: RegExp): number {
  return lines.filter((line) => line.reason === reason && msg.test(String(line.msg))).length
}

t.test('a server that can write and sign is ready', async (t) => {
  const app = await build(t)
  t.match((await app.inject('/readyz')).json(), { status: 'ready' })
  t.match((await app.inject('/healthz')).json(), { status: 'ok' })
})

const changes: [name: string, change: (file: string) => void][] = [
  ['deleted', (file) => rmSync(file)],
  ['moved away', (file) => renameSync(file, `${file}.old`)],
  [
    'replaced by a copy',
    (file) => {
      copyFileSync(file, `${file}.copy`)
      renameSync(`${file}.copy`, file)
    },
  ],
  ['without its write-ahead log', (file) => rmSync(`${file}-wal`)],
]
for (const [name, change] of changes) {
  t.test(`a database that is ${name} while it is in use is not written any more`, async (t) => {
    const { file, app, lines, site, agent } = await makeServer(t)
    const code = await getCode(app, site, agent)
    await until(app, 200)
    change(file)
    t.match(await until(app, 503), {
      error: 'temporarily_unavailable',
      error_description: /replaced/,
    })
    t.equal((await redeem(app, site, code)).statusCode, 503, 'nothing is answered that gets lost')
    t.equal((await redeem(app, site, code)).statusCode, 503)
    t.equal((await app.inject('/healthz')).statusCode, 200, 'the process lives')
    t.equal((await app.inject('/.well-known/jwks.json')).statusCode, 200, 'reads go on')
    t.equal(count(lines, 'replaced', /was deleted, moved or replaced/), 1, 'it is logged once')
    t.ok(lines.some((line) => line.reason === 'replaced' && line.database === file))
  })
}

t.test('a database that comes back is written again', async (t) => {
  const { file, app, lines, site, agent } = await makeServer(t)
  const code = await getCode(app, site, agent)
  renameSync(file, `${file}.away`)
  await until(app, 503)
  renameSync(`${file}.away`, file)
  await until(app, 200)
  t.equal((await redeem(app, site, code)).statusCode, 200)
  t.equal(count(lines, 'replaced', /used again/), 1)
})

t.test('a server whose database another process keeps locked is not ready', async (t) => {
  const { file, app, lines } = await makeServer(t)
  const other = new Database(file)
  other.exec('BEGIN IMMEDIATE')
  t.match(await until(app, 503), { error_description: /locked/ })
  t.equal((await app.inject('/healthz')).statusCode, 200)
  other.exec('ROLLBACK')
  other.close()
  await until(app, 200)
  t.equal(count(lines, 'locked', /is locked/), 1)
  t.equal(count(lines, 'locked', /used again/), 1)
})

t.test('those who ask together whether the server is ready share one write', async (t) => {
  const { file, app } = await makeServer(t)
  const watcher = new Database(file)
  watcher.exec(`CREATE TABLE beats (at integer);
    CREATE TRIGGER beat AFTER INSERT ON heartbeat BEGIN INSERT INTO beats VALUES (new.at); END;
    CREATE TRIGGER next_beat AFTER UPDATE ON heartbeat BEGIN INSERT INTO beats VALUES (new.at); END`)
  const answers = await Promise.all(Array.from({ length: 200 }, () => app.inject('/readyz')))
  t.ok(answers.every(({ statusCode }) => statusCode === 200))
  const writes = watcher.prepare('SELECT count(*) FROM beats').pluck().get()
  t.ok(Number(writes) > 0 && Number(writes) < 20, `${writes} writes`)
  watcher.close()
})

t.test('a damaged database is unavailable, and the log names the file', async (t) => {
  const { file, app, lines, site, agent } = await makeServer(t)
  const code = await getCode(app, site, agent)
  const other = new Database(file)
  other.pragma('wal_checkpoint(TRUNCATE)')
  const pages = other.pragma('page_count', { simple: true }) as number
  other.close()
  // In place, as a failing disk does it.
  const header = Buffer.alloc(4096, 0xa5)
  writeFileSync(file, Buffer.concat(Array.from({ length: pages }, () => header)), { flag: 'r+' })
  const { statusCode } = await redeem(app, site, code)
  t.equal(statusCode, 503)
  t.match(await until(app, 503), { error_description: /damaged/ })
  t.equal(count(lines, 'damaged', /is damaged or is not a SQLite database/), 1)
  t.ok(lines.some((line) => line.reason === 'damaged' && line.database === file))
})

t.test('a file that is no database stops the start with a sentence', async (t) => {
  const file = join(makeFolder(t), 'data.db')
  writeFileSync(file, 'This is a letter.\n'.repeat(1000))
  const ENCRYPTION_KEY = 'ab'.repeat(32)
  await t.rejects(build(t, { DATABASE_URL: `sqlite:${file}`, ENCRYPTION_KEY }), {
    name: 'DatabaseUnavailableError',
    message: new RegExp(`${file} is damaged or is not a SQLite database`),
  })
})
