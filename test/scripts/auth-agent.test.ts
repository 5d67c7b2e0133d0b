import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { Settings } from '../../plugins/core/settings.ts'
import { pkce } from '../harness.ts'

const script = join(import.meta.dirname, '../../scripts/auth-agent.ts')
const esc = '\u001b'

type Environment = Record<string, string>

function start(environment: Environment, args: string[]): ChildProcess {
  return spawn(process.execPath, [script, ...args], {
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

async function run(environment: Environment, ...args: string[]) {
  const child = start(environment, args)
  const { stdout, stderr } = child
  if (!stdout || !stderr) throw new Error('no output')
  const [out, err, [code]] = await Promise.all([text(stdout), text(stderr), once(child, 'exit')])
  return { code: code as number, out, err }
}

async function json(environment: Environment, ...args: string[]) {
  const { code, out, err } = await run(environment, ...args, '--json')
  if (code !== 0) throw new Error(err)
  return JSON.parse(out)
}

function fresh(t: Test): Environment {
  return { DATABASE_URL: `sqlite:${t.testdir({})}/data/auth-agent.db` }
}

/** A server as a process of its own, on a port that is free. */
async function serve(t: Test, environment: Environment) {
  const PORT = String(await freePort())
  const child = start({ ...environment, PORT }, ['serve'])
  t.teardown(() => child.kill('SIGKILL'))
  const lines: Record<string, unknown>[] = []
  child.stdout?.on('data', (data) => {
    for (const line of String(data).trim().split('\n')) lines.push(JSON.parse(line))
  })
  while (lines.length === 0 && child.exitCode === null) {
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  return { url: `http://localhost:${PORT}`, child, lines }
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, 'localhost')
  await once(server, 'listening')
  const address = server.address()
  server.close()
  return typeof address === 'object' && address !== null ? address.port : 0
}

t.test('a website and an agent are registered, shown, changed and removed', async (t) => {
  const environment = fresh(t)
  const empty = await run(environment, 'client', 'list')
  t.same(empty, { code: 0, out: 'No client is registered.\n', err: '' })

  const uris = ['https://a.example/cb', 'http://localhost/cb']
  const site = ['client', 'create', '--name', 'Shop', '--redirect-uri', ...uris]
  const { client_id, client_secret } = await json(environment, ...site)
  t.match(client_secret, /^cs_/)
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
  t.match(moved, { email: 'p@b.example' })
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

t.test('what is refused is one sentence, and nothing is written', async (t) => {
  const environment = fresh(t)
  const site = (uri: string) => ['client', 'create', '--name', 'Shop', '--redirect-uri', uri]
  const refusals: [string[], number, RegExp][] = [
    [site('http://shop.example/cb'), 1, /must be https/],
    [site('https://shop.example/cb#part'), 1, /fragment/],
    [site('https://*.shop.example/cb'), 1, /\*/],
    [site('nonsense'), 1, /nonsense/],
    [['client', 'create', '--name', `a${esc}[31m`, '--redirect-uri', 'https://a.b/'], 1, /name/],
    [['client', 'create', '--redirect-uri', 'https://a.b/'], 2, /--name/],
    [['agent', 'create', '--email', 'nobody'], 1, /mail/],
    [['agent', 'create'], 2, /--email/],
    [['agent', 'show', `agent_${esc}[31m`], 1, /There is no agent_/],
    [['agent', 'update', 'agent_x'], 2, /nothing to change/],
    [['client', 'rotate-secret', 'client_x', '--overlap', '-1'], 2, /seconds/],
    [['client', 'delete', 'client_x'], 1, /client_x/],
    [['grant', 'revoke', 'grant_x'], 1, /grant_x/],
    [[`no${esc}such`], 2, /unknown command/],
  ]
  await run(environment, 'client', 'list')
  const outcomes = await Promise.all(refusals.map(([args]) => run(environment, ...args)))
  for (const [index, [args, code, sentence]] of refusals.entries()) {
    const refused = outcomes[index]
    if (refused === undefined) throw new Error('no outcome')
    t.match(refused, { code, out: '', err: sentence }, args.join(' '))
    t.notOk(refused.err.includes(esc) || /^ +at /m.test(refused.err), 'no escape, no stack trace')
  }
  const asJson = await run(environment, ...site('http://shop.example/cb'), '--json')
  t.match(JSON.parse(asJson.err), { error: 'invalid_redirect_uri', error_description: /https/ })
  const usage = await run(environment, 'agent', 'create', '--json')
  t.match(JSON.parse(usage.err), { error: 'usage', error_description: /--email/ })
  t.same(await json(environment, 'client', 'list'), [])
  t.same(await json(environment, 'agent', 'list'), [])
})

t.test('bad settings stop any command with one message that names them all', async (t) => {
  const environment = { ...fresh(t), PORT: 'x', ISSUER: 'http://a.example', LOG_LEVEL: 'loud' }
  for (const args of [['serve'], ['client', 'list']]) {
    const { code, err } = await run(environment, ...args)
    t.equal(code, 1)
    for (const name of ['PORT=x', 'ISSUER=', 'LOG_LEVEL=loud']) t.match(err, name)
    t.notMatch(err, /^ +at /m)
  }
})

t.test('a wrong encryption key is one sentence', async (t) => {
  const environment = fresh(t)
  await run(environment, 'key', 'list')
  const wrong = await run({ ...environment, ENCRYPTION_KEY: 'ab'.repeat(32) }, 'key', 'list')
  t.match(wrong, { code: 1, out: '', err: /ENCRYPTION_KEY: is not the one/ })
  t.notMatch(wrong.err, /^ +at /m)
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

t.test('the server ends gracefully and starts again with its data and keys', async (t) => {
  const environment = fresh(t)
  const redirect_uri = 'https://shop.example/cb'
  const site = ['client', 'create', '--name', 'Shop', '--redirect-uri', redirect_uri]
  const { client_id } = await json(environment, ...site)
  const { agent_id, agent_secret } = await json(environment, 'agent', 'create', '--email', 'o@b.co')
  const first = await serve(t, environment)
  t.match(first.lines[0], { msg: `serving ${first.url}, listening on http://` })

  const open = async (): Promise<string> => {
    const { code_challenge } = pkce()
    const query = { client_id, redirect_uri, code_challenge, code_challenge_method: 'S256' }
    const parameters = new URLSearchParams({ response_type: 'code', state: 's', ...query })
    const headers = { accept: 'application/json' }
    const answer = await fetch(`${first.url}/authorize?${parameters}`, { headers })
    return ((await answer.json()) as { request_id: string }).request_id
  }
  const authenticated = await fetch(`${first.url}/api/agent/authenticate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ request_id: await open(), agent_id, agent_secret, model: 'm' }),
  })
  t.equal(authenticated.status, 200)
  const request_id = await open()

  const port = new URL(first.url).port
  const inUse = await run({ ...fresh(t), PORT: port }, 'serve')
  t.match(inUse, { code: 1, err: `Port ${port} is in use on localhost` })

  const held = fetch(`${first.url}/api/check-status?request_id=${request_id}&wait=25`)
  // A second request that is answered says that the first one has arrived.
  await fetch(`${first.url}/healthz`)
  first.child.kill('SIGTERM')
  t.same(await (await held).json(), { status: 'pending' })
  if (first.child.exitCode === null) await once(first.child, 'exit')
  t.equal(first.child.exitCode, 0)
  const file = environment.DATABASE_URL?.slice('sqlite:'.length)
  t.notOk(existsSync(`${file}-wal`), 'the database was closed')

  const keys = await json(environment, 'key', 'list')
  const second = await serve(t, environment)
  const jwks = await (await fetch(`${second.url}/.well-known/jwks.json`)).json()
  t.match(jwks, { keys: [{ kid: keys[0].kid }] })
  t.match(await json(environment, 'client', 'list'), [{ client_id }])
})

t.test('the README names every setting with its default', async (t) => {
  const readme = readFileSync(join(import.meta.dirname, '../../README.md'), 'utf8')
  const rows = [...readme.matchAll(/^\| `([A-Z_]+)` \| (?:`(.*?)`)? *\| (.*) \|$/gm)]
  const settings = Object.entries(Settings.properties).map(([name, property]) => [
    name,
    property.default === undefined ? undefined : String(property.default),
    property.description,
  ])
  t.same(
    rows.map(([, ...row]) => row),
    settings,
  )
})
