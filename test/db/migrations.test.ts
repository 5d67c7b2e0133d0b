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
    const { owner_id: holder_id, ...secret } = rows.secrets ?? {}
    for (const [table, row] of Object.entries({ ...rows, secrets: { ...secret, holder_id } })) {
      t.match(now.prepare(`SELECT * FROM ${table}`).get(), row, `${table}, ${time}`)
    }
    t.same(now.pragma('foreign_key_check'), [], time)
    t.same(now.pragma('integrity_check'), [{ integrity_check: 'ok' }], time)
    now.close()
  }
})

t.test(
  'of the sites of an agent, an upgrade keeps what only an operator can have typed',
  async (t) => {
    const file = join(makeFolder(t), 'data.db')
    const old = new Database(file)
    const kysely = new Kysely<unknown>({ dialect: new SqliteDialect({ database: old }) })
    const provider = { getMigrations: async () => migrations }
    await new Migrator({ db: kysely, provider }).migrateTo('0006-fewer-pages')
    const stranger = 'https://client.example/client.json'
    for (const [client_id, origin] of [
      ['client_operator', 'operator'],
      ['client_dynamic', 'dynamic'],
      [stranger, 'document'],
    ]) {
      old
        .prepare(
          `INSERT INTO clients (client_id, client_name, redirect_uris, grant_types,
          token_endpoint_auth_method, id_token_signed_response_alg, origin, created_at)
        VALUES (?, 'Site', '[]', '[]', 'none', 'RS256', ?, 1)`,
        )
        .run(client_id, origin)
    }
    const sites = ['client_operator', 'client_dynamic', 'client_gone', stranger, 'shop.example']
    for (const [agent_id, policy] of [
      ['agent_asks', 'ask'],
      ['agent_registered', 'registered'],
      ['agent_list', 'list'],
      ['agent_without', undefined],
    ] as const) {
      old.prepare("INSERT INTO agents VALUES (?, 'o@x.example', NULL, 1, NULL)").run(agent_id)
      if (policy !== undefined) {
        old
          .prepare("INSERT INTO agent_policies VALUES (?, ?, 1, 'any', 'allow', '[]', '[]')")
          .run(agent_id, policy)
      }
      for (const site of sites) {
        old.prepare('INSERT INTO agent_sites VALUES (?, ?, 1)').run(agent_id, site)
      }
    }
    old.exec(`INSERT INTO authorization_requests (request_id, client_id, redirect_uri, scope,
      response_mode, code_challenge, created_at, expires_at)
    VALUES ('req_1', 'client_operator', 'https://shop.example/', 'openid', 'query', 'x', 1, 9);
    INSERT INTO approvals VALUES
      ('req_1', 'agent_asks', 'model', NULL, 'agent_secret', 'hash', 4, 'pending', 1, 1, 9)`)
    await kysely.destroy()

    const store = await openStore(`sqlite:${file}`)
    t.teardown(() => store.close())
    const kept = async (agent_id: string) => (await store.policies.ofAgent(agent_id)).allowed_sites
    t.same(await kept('agent_asks'), ['client_operator', 'shop.example'])
    t.same(await kept('agent_registered'), ['client_operator', 'shop.example'])
    t.same(await kept('agent_list'), [...sites].sort(), 'nobody would be asked there')
    t.same(await kept('agent_without'), [], 'nobody has typed anything')
    t.match(await store.approvals.find('req_1', 'agent_asks'), {
      status: 'pending',
      tries_left: 4,
      code_hash: null,
      mailed_at: null,
      mails_left: 3,
    })
  },
)

t.test('an API from before that could be said is open to registered clients alone', async (t) => {
  const file = join(makeFolder(t), 'data.db')
  const old = new Database(file)
  const kysely = new Kysely<unknown>({ dialect: new SqliteDialect({ database: old }) })
  const provider = { getMigrations: async () => migrations }
  await new Migrator({ db: kysely, provider }).migrateTo('0006-fewer-pages')
  old
    .prepare(
      "INSERT INTO resources VALUES ('rs_1', 'https://api.example', 'https://api.example/', NULL, '[]', 7)",
    )
    .run()
  await kysely.destroy()
  const store = await openStore(`sqlite:${file}`)
  t.match(await store.resources.list(), [{ resource_id: 'rs_1', open_to: 'registered' }])
  store.close()
})

t.test('the migrations are numbered without a gap', async (t) => {
  const numbers = Object.keys(migrations).map((name) => Number(name.slice(0, 4)))
  t.same(
    numbers,
    numbers.map((_, index) => index + 1),
  )
})
