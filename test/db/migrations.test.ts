import { join } from 'node:path'
import Database from 'better-sqlite3'
import { Kysely, SqliteDialect } from 'kysely'
import { Migrator } from 'kysely/migration'
import t from 'tap'
import { migrations } from '../../db/migrations/index.ts'
import { openStore } from '../../db/store.ts'
import { makeFolder } from '../processes.ts'

t.test('a database of the first version, filled, is brought up to date without loss', async (t) => {
  const file = join(makeFolder(t), 'data.db')
  const [first = ''] = Object.keys(migrations)
  const old = new Database(file)
  const kysely = new Kysely<unknown>({ dialect: new SqliteDialect({ database: old }) })
  const provider = { getMigrations: async () => migrations }
  const { error } = await new Migrator({ db: kysely, provider }).migrateTo(first)
  t.equal(error, undefined)

  const tables = old
    .prepare("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT GLOB '*_*ysely*'")
    .pluck()
    .all() as string[]
  const rows: Record<string, Record<string, unknown>> = {}
  const order = ['clients', 'agents', 'grants']
  for (const table of [...order, ...tables.filter((name) => !order.includes(name))]) {
    if (table.startsWith('kysely') || table.startsWith('sqlite')) continue
    const columns = old.pragma(`table_info(${table})`) as { name: string; type: string }[]
    const row = Object.fromEntries(
      columns.map(({ name, type }) => [name, type === 'TEXT' || type === 'text' ? name : 7]),
    )
    if (table === 'clients') Object.assign(row, { redirect_uris: '[]', grant_types: '[]' })
    const names = Object.keys(row)
    const marks = names.map(() => '?').join()
    old.prepare(`INSERT INTO ${table} (${names}) VALUES (${marks})`).run(Object.values(row))
    rows[table] = row
  }
  t.ok(Object.keys(rows).length >= 7)
  await kysely.destroy()

  for (const time of ['upgraded', 'opened again']) {
    const store = await openStore(`sqlite:${file}`)
    store.close()
    const now = new Database(file)
    for (const [table, row] of Object.entries(rows)) {
      t.match(now.prepare(`SELECT * FROM ${table}`).get(), row, `${table}, ${time}`)
    }
    t.same(now.pragma('foreign_key_check'), [], time)
    t.same(now.pragma('integrity_check'), [{ integrity_check: 'ok' }], time)
    now.close()
  }
})
