import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import Database from 'better-sqlite3'
import { Pool } from 'undici'
import { table } from './report.ts'

/**
 * Measures requests during faults of the machine: a log that cannot be written, a long sweep, and many
 * waits that end together. `--root` measures another checkout, such as an older one.
 */
const { values } = parseArgs({
  options: {
    root: { type: 'string', default: join(import.meta.dirname, '..') },
    rows: { type: 'string', default: '200000' },
    polls: { type: 'string', default: '10000' },
    only: { type: 'string', multiple: true, default: ['log', 'sweep', 'polls', 'half-sent'] },
  },
})
const root = resolve(values.root)
const { buildApp } = await import(join(root, 'plugins/app.ts'))

mkdirSync('data', { recursive: true })
const home = mkdtempSync(join('data', 'faults-'))
const children = new Set<ChildProcess>()

interface Server {
  child: ChildProcess
  origin: string
  port: number
  refresh: () => Promise<void>
}

/** A server on a database with one grant, which is refreshed repeatedly. */
async function start(name: string, output: number | 'pipe', seed?: Seed): Promise<Server> {
  const file = resolve(home, `${name}.db`)
  const app = await buildApp(
    { DATABASE_URL: `sqlite:${file}`, LOG_LEVEL: 'silent' },
    { endpoints: [] },
  )
  const { client, client_secret } = await app.registration.createClient({
    client_name: 'Bench',
    redirect_uris: ['https://site.example/cb'],
  })
  const { agent } = await app.registration.createAgent({ email: 'owner@example.com' })
  const ids = { client_id: client.client_id, agent_id: agent.agent_id }
  const database = new Database(file)
  seed?.(database, ids)
  database
    .prepare(
      `INSERT INTO grants (grant_id, client_id, agent_id, model, scope, amr, created_at, expires_at,
       expiry_check_at, refresh_generation) VALUES ('grant_x', ?, ?, '', 'email', '', ?, ?, ?, 0)`,
    )
    .run(ids.client_id, ids.agent_id, app.clock.now(), 9e9, 9e9)
  database.close()
  let token: string = app.tokens.sealRefreshToken('grant_x', 0)
  await app.close()

  const port = 20_000 + Math.floor(Math.random() * 20_000)
  const child = spawn(process.execPath, [join(root, 'scripts/auth-agent.js'), 'serve'], {
    env: { ...process.env, DATABASE_URL: `sqlite:${file}`, HOST: '127.0.0.1', PORT: String(port) },
    stdio: ['ignore', output, 'ignore'],
  })
  children.add(child)
  const origin = `http://127.0.0.1:${port}`
  const pool = new Pool(origin, { connections: 4, headersTimeout: 5000 })
  while (child.exitCode === null) {
    try {
      await (await pool.request({ path: '/healthz', method: 'GET' })).body.dump()
      break
    } catch {
      await sleep(50)
    }
  }
  const headers = { 'content-type': 'application/x-www-form-urlencoded' }
  const refresh = async () => {
    const body = new URLSearchParams({
      grant_type: 'refresh_token',
      refresh_token: token,
      client_id: ids.client_id,
      client_secret,
    })
    const question = { path: '/token', method: 'POST', headers, body: String(body) } as const
    const answer = await pool.request(question)
    const tokens = (await answer.body.json()) as { refresh_token?: string }
    if (tokens.refresh_token === undefined) throw new Error(JSON.stringify(tokens))
    token = tokens.refresh_token
  }
  await refresh()
  return { child, origin, port, refresh }
}

type Seed = (database: Database.Database, ids: { client_id: string; agent_id: string }) => void

/** The milliseconds that refreshes take, one after the other with short pauses. */
async function measure(server: Server, seconds: number) {
  const took: number[] = []
  const end = performance.now() + seconds * 1000
  while (performance.now() < end) {
    const began = performance.now()
    await server.refresh()
    took.push(performance.now() - began)
    await sleep(5)
  }
  took.sort((a, b) => a - b)
  const at = (share: number) =>
    `${(took[Math.floor((took.length - 1) * share)] ?? 0).toFixed(1)} ms`
  return { p50: at(0.5), p99: at(0.99), most: at(1) }
}

async function end(server: Server): Promise<string> {
  const began = performance.now()
  server.child.kill('SIGTERM')
  const timer = setTimeout(() => server.child.kill('SIGKILL'), 15_000)
  if (server.child.exitCode === null && server.child.signalCode === null)
    await once(server.child, 'exit')
  clearTimeout(timer)
  const { exitCode, signalCode } = server.child
  const seconds = ((performance.now() - began) / 1000).toFixed(1)
  return signalCode === null ? `exit ${exitCode} after ${seconds} s` : 'never (killed after 15 s)'
}

/** Counts how many of 1,000 refreshes are answered, and how the server then exits. */
async function faultyLog(
  name: string,
  output: number | 'pipe',
  breakIt?: (server: Server) => void,
) {
  let answered = 0
  try {
    const server = await start(name, output)
    breakIt?.(server)
    try {
      for (; answered < 1000; answered += 1) await server.refresh()
    } catch {}
    return [name, `${answered} of 1,000`, await end(server)]
  } catch {
    return [name, 'none', 'ended by itself']
  }
}

function expire(
  database: Database.Database,
  ids: { client_id: string; agent_id: string },
  rows: number,
) {
  const insert = (sql: string) => {
    const statement = database.prepare(sql)
    for (let row = 0; row < rows; row += 1) statement.run({ id: `${Math.random()}${row}`, ...ids })
  }
  database.transaction(() => {
    insert("INSERT INTO events (event_id, at, event, outcome) VALUES (@id, 1, 'agent', 'x')")
    insert('INSERT INTO client_assertions (client_id, jti, expires_at) VALUES (@client_id, @id, 1)')
    insert(`INSERT INTO authorization_requests (request_id, client_id, redirect_uri, scope, response_mode,
      code_challenge, created_at, expires_at) VALUES (@id, @client_id, '', '', 'query', '', 1, 1)`)
    insert(`INSERT INTO grants (grant_id, client_id, agent_id, model, scope, amr, created_at, expires_at,
      expiry_check_at) VALUES (@id, @client_id, @agent_id, '', '', '', 1, 1, 1)`)
  })()
  database.pragma('wal_checkpoint(TRUNCATE)')
}

/** Measures refreshes in the minute after the first sweep, which begins a minute after the start. */
async function sweep(rows: number) {
  const server = await start('sweep', openSync('/dev/null', 'w'), (database, ids) =>
    expire(database, ids, rows / 4),
  )
  const quiet = await measure(server, 5)
  await sleep(53_000)
  const busy = await measure(server, 20)
  await end(server)
  return [
    ['refresh, quiet', ...Object.values(quiet)],
    [`refresh, ${rows} expired rows are removed`, ...Object.values(busy)],
  ]
}

/** Measures the longest time of /healthz while the waits of many connections end together. */
async function polls(count: number) {
  const now = Math.floor(Date.now() / 1000)
  const server = await start('polls', openSync('/dev/null', 'w'), (database, { client_id }) => {
    database
      .prepare(`INSERT INTO authorization_requests (request_id, client_id, redirect_uri, scope, response_mode,
        code_challenge, created_at, expires_at) VALUES ('req_x', ?, '', '', 'query', '', ?, ?)`)
      .run(client_id, now, now + 600)
  })
  const pool = new Pool(server.origin, { connections: 1 })
  const wait = 20
  const request = `GET /api/check-status?request_id=req_x&wait=${wait} HTTP/1.1\r\nHost: x\r\n\r\n`
  const sockets: { socket: Socket; answered: Promise<unknown> }[] = []
  while (sockets.length < count) {
    const socket = connect(server.port, '127.0.0.1')
    socket.on('error', () => undefined)
    sockets.push({ socket, answered: once(socket, 'data').catch(() => undefined) })
    if (sockets.length % 100 === 0) await sleep(10)
  }
  await sleep(2000)
  const began = performance.now()
  for (const { socket } of sockets) socket.write(request)
  await sleep(wait * 1000 * 0.85 - (performance.now() - began))
  let done = false
  const all = Promise.all(sockets.map(({ answered }) => answered)).then(() => {
    done = true
  })
  let most = 0
  while (!done) {
    const asked = performance.now()
    await (await pool.request({ path: '/healthz', method: 'GET' })).body.dump()
    most = Math.max(most, performance.now() - asked)
    await sleep(2)
  }
  await all
  for (const { socket } of sockets) socket.destroy()
  await end(server)
  return [`${count} waits that began together end`, `${most.toFixed(0)} ms`]
}

/** How a server exits while the body of a request is incomplete. */
async function halfSent() {
  const server = await start('half-sent', openSync('/dev/null', 'w'))
  const socket = connect(server.port, '127.0.0.1')
  socket.on('error', () => undefined)
  socket.write(
    'POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{',
  )
  await sleep(200)
  return ['half a body has arrived', await end(server)]
}

try {
  const only = (name: string) => values.only.includes(name)
  if (only('log')) {
    const rows = [
      await faultyLog('log on a full disk', openSync('/dev/full', 'w')),
      await faultyLog('log in a pipe that nobody reads', 'pipe'),
      await faultyLog('log in a pipe whose reader has gone', 'pipe', ({ child }) =>
        child.stdout?.destroy(),
      ),
    ]
    console.log(table(['fault', 'refreshes answered', 'SIGTERM'], rows))
  }
  if (only('polls')) {
    const rows = [await polls(Number(values.polls))]
    console.log(`\n${table(['', 'slowest /healthz'], rows)}`)
  }
  if (only('half-sent')) console.log(`\n${table(['', 'SIGTERM'], [await halfSent()])}`)
  if (only('sweep')) {
    const rows = await sweep(Number(values.rows))
    console.log(`\n${table(['', 'p50', 'p99', 'slowest'], rows)}`)
  }
} finally {
  for (const child of children) child.kill('SIGKILL')
  rmSync(home, { recursive: true })
}
