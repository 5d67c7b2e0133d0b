import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { Child } from './calls.ts'
import { type Answer, connect, type Question, send } from './http.ts'
import { median, milliseconds, table } from './report.ts'
import type { StrangersHandlers } from './servers/strangers.ts'

/** The commit before strangers were bounded. */
const BEFORE = '5ce2260'
/** The longest duration of a kind of load, in milliseconds. */
const LONGEST = 8000
/** How long secrets are guessed, in milliseconds. */
const GUESSING = 2000
const CONNECTIONS = 32
/** How many registrations are sent at once, before a first check. */
const BURST = 20
const REQUESTS = 600
const REGISTRATIONS = 100

type Server = Child<StrangersHandlers>
type Site = Awaited<ReturnType<StrangersHandlers['client']>>
type Ask = (n: number) => Question

/** An address of one home line, which has a /56: 256 networks of the size /64. */
const homeLine = (n: number) => `2001:db8:1:${(n % 256).toString(16)}::1`
/** An address of a line of its own. */
const anyLine = (n: number) => `2001:db8:${((n % 60_000) + 2).toString(16)}::1`

function form(path: string, address: string, fields: Record<string, string>): Question {
  return {
    method: 'POST',
    path,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'x-forwarded-for': address,
    },
    body: new URLSearchParams(fields).toString(),
  }
}

function register(address: string, metadata: Record<string, unknown>): Question {
  return {
    method: 'POST',
    path: '/register',
    headers: { 'content-type': 'application/json', 'x-forwarded-for': address },
    body: JSON.stringify({ redirect_uris: ['https://x.example/callback'], ...metadata }),
  }
}

/** Opens a request of the largest accepted size. */
function authorize(address: string, { client_id, redirect_uri }: Site): Question {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id,
    redirect_uri,
    code_challenge: 'x'.repeat(43),
    code_challenge_method: 'S256',
    state: 's'.repeat(3072),
    nonce: 'n'.repeat(1024),
  })
  return { path: `/authorize?${query}`, headers: { 'x-forwarded-for': address } }
}

/** Sends requests over all connections until all were sent or the time is over. */
async function load(origin: string, total: number, ask: Ask, longest = LONGEST): Promise<Answer[]> {
  const until = performance.now() + longest
  const answers: Answer[] = []
  let asked = 0
  const clients = Array.from({ length: CONNECTIONS }, () => connect(origin))
  await Promise.all(
    clients.map(async (client) => {
      while (asked < total && performance.now() < until) {
        asked += 1
        answers.push(await send(client, ask(asked)))
      }
    }),
  )
  await Promise.all(clients.map((client) => client.destroy()))
  return answers
}

/** How long a client of the operator waits when it sends its secret for the first time. */
async function firstCheck(server: Server, origin: string, site: Site): Promise<number> {
  const { client_id, client_secret } = site
  const client = connect(origin)
  const start = performance.now()
  const question = form('/introspect', '192.0.2.1', { client_id, client_secret, token: 'x' })
  const { status, body } = await send(client, question)
  const duration = performance.now() - start
  await client.destroy()
  if (status !== 200) throw new Error(`${server.pid}: ${status} ${body}`)
  return duration
}

const count = (answers: Answer[], status: number) =>
  answers.filter((answer) => answer.status === status).length

async function measure(tree: string): Promise<Record<string, string>> {
  const figures: Record<string, string> = {}
  const withServer = async (run: (server: Server, origin: string) => Promise<void>) => {
    const directory = mkdtempSync(join(tmpdir(), 'bench-strangers-'))
    const server: Server = new Child('servers/strangers.ts', [tree, directory])
    try {
      await run(server, await server.call('origin'))
    } finally {
      await server.stop()
      rmSync(directory, { recursive: true })
    }
  }

  await withServer(async (server, origin) => {
    const quiet: number[] = []
    for (let round = 0; round < 3; round += 1) {
      quiet.push(await firstCheck(server, origin, await server.call('client')))
    }
    figures['an honest client’s first check, quiet'] = milliseconds(median(quiet))

    const site = await server.call('client')
    const start = performance.now()
    const guessing = load(
      origin,
      Number.POSITIVE_INFINITY,
      (n) => {
        const client_id = `client_${n}`
        return form('/introspect', homeLine(n), { client_id, client_secret: 'cs_x', token: 'x' })
      },
      GUESSING,
    )
    await setTimeout(GUESSING / 2)
    const during = await firstCheck(server, origin, site)
    const guesses = await guessing
    figures[`… while one home line guesses over ${CONNECTIONS} connections`] = milliseconds(during)
    const seconds = (performance.now() - start) / 1000
    figures['guesses that were answered, a second'] = (count(guesses, 401) / seconds).toFixed(0)
  })

  await withServer(async (server, origin) => {
    const site = await server.call('client')
    const clients = Array.from({ length: BURST }, () => connect(origin))
    const registering = clients.map((client, n) => send(client, register(anyLine(n), {})))
    await setTimeout(300)
    const delay = await firstCheck(server, origin, site)
    figures[`… behind ${BURST} registrations of as many lines`] = milliseconds(delay)
    await Promise.all(registering)
    await Promise.all(clients.map((client) => client.destroy()))
  })

  const store = async (
    name: string,
    [total, status]: [total: number, status: number],
    ask: (n: number, site: Site) => Question,
  ) => {
    await withServer(async (server, origin) => {
      const site = await server.call('client')
      const before = await server.call('bytes')
      const answers = await load(origin, total, (n) => ask(n, site))
      const stored = count(answers, status)
      const bytes = (await server.call('bytes')) - before
      figures[`${name}: stored of those sent`] = `${stored} of ${answers.length}`
      figures[`${name}: kB each`] = (bytes / 1000 / Math.max(1, stored)).toFixed(1)
    })
  }
  const requests: [number, number] = [REQUESTS, 200]
  const registrations: [number, number] = [REGISTRATIONS, 201]
  await store('requests of one home line', requests, (n, site) => authorize(homeLine(n), site))
  await store('requests of many lines', requests, (n, site) => authorize(anyLine(n), site))
  const public_ = { token_endpoint_auth_method: 'none' }
  const uris = (total: number) =>
    Array.from({ length: total }, (_, n) => `https://x.example/${n}/`.padEnd(2000, 'x'))
  for (const [name, line] of [
    ['one home line', homeLine],
    ['many lines', anyLine],
  ] as const) {
    await store(`registrations of ${name}`, registrations, (n) =>
      register(line(n), { ...public_, redirect_uris: uris(3) }),
    )
  }
  await store('registrations with 30 long redirect URIs', registrations, (n) =>
    register(anyLine(n), { ...public_, redirect_uris: uris(30) }),
  )
  return figures
}

const here = resolve(import.meta.dirname, '..')
mkdirSync(join(here, 'data'), { recursive: true })
const worktree = mkdtempSync(join(here, 'data', 'before-'))
const git = (...parameters: string[]) =>
  execFileSync('git', ['-C', here, ...parameters], { stdio: ['ignore', 'ignore', 'inherit'] })
let before: Record<string, string>
try {
  git('worktree', 'add', '--detach', '--force', worktree, BEFORE)
  symlinkSync(join(here, 'node_modules'), join(worktree, 'node_modules'))
  before = await measure(worktree)
} finally {
  git('worktree', 'remove', '--force', worktree)
}
const after = await measure(here)
const rows = Object.keys(after).map((name) => [name, before[name] ?? '', after[name] ?? ''])
console.log(table(['', `before (${BEFORE})`, 'after'], rows))
