import t from 'tap'
import { fresh, json, run } from './command.ts'

t.test('an API is registered, shown, changed and removed', async (t) => {
  const environment = fresh(t)
  const uri = 'https://api.example/mcp'
  const scope = ['--scope', 'read', 'write']
  const created = await json(environment, 'resource', 'create', '--uri', uri, ...scope)
  t.match(created, {
    resource_id: /^rs_/,
    resource_secret: /^rss_/,
    uri,
    scopes: ['read', 'write'],
    open_to: 'registered',
  })
  const { resource_id, resource_secret } = created

  t.match(await json(environment, 'resource', 'list'), [{ resource_id, uri }])
  const shown = await json(environment, 'resource', 'show', resource_id)
  t.match(shown, { resource_id, uri })
  t.notOk(JSON.stringify(shown).includes(resource_secret), 'its secret is shown once')

  const change = ['--scope', 'admin', '--name', 'The API']
  const updated = await json(environment, 'resource', 'update', resource_id, ...change)
  t.match(updated, { uri, name: 'The API', scopes: ['admin'] })
  const opened = ['resource', 'update', resource_id, '--open-to', 'anyone']
  t.match(await json(environment, ...opened), { name: 'The API', open_to: 'anyone' })
  t.match((await run(environment, 'resource', 'list')).out, /open_to.*\n.* anyone /)
  const wrong = await run(environment, 'resource', 'update', resource_id, '--open-to', 'all')
  t.match(wrong, { code: 2, err: /registered, anyone/ })
  const rotated = await json(environment, 'resource', 'rotate-secret', resource_id)
  t.match(rotated.resource_secret, /^rss_/)
  t.not(rotated.resource_secret, resource_secret)

  await json(environment, 'resource', 'delete', resource_id)
  t.equal((await run(environment, 'resource', 'show', resource_id)).code, 1)
})

t.test('a client for itself and a token to register clients with', async (t) => {
  const environment = fresh(t)
  const grant = ['--grant-type', 'client_credentials', '--scope', 'read']
  const client = await json(environment, 'client', 'create', '--name', 'Job', ...grant)
  t.match(client, { grant_types: ['client_credentials'], scope: 'read', client_secret: /^cs_/ })
  const wider = await json(environment, 'client', 'update', client.client_id, '--scope', 'a', 'b')
  t.equal(wider.scope, 'a b')

  const args = ['--name', 'Bob', '--expires-in', '60']
  const token = await json(environment, 'registration-token', 'create', ...args)
  t.match(token, { token_id: /^riat_/, initial_access_token: /^iat_/ })
  const listed = await json(environment, 'registration-token', 'list')
  t.match(listed, [{ token_id: token.token_id, name: 'Bob' }])
  t.notOk(JSON.stringify(listed).includes(token.initial_access_token))
  await json(environment, 'registration-token', 'delete', token.token_id)
  t.same(await json(environment, 'registration-token', 'list'), [])
})

t.test(
  'an API may be registered beside one that has a slash more or less, and is told so',
  async (t) => {
    const environment = fresh(t)
    const create = (...args: string[]) => run(environment, 'resource', 'create', ...args)
    const first = await create('--uri', 'https://api.example/mcp')
    t.match(first, { code: 0 })
    t.notMatch(first.out, /also registered/)
    t.match(await create('--uri', 'https://api.example/mcp/'), {
      code: 0,
      out: /https:\/\/api\.example\/mcp is also registered.*From now on they are two resources/,
    })
    const twin = await json(environment, 'resource', 'create', '--uri', 'https://api.example/mcp//')
    t.match(twin, { twin_uri: 'https://api.example/mcp/' })
    const other = await json(
      environment,
      'resource',
      'create',
      '--uri',
      'https://other.example/mcp',
    )
    t.notOk('twin_uri' in other)
  },
)
