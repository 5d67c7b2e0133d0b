import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import t from 'tap'
import { pkce } from '../harness.ts'
import { freePort, fresh, json, run, serve } from './command.ts'
import { isAnswering } from './logged-server.ts'

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
  const inUse = await run({ ...environment, PORT: port }, 'serve')
  t.match(inUse, { code: 1, err: `Port ${port} is in use on localhost` })

  const held = fetch(`${first.url}/api/check-status?request_id=${request_id}&wait=25`)
  // A second request that is answered says that the first one has arrived.
  await fetch(`${first.url}/healthz`)
  first.child.kill('SIGTERM')
  const answer = await held
  t.equal(answer.headers.get('connection'), 'close')
  t.same(await answer.json(), { status: 'pending' })
  if (first.child.exitCode === null) await once(first.child, 'exit')
  t.equal(first.child.exitCode, 0)
  t.match(first.lines.at(-1), { msg: 'answered', route: '/api/check-status' }, 'nothing is lost')
  const file = environment.DATABASE_URL?.slice('sqlite:'.length)
  t.notOk(existsSync(`${file}-wal`), 'the database was closed')

  const keys = await json(environment, 'key', 'list')
  const second = await serve(t, environment)
  const jwks = await (await fetch(`${second.url}/.well-known/jwks.json`)).json()
  t.match(jwks, { keys: [{ kid: keys[0].kid }] })
  t.match(await json(environment, 'client', 'list'), [{ client_id }])
})

t.test('SIGTERM to npm start ends the server, and leaves nothing on its port', async (t) => {
  const PORT = String(await freePort())
  const environment = { ...process.env, ...fresh(t), PORT }
  const child = spawn('npm', ['start'], { env: environment, stdio: 'ignore', detached: true })
  t.teardown(() => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, 'SIGKILL')
  })
  await isAnswering(`http://localhost:${PORT}`, child)
  child.kill('SIGTERM')
  await once(child, 'exit')
  await t.resolves(becomesFree(`http://localhost:${PORT}/healthz`))
})

/** Ends when nobody answers any more. */
async function becomesFree(url: string): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const answer = await fetch(url).catch(() => undefined)
    if (answer === undefined) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  throw new Error('The server still answers')
}
