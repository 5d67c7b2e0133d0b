import { join } from 'node:path'
import Database from 'better-sqlite3'
import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
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
import { makeFolder } from '../processes.ts'

/**
 * From the next change of a table on (once it is committed, and already in the same transaction),
 * reading any of these other tables fails in SQLite itself: each is a view that overflows an integer
 * when a flag is set, and a trigger sets it.
 */
function failReadsAfter(file: string, change: string, tables: string[]): { mend: () => void } {
  const database = new Database(file)
  database.exec('CREATE TABLE fault (is_on integer); INSERT INTO fault VALUES (0)')
  for (const table of tables) {
    const columns = database.pragma(`table_info(${table})`) as { name: string }[]
    const names = columns.map(({ name }) => name)
    const [first, ...rest] = names
    database.exec(`ALTER TABLE ${table} RENAME TO kept_${table};
      CREATE VIEW ${table} AS SELECT
        CASE WHEN (SELECT is_on FROM fault) THEN abs(-9223372036854775808) ELSE ${first} END
        AS ${first}, ${rest.join(', ')} FROM kept_${table}`)
  }
  database.exec(`CREATE TRIGGER fail_reads AFTER ${change} BEGIN UPDATE fault SET is_on = 1; END`)
  return {
    mend: () => {
      const isOn = database.prepare('SELECT is_on FROM fault').pluck().get()
      database.exec('DROP TRIGGER fail_reads')
      for (const table of tables) {
        database.exec(`DROP VIEW ${table}; ALTER TABLE kept_${table} RENAME TO ${table}`)
      }
      database.exec('DROP TABLE fault')
      database.close()
      if (isOn !== 1) throw new Error('The fault did not happen')
    },
  }
}

async function makeServer(t: Test) {
  const file = join(makeFolder(t), 'data.db')
  const clock = new TestClock()
  const app = await build(t, { DATABASE_URL: `sqlite:${file}` }, { clock })
  const site = await createSite(app)
  const agent = await createAgent(app)
  return { file, clock, app, site, agent }
}

const scope = 'openid email'
/** What an answer that tells of tokens and sign-ins could still want to read. */
const READ = ['agents', 'signing_keys', 'resources']

t.test('a refresh that is committed is answered, whatever fails afterwards', async (t) => {
  const { file, clock, app, site, agent } = await makeServer(t)
  const { refresh_token } = await signIn(app, site, agent, { scope })
  // Longer than a process goes by what it last read of the keys.
  clock.advance(60)
  const { mend } = failReadsAfter(file, 'UPDATE OF refresh_generation ON grants', READ)
  const refreshed = await refresh(app, site, refresh_token)
  mend()
  t.equal(refreshed.statusCode, 200, refreshed.body)
  t.match(refreshed.json(), { access_token: /./, id_token: /./ })
  t.equal((await refresh(app, site, refreshed.json().refresh_token)).statusCode, 200)
})

t.test('a code that is redeemed is answered, whatever fails afterwards', async (t) => {
  const { file, clock, app, site, agent } = await makeServer(t)
  await signIn(app, site, agent, { scope })
  const code = await getCode(app, site, agent, { scope })
  clock.advance(30)
  const { mend } = failReadsAfter(file, 'UPDATE OF refresh_generation ON grants', READ)
  const redeemed = await redeem(app, site, code)
  mend()
  t.equal(redeemed.statusCode, 200, redeemed.body)
  t.equal((await refresh(app, site, redeemed.json().refresh_token)).statusCode, 200)
})

const FAULTS: [
  name: string,
  change: string,
  tables: string[],
  act: (server: Awaited<ReturnType<typeof makeServer>>) => Promise<{
    ask: () => Promise<LightMyRequestResponse>
    status: number
  }>,
][] = [
  [
    'a revocation',
    'UPDATE OF revoked_at ON grants',
    ['agents', 'events'],
    async ({ app, site, agent }) => {
      const { refresh_token } = await signIn(app, site, agent)
      return { ask: () => post(app, '/revoke', site, { token: refresh_token }), status: 200 }
    },
  ],
  [
    'the revocation that a replay causes',
    'UPDATE OF revoked_at ON grants',
    ['events', 'signing_keys'],
    async ({ app, site, agent }) => {
      const { refresh_token } = await signIn(app, site, agent)
      await refresh(app, site, refresh_token)
      return { ask: () => refresh(app, site, refresh_token), status: 400 }
    },
  ],
  [
    'a sign-in of an agent',
    'UPDATE OF grant_id ON authorization_requests',
    ['signing_keys', 'resources'],
    async ({ app, site, agent }) => {
      const { request_id } = await open(app, site)
      return { ask: () => authenticate(app, request_id, agent), status: 200 }
    },
  ],
]
for (const [name, change, tables, act] of FAULTS) {
  t.test(`${name} that is committed is answered, whatever fails afterwards`, async (t) => {
    const server = await makeServer(t)
    const { ask, status } = await act(server)
    server.clock.advance(30)
    const { mend } = failReadsAfter(server.file, change, tables)
    const { statusCode, body } = await ask()
    mend()
    t.equal(statusCode, status, body)
  })
}

t.test('what cannot be read before the commit changes nothing', async (t) => {
  const { file, clock, app, site, agent } = await makeServer(t)
  const { refresh_token } = await signIn(app, site, agent, { scope })
  clock.advance(60)
  const { mend } = failReadsAfter(file, 'INSERT ON client_assertions', ['signing_keys'])
  const database = new Database(file)
  database.exec('UPDATE fault SET is_on = 1')
  t.equal((await refresh(app, site, refresh_token)).statusCode, 500)
  mend()
  database.close()
  t.equal((await refresh(app, site, refresh_token)).statusCode, 200, 'the token is still good')
})
