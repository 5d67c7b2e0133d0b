import { statSync } from 'node:fs'
import t from 'tap'
import { build } from '../harness.ts'
import { fresh, json, run } from './command.ts'

t.test('a website and an agent are registered, shown, changed and removed', async (t) => {
  const environment = fresh(t)
  const empty = await run(environment, 'client', 'list')
  t.same(empty, { code: 0, out: 'No client is registered.\n', err: '' })

  const uris = ['https://a.example/cb', 'http://localhost/cb']
  const site = ['client', 'create', '--name', 'Shop', '--redirect-uri', ...uris]
  const { client_id, client_secret, grant_types } = await json(environment, ...site)
  t.match(client_secret, /^cs_/)
  t.same(grant_types, ['authorization_code', 'refresh_token'], 'it gets refresh tokens')
  t.match(await json(environment, 'client', 'show', client_id), { redirect_uris: uris })
  const { client_secret: rotated } = await json(environment, 'client', 'rotate-secret', client_id)
  t.not(rotated, client_secret)
  const renamed = await json(environment, 'client', 'update', client_id, '--name', 'Store')
  t.match(renamed, { client_name: 'Store', redirect_uris: uris })
  t.match(await json(environment, 'client', 'disable', client_id), { disabled_at: Number })
  t.match(await json(environment, 'client', 'enable', client_id), { disabled_at: null })
  t.match((await run(environment, 'client', 'list')).out, /^client_id +name.*\nclient_\S+ +Store/)
  await json(environment, 'client', 'delete', client_id)
  t.same(await json(environment, 'client', 'list'), [])

  const created = await run(environment, 'agent', 'create', '--email', 'o@example.com')
  t.match(created.out, /agent_secret +ags_[\s\S]*not shown again/)
  const [agent] = await json(environment, 'agent', 'list')
  t.match(agent, { agent_id: /^agent_/, email: 'o@example.com', agent_secret: undefined })
  const next = await json(environment, 'agent', 'rotate-secret', agent.agent_id, '--overlap', '60')
  t.match(next, { agent_id: agent.agent_id, agent_secret: /^ags_/ })
  const moved = await json(environment, 'agent', 'update', agent.agent_id, '--email', 'p@b.example')
  t.match(moved, { email: 'p@b.example', email_verified: false })
  const vouch = ['agent', 'update', agent.agent_id, '--email-verified']
  t.match(await json(environment, ...vouch, 'yes'), { email_verified: true })
  t.match(await json(environment, ...vouch, 'no'), { email_verified: false })
  const vouched = ['agent', 'create', '--email', 'v@example.com', '--email-verified']
  t.match(await json(environment, ...vouched), { email_verified: true })
  t.match(await json(environment, 'agent', 'disable', agent.agent_id), { disabled_at: Number })
  t.match(await json(environment, 'agent', 'delete', agent.agent_id), { deleted: true })

  const { kid } = await json(environment, 'key', 'rotate', '--now')
  t.match(await json(environment, 'key', 'list'), [{}, { kid }])
  t.equal((await json(environment, 'key', 'list')).length, 2)
})

t.test('a public client has no secret', async (t) => {
  const site = ['client', 'create', '--name', 'App', '--redirect-uri', 'http://127.0.0.1/cb']
  const created = await json(fresh(t), ...site, '--public')
  t.match(created, { client_secret: undefined, token_endpoint_auth_method: 'none' })
})

t.test('the operator says at which clients agents may poll the code', async (t) => {
  const environment = fresh(t)
  const create = ['client', 'create', '--name', 'App', '--redirect-uri', 'http://127.0.0.1/cb']
  t.equal((await json(environment, ...create)).legacy_polling, true, 'it has a secret')
  const { client_id, legacy_polling } = await json(environment, ...create, '--public')
  t.equal(legacy_polling, false)
  const update = ['client', 'update', client_id, '--legacy-polling']
  t.equal((await json(environment, ...update, 'yes')).legacy_polling, true)
  t.equal((await json(environment, ...update, 'no')).legacy_polling, false)
  const allowed = await json(environment, ...create, '--public', '--legacy-polling', 'yes')
  t.equal(allowed.legacy_polling, true)
  t.equal((await run(environment, ...update, 'maybe')).code, 2)
})

t.test('a backup is a whole database that its owner alone reads', async (t) => {
  const environment = fresh(t)
  const { agent_id } = await json(environment, 'agent', 'create', '--email', 'o@example.com')
  const file = `${t.testdirName}/copy.db`
  await json(environment, 'backup', file)
  t.equal(statSync(file).mode & 0o777, 0o600)
  const key = `${environment.DATABASE_URL?.slice('sqlite:'.length)}.key`
  const copy = { DATABASE_URL: `sqlite:${file}`, ENCRYPTION_KEY_FILE: key }
  t.match(await json(copy, 'agent', 'list'), [{ agent_id }])
  t.match(await run(environment, 'backup', file), { code: 1, err: /already/ })
})

t.test(
  'key rotate --now warns that verifiers refuse new tokens, and names the way without a gap',
  async (t) => {
    const environment = fresh(t)
    const app = await build(t)
    const keySet = await app.inject('/.well-known/jwks.json')
    const [, maxAge] = /max-age=(\d+)/.exec(String(keySet.headers['cache-control'])) ?? []
    t.ok(maxAge)
    const rotated = await run(environment, 'key', 'rotate', '--now')
    t.match(rotated, { code: 0, out: /signs from/ })
    t.match(rotated.err, `refuse new tokens for up to ${maxAge} seconds`)
    t.match(rotated.err, '"auth-agent key rotate", without --now')
    const asJson = await run(environment, 'key', 'rotate', '--now', '--yes', '--json')
    t.match(JSON.parse(asJson.out), { kid: String })
    t.match(JSON.parse(asJson.err), { warning: new RegExp(`${maxAge} seconds`) })
    t.equal((await run(environment, 'key', 'rotate')).err, '', 'no gap, no warning')
  },
)
