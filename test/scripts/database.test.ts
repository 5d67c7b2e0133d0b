import { existsSync, readdirSync, renameSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import Database from 'better-sqlite3'
import t from 'tap'
import { fresh, json, nowhere, run, serve } from './command.ts'

const pathOf = ({ DATABASE_URL = '' }: Record<string, string>) => DATABASE_URL.slice(7)

t.test('a command creates neither a database nor a key file', async (t) => {
  const environment = nowhere(t)
  const folder = dirname(pathOf(environment))
  for (const args of [
    ['client', 'list'],
    ['agent', 'create', '--email', 'o@example.com'],
    ['key', 'rotate'],
    ['grant', 'list'],
    ['db', 'vacuum'],
    ['backup', `${t.testdirName}/copy.db`],
  ]) {
    const refused = await run(environment, ...args)
    t.match(refused, { code: 1, out: '' }, args.join(' '))
    t.match(refused.err, `There is no database at ${pathOf(environment)}`)
    t.match(refused.err, /auth-agent serve.*DATABASE_URL/)
    t.notMatch(refused.err, /^ +at /m)
  }
  t.notOk(existsSync(folder), 'nothing was made')
  t.match(await json(environment, 'db', 'create'), environment)
  t.same(await json(environment, 'client', 'list'), [])
})

t.test('the server makes its database, and commands find it gone', async (t) => {
  const environment = nowhere(t)
  const { child } = await serve(t, environment)
  t.same(await json(environment, 'client', 'list'), [])
  renameSync(pathOf(environment), `${pathOf(environment)}.old`)
  const refused = await run(environment, 'client', 'list')
  t.match(refused, { code: 1, err: /There is no database/ })
  t.notOk(existsSync(pathOf(environment)), 'no other one is made beside the server')
  child.kill('SIGKILL')
})

t.test(
  'while another process writes a command reads, waits to write, and then says why',
  async (t) => {
    const environment = fresh(t)
    const other = new Database(pathOf(environment))
    other.exec('BEGIN IMMEDIATE')
    t.same(await json(environment, 'client', 'list'), [])
    const refused = await run(environment, 'agent', 'create', '--email', 'o@example.com')
    t.match(refused, { code: 1, out: '', err: /is locked: another process is writing/ })
    t.match(refused.err, pathOf(environment))
    t.notMatch(refused.err, /^ +at /m)
    other.exec('ROLLBACK')
    other.close()
    t.same(await json(environment, 'agent', 'list'), [], 'nothing was changed')
  },
)

t.test(
  'a database that shrank gives its space back: new ones in steps, all by db vacuum',
  async (t) => {
    const environment = fresh(t)
    const file = pathOf(environment)
    const old = new Database(file)
    old.pragma('auto_vacuum = NONE')
    old.exec('VACUUM')
    old.exec('CREATE TABLE much (text); BEGIN')
    const insert = old.prepare('INSERT INTO much VALUES (?)')
    for (let row = 0; row < 2000; row += 1) insert.run('x'.repeat(2000))
    old.exec('COMMIT; DROP TABLE much')
    old.pragma('wal_checkpoint(TRUNCATE)')
    old.close()
    const large = statSync(file).size
    t.match(await run(environment, 'db', 'vacuum'), { code: 0, out: /rewritten/ })
    t.ok(statSync(file).size < large / 5, `${large} to ${statSync(file).size}`)
    const now = new Database(file)
    t.equal(now.pragma('auto_vacuum', { simple: true }), 2, 'and in steps from now on')
    t.same(now.pragma('integrity_check'), [{ integrity_check: 'ok' }])
    now.close()
    t.ok(readdirSync(dirname(file)).length > 0)
  },
)
