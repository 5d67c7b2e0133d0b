import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import Database from 'better-sqlite3'
import { milliseconds, table } from './report.ts'

/**
 * Measures what a server answers while another process has locked its database, and after the file was
 * deleted. `--root` names the folder of another version to measure.
 */
const { values } = parseArgs({
  options: { root: { type: 'string', default: join(import.meta.dirname, '..') } },
})
const script = join(resolve(values.root), 'scripts/auth-agent.js')
const folder = mkdtempSync(join(tmpdir(), 'auth-agent-locks-'))
const file = join(folder, 'data/auth-agent.db')
const env = { PATH: process.env.PATH, HOST: '127.0.0.1', PORT: '0', LOG_LEVEL: 'info' }

async function start(): Promise<{ child: ChildProcess; origin: string }> {
  const child = spawn(process.execPath, [script, 'serve'], { cwd: folder, env })
  child.stderr?.resume()
  const lines = createInterface({ input: child.stdout })
  for await (const line of lines) {
    const [, origin] = line.match(/listening on (http[^", ]+)/) ?? []
    if (origin === undefined) continue
    child.stdout?.resume()
    return { child, origin }
  }
  throw new Error('The server ended')
}

interface Answer {
  status: number
  took: number
}

async function ask(url: string, headers: Record<string, string> = {}): Promise<Answer> {
  const began = performance.now()
  const response = await fetch(url, { headers })
  await response.arrayBuffer()
  return { status: response.status, took: performance.now() - began }
}

/** Sends requests one after the other until the time is over. */
async function watch(url: string, seconds: number): Promise<Answer[]> {
  const answers: Answer[] = []
  for (const end = performance.now() + seconds * 1000; performance.now() < end; ) {
    answers.push(await ask(url))
    await sleep(20)
  }
  return answers
}

function row(what: string, answers: Answer[]): string[] {
  const times = answers.map(({ took }) => took).sort((a, b) => a - b)
  const at = (part: number) => times[Math.floor((times.length - 1) * part)] ?? Number.NaN
  const statuses = Object.entries(Object.groupBy(answers, ({ status }) => status))
  const counts = statuses.map(([status, each]) => `${each?.length} × ${status}`).join(', ')
  return [what, counts, milliseconds(at(0.5)), milliseconds(at(1))]
}

const { child, origin } = await start()
const rows: string[][] = []
try {
  const created = execFileSync(
    process.execPath,
    [script, 'client', 'create', '--name', 'A', '--redirect-uri', 'https://a.example/cb', '--json'],
    { cwd: folder, env, encoding: 'utf8' },
  )
  const { client_id } = JSON.parse(created)
  const query = new URLSearchParams({
    response_type: 'code',
    client_id,
    redirect_uri: 'https://a.example/cb',
    code_challenge: 'c'.repeat(43),
    code_challenge_method: 'S256',
  })
  /** A request that writes. */
  const write = () => ask(`${origin}/authorize?${query}`, { accept: 'application/json' })
  await write()
  await ask(`${origin}/.well-known/jwks.json`)

  for (const seconds of [3, 12]) {
    const other = new Database(file)
    other.exec('BEGIN IMMEDIATE')
    const writes: Promise<Answer>[] = []
    const timer = setInterval(() => writes.push(write()), 250)
    const watched = await Promise.all([
      watch(`${origin}/healthz`, seconds),
      watch(`${origin}/.well-known/jwks.json`, seconds),
      watch(`${origin}/readyz`, seconds),
    ])
    clearInterval(timer)
    other.exec('ROLLBACK')
    other.close()
    const names = ['/healthz', '/.well-known/jwks.json', '/readyz']
    names.forEach((name, index) => {
      rows.push(row(`locked for ${seconds} s: ${name}`, watched[index] ?? []))
    })
    rows.push(row(`locked for ${seconds} s: /authorize`, await Promise.all(writes)))
  }

  rmSync(file)
  await sleep(2000)
  const lost: Answer[] = []
  for (const end = performance.now() + 3000; performance.now() < end; ) lost.push(await write())
  rows.push(row('deleted 2 s ago: /authorize', lost))
  rows.push(row('deleted: /readyz', [await ask(`${origin}/readyz`)]))
  rows.push(row('deleted: /healthz', [await ask(`${origin}/healthz`)]))
} finally {
  child.kill('SIGKILL')
  await once(child, 'exit')
  rmSync(folder, { recursive: true })
}
console.log(table(['what', 'answers', 'median', 'longest'], rows))
