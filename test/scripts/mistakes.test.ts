import { spawn } from 'node:child_process'
import { mkdirSync, openSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import Database from 'better-sqlite3'
import { exportJWK, generateKeyPair } from 'jose'
import t from 'tap'
import { readEnvironment, Settings } from '../../plugins/core/settings.ts'
import { readKeySet } from '../../scripts/commands/json-file.ts'
import { wholeNumber } from '../../scripts/commands/options.ts'
import { build, createAgent, createSite } from '../harness.ts'
import { codeCache, makeFolder } from '../processes.ts'
import {
  assertSentence,
  type Environment,
  ending,
  fresh,
  json,
  run,
  runProcess,
} from './command.ts'

const shop = ['client', 'create', '--name', 'Shop', '--redirect-uri', 'https://shop.example/a']

function fileOf({ DATABASE_URL = '' }: Environment): string {
  return DATABASE_URL.slice('sqlite:'.length)
}

t.test('RFC 7517 section 5: a key set is read as editors write it, or refused', async (t) => {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const jwk = { ...(await exportJWK(publicKey)), kid: 'one' }
  const set = JSON.stringify({ keys: [jwk] })
  const secret = await exportJWK(privateKey)
  const rsa = { kty: 'RSA', n: 'AQAB', e: 'AQAB' }
  const files: [name: string, content: string | Buffer, refusal: RegExp | undefined][] = [
    ['a set', set, undefined],
    ['a key alone', JSON.stringify(jwk), undefined],
    ['a byte order mark', `\ufeff${set}`, undefined],
    ['UTF-16 of a Windows shell', Buffer.from(`\ufeff${set}`, 'utf16le'), undefined],
    ['nothing', '', /does not hold JSON/],
    ['a PEM', '-----BEGIN PUBLIC KEY-----\n', /does not hold JSON/],
    ['bytes', Buffer.from([0xff, 0xd8, 0x00, 0x80]), /does not hold JSON/],
    ['an array', JSON.stringify([jwk]), /JSON object/],
    ['a text', '"keys"', /JSON object/],
    ['null', 'null', /JSON object/],
    ['an object', '{}', /Key Set/],
    ['no key', '{"keys":[]}', /Key Set/],
    ['keys that are no list', '{"keys":{"kty":"EC"}}', /Key Set/],
    ['a key that is no object', '{"keys":[1]}', /Key Set/],
    ['a key without kind', '{"keys":[{"kid":"a"}]}', /kty/],
    ['a private key', JSON.stringify({ keys: [jwk, secret] }), /private or secret/],
    ['a private key alone', JSON.stringify(secret), /private or secret/],
    ['primes', JSON.stringify({ keys: [{ ...rsa, p: 'x' }] }), /private or secret/],
    ['a secret', '{"keys":[{"kty":"oct","k":"x"}]}', /private or secret/],
  ]
  const app = await build(t)
  const folder = makeFolder(t)
  const register = async (file: string) =>
    app.registration.createClient({
      client_name: 'Job',
      redirect_uris: [],
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: readKeySet(file),
    })
  for (const [name, content, refusal] of files) {
    const file = join(folder, name)
    writeFileSync(file, content)
    if (refusal !== undefined) await t.rejects(register(file), { message: refusal }, name)
    else t.match((await register(file)).client.jwks, { keys: [{ kid: 'one' }] }, name)
  }
  const { client: old } = await register(join(folder, 'a set'))
  await app.store.clients.update(old.client_id, { jwks: { keys: [] } }, app.clock.now())
  const disabled = await app.registration.updateClient(old.client_id, { disabled_at: 1 })
  t.equal(disabled.disabled_at, 1, 'what an older version took can still be disabled')
  await app.store.clients.delete(old.client_id)
  const good = files.filter(([, , refusal]) => refusal === undefined)
  t.equal((await app.store.clients.list()).length, good.length, 'nothing else is written')

  const environment = fresh(t)
  const client = ['client', 'create', '--name', 'Job', '--grant-type', 'client_credentials']
  for (const name of ['missing', '', 'a PEM', 'a private key']) {
    const file = join(folder, name)
    const refused = await run(environment, ...client, '--jwks-file', file)
    assertSentence(t, refused, `the file "${name}"`)
    t.notOk(refused.err.includes(String(secret.d)), 'no key is shown')
    if (name === 'missing') t.match(refused.err, `${file} cannot be read: there is no such file`)
  }
  t.same(await json(environment, 'client', 'list'), [])
})

t.test('a number is decimal digits, in options and in settings', async (t) => {
  const read = wholeNumber('lines', 1, 600)
  for (const number of [1, 60, 600]) t.equal(read(String(number)), number)
  const strange = ['60.5', '60.0', '1e3', ' 60', '60 ', '0x10', '+60', '060', '60s', '6_0', 'x']
  const more = ['', '-1', '0', '601', '٣', '9'.repeat(30), 'Infinity', 'NaN', '5\n']
  for (const given of [...strange, ...more]) {
    t.throws(() => read(given), { message: /whole number of lines from 1 to 600/ }, given)
  }

  const integers = Object.entries(Settings.properties).filter(([, { type }]) => type === 'integer')
  t.ok(integers.length > 8)
  for (const given of strange) {
    const environment = Object.fromEntries(integers.map(([name]) => [name, given]))
    const lines = messageOf(() => readEnvironment(environment)).split('\n')
    for (const [name] of integers) {
      const line = lines.find((each) => each.trim().startsWith(`${name}=${given}: `))
      t.match(line, /must be a whole number from \d+ to \d+/, `${name}=${given}`)
    }
  }
  t.equal(readEnvironment({ ACCESS_TOKEN_TTL: '60' }).ACCESS_TOKEN_TTL, 60)
  t.equal(readEnvironment({ ACCESS_TOKEN_TTL: '' }).ACCESS_TOKEN_TTL, 3600, 'empty is not given')
})

t.test('a wrong option is named, with its unit and exit code 2', async (t) => {
  const environment = fresh(t)
  const update = ['client', 'update', 'client_x']
  const rows: [string[], RegExp][] = [
    [['agent', 'sign-ins', 'agent_x', '--limit=0x10'], /--limit.*lines from 1 to/],
    [['agent', 'rotate-secret', 'agent_x', '--overlap=1e3'], /--overlap.*seconds/],
    [[...update, '--refresh-reuse-grace=1.5'], /--refresh-reuse-grace.*seconds/],
    [['registration-token', 'create', '--expires-in=0'], /--expires-in.*seconds from 1/],
    [[...update, '--any-scope', '--scope', 'a'], /--any-scope.*--scope/],
    [[...shop, '--public', '--jwks-uri', 'https://a.example/k'], /--public.*--jwks-uri/],
    [
      [...update, '--redirect-uri', 'https://a.b/', '--add-redirect-uri', 'https://c.d/'],
      /--redirect-uri.*cannot be used with.*--add-redirect-uri/,
    ],
    [['client', 'show', 'client_x', 'more'], /too many arguments/],
  ]
  for (const [args, message] of rows) {
    const refused = await run(environment, ...args)
    assertSentence(t, refused, args.join(' '))
    t.match(refused, { code: 2, out: '', err: message }, args.join(' '))
  }
})

t.test('an identifier that nothing has is said to be unknown', async (t) => {
  const environment = fresh(t)
  for (const args of [
    ['client', 'update', 'x_none', '--add-redirect-uri', 'https://a.example/'],
    ['client', 'policy', 'x_none'],
    ['agent', 'list-keys', 'x_none'],
    ['agent', 'sign-ins', 'x_none'],
    ['grant', 'list', '--agent', 'x_none'],
    ['grant', 'list', '--client', 'x_none'],
  ]) {
    const refused = await run(environment, ...args)
    t.match(refused, { code: 1, out: '', err: 'There is no x_none\n' }, args.join(' '))
  }
})

t.test('a policy that is shown is not written', async (t) => {
  const environment = fresh(t)
  const { client_id } = await json(environment, ...shop)
  const { agent_id } = await json(environment, 'agent', 'create', '--email', 'o@example.com')
  t.match(await json(environment, 'client', 'policy', client_id), { allowed_models: [] })
  t.match(await json(environment, 'agent', 'policy', agent_id), { sites: 'registered' })
  const database = new Database(fileOf(environment), { readonly: true })
  for (const table of ['client_policies', 'agent_policies', 'events']) {
    t.equal(database.prepare(`SELECT count(*) FROM ${table}`).pluck().get(), 0, table)
  }
  database.close()
  const mixed = await run(environment, 'agent', 'policy', agent_id, '--allow-site', 'none', 'a.b')
  t.match(mixed, { code: 1, err: /none.*cannot be combined/ })
})

t.test('a policy refuses a site that no sign-in could match', async (t) => {
  const app = await build(t)
  const { client_id } = await createSite(app)
  const { agent_id } = await createAgent(app)
  const sites: [given: string, stored: string | undefined][] = [
    ['shop.example', 'shop.example'],
    ['SHOP.example.', 'shop.example'],
    ['shop.example:443', 'shop.example'],
    ['shop.example:8443', 'shop.example:8443'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['https://shop.example', 'shop.example'],
    ['https://shop.example/', 'shop.example'],
    ['http://127.0.0.1:3000', '127.0.0.1:3000'],
    ['https://shop.example/client.json', 'https://shop.example/client.json'],
    [client_id, client_id],
    ['shop.example/path', undefined],
    ['http://shop.example/client.json', undefined],
    ['https://user@shop.example', undefined],
    ['https://shop.example?x', undefined],
    ['*.shop.example', undefined],
    ['*', undefined],
    ['a b', undefined],
    ['', undefined],
  ]
  for (const [given, stored] of sites) {
    const changed = app.policies.changeAgent(agent_id, { allowed_sites: [given] })
    if (stored !== undefined) t.same((await changed).allowed_sites, [stored], given)
    else await t.rejects(changed, { code: 'invalid_request' }, `${given} is refused`)
  }
})

t.test('RFC 6749 section 3.3: scopes are stored word by word', async (t) => {
  const environment = fresh(t)
  const created = await json(environment, ...shop, '--scope', 'b  a', 'b', '\ta\n')
  t.equal(created.scope, 'b a')
  const update = ['client', 'update', created.client_id]
  t.equal((await json(environment, ...update, '--scope', ' c d ', 'c')).scope, 'c d')
  const refused = await run(environment, ...update, '--scope', '')
  t.match(refused, { code: 1, out: '', err: /could not ask for any scope.*--any-scope/ })
  t.equal((await json(environment, ...update, '--any-scope')).scope, null, 'a limit can be lifted')

  const api = ['resource', 'create', '--uri', 'https://api.example/', '--scope', 'r  w', 'r']
  const { resource_id, scopes } = await json(environment, ...api)
  t.same(scopes, ['r', 'w'])
  const changed = await json(environment, 'resource', 'update', resource_id, '--scope', 'x x', 'y')
  t.same(changed.scopes, ['x', 'y'])

  const app = await build(t)
  const { client_id } = await createSite(app)
  for (const scope of ['', ' ', 'a"b', 'a\\b', 'é', 'a\tb']) {
    const changed = app.registration.updateClient(client_id, { scope })
    await t.rejects(changed, { code: 'invalid_scope' }, scope)
  }
  t.match(await app.registration.updateClient(client_id, { scope: 'b  a b' }), { scope: 'b a' })
})

t.test('redirect URIs are added and removed one by one', async (t) => {
  const environment = fresh(t)
  const uri = (name: string) => `https://shop.example/${name}`
  const { client_id } = await json(environment, ...shop)
  const update = ['client', 'update', client_id]
  const added = await json(environment, ...update, '--add-redirect-uri', uri('b'), uri('c'))
  t.same(added.redirect_uris, [uri('a'), uri('b'), uri('c')])
  // Operators who act at once do not undo one another.
  await Promise.all([
    json(environment, ...update, '--add-redirect-uri', uri('d'), '--name', 'Store'),
    json(environment, ...update, '--remove-redirect-uri', uri('a')),
    json(environment, ...update, '--add-redirect-uri', uri('b'), '--add-redirect-uri', uri('e')),
  ])
  const shown = await json(environment, 'client', 'show', client_id)
  t.same(shown.redirect_uris.toSorted(), ['b', 'c', 'd', 'e'].map(uri))
  t.equal(shown.client_name, 'Store')

  const app = await build(t)
  const site = await createSite(app, { redirect_uris: [uri('a'), uri('b')] })
  const many = [...Array(49).keys()].map((n) => uri(`n${n}`))
  const refusals: [string[], string[], RegExp][] = [
    [['http://shop.example/'], [], /https/],
    [[uri('c')], [uri('d')], /is not a redirect URI/],
    [[], [uri('a'), uri('b')], /is required/],
    [many, [], /at most 50/],
  ]
  for (const [add, remove, message] of refusals) {
    const edited = app.registration.editRedirectUris(site.client_id, { add, remove })
    await t.rejects(edited, { code: 'invalid_redirect_uri', message })
  }
  const kept = await app.store.clients.find(site.client_id)
  t.same(kept?.redirect_uris, [uri('a'), uri('b')], 'what is refused changes nothing')
  const full = { add: many, remove: [uri('a')] }
  const edited = await app.registration.editRedirectUris(site.client_id, full)
  t.equal(edited.redirect_uris.length, 50)
})

t.test('--version prints the version', async (t) => {
  t.match(await runProcess(fresh(t), '--version'), {
    code: 0,
    out: /^\d+\.\d+\.\d+\n$/,
    err: '',
  })
})

t.test('a database of a newer version is left alone, and the version is named', async (t) => {
  const environment = fresh(t)
  await run(environment, 'client', 'list')
  const database = new Database(fileOf(environment))
  database.exec("INSERT INTO kysely_migration VALUES ('0999-later', '2030-01-01T00:00:00Z')")
  database.exec("INSERT INTO versions VALUES (99, '7.8.9')")
  database.close()
  for (const args of [['client', 'list'], ['serve']]) {
    const refused = await run(environment, ...args)
    assertSentence(t, refused, args.join(' '))
    t.match(refused, { code: 1, out: '', err: /version 7\.8\.9 .*0999-later/ })
  }
})

t.test('a database that cannot be used is reported in one sentence', async (t) => {
  const environment = fresh(t)
  await run(environment, 'client', 'list')
  const file = fileOf(environment)
  const folder = dirname(file)
  const at = (name: string) => ({
    DATABASE_URL: `sqlite:${join(folder, name)}`,
    ENCRYPTION_KEY_FILE: `${file}.key`,
  })
  writeFileSync(join(folder, 'text.db'), 'This is not a database. '.repeat(1000))
  mkdirSync(join(folder, 'folder.db'))
  const bad: [string, Environment][] = [
    ['not a database', at('text.db')],
    ['a folder', at('folder.db')],
    ['below a file', at('text.db/x.db')],
    ['a folder for a key', { ...environment, ENCRYPTION_KEY_FILE: folder }],
  ]
  for (const [name, settings] of bad) {
    assertSentence(t, await run(settings, 'client', 'list'), name)
  }
  assertSentence(t, await run(environment, 'backup', join(folder, 'no/where.db')), 'backup')

  const writer = new Database(file)
  writer.exec('BEGIN IMMEDIATE')
  assertSentence(t, await run(environment, 'agent', 'create', '--email', 'o@b.example'), 'locked')
  writer.exec('ROLLBACK')
  writer.close()
})

t.test('an unexpected error is reported in one sentence', async (t) => {
  const environment = fresh(t)
  await run(environment, 'client', 'list')
  const database = new Database(fileOf(environment))
  database.exec("DELETE FROM kysely_migration WHERE name LIKE '0001%'")
  database.close()
  const broken = await run(environment, 'client', 'list')
  assertSentence(t, broken, 'a migration that is missing')
  t.match(broken, { code: 1, err: /bug in auth-agent: .*migration/ })
  const traced = await run({ ...environment, LOG_LEVEL: 'debug' }, 'client', 'list')
  t.match(traced.err, /^ +at /m, 'with the place where it happened when that is asked for')
})

t.test('output that cannot be written is reported, and the command was carried out', async (t) => {
  const environment = fresh(t)
  await run(environment, 'agent', 'list')
  const script = join(import.meta.dirname, '../../scripts/auth-agent.js')
  const start = (stdout: 'pipe' | number) =>
    spawn(process.execPath, [script, 'agent', 'create', '--email', 'o@example.com'], {
      env: { ...codeCache, ...environment },
      stdio: ['ignore', stdout, 'pipe'],
    })
  const full = start(openSync('/dev/full', 'w'))
  const closed = start('pipe')
  closed.stdout?.destroy()
  const outcomes = await Promise.all([full, closed].map(ending))
  for (const [index, outcome] of outcomes.entries()) {
    const name = index === 0 ? 'a full disk' : 'a closed pipe'
    assertSentence(t, outcome, name)
    t.match(outcome, { code: 1, err: /output was lost/ }, name)
  }
  t.equal((await json(environment, 'agent', 'list')).length, 2)
})

function messageOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof Error) return error.message
  }
  return ''
}
