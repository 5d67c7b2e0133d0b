import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { freePort } from './command.ts'

const script = join(import.meta.dirname, '../../scripts/auth-agent.js')

interface LoggedServer {
  url: string
  child: ChildProcess
  /** What standard error has had, by line. */
  errors: () => string[]
  /** The exit code after SIGTERM. */
  end: () => Promise<number | null>
}

/** A server whose standard output is given. Its standard error is read. */
async function serveInto(
  t: Test,
  output: 'pipe' | number,
  environment: Record<string, string> = {},
): Promise<LoggedServer> {
  const PORT = String(await freePort())
  const child = spawn(process.execPath, [script, 'serve'], {
    env: { DATABASE_URL: `sqlite:${t.testdir({})}/a.db`, ...environment, PORT },
    stdio: ['ignore', output, 'pipe'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  let text = ''
  child.stderr?.on('data', (data) => {
    text += data
  })
  const url = `http://localhost:${PORT}`
  await isAnswering(url, child)
  return {
    url,
    child,
    errors: () => text.split('\n').filter((line) => line !== ''),
    end: async () => {
      child.kill('SIGTERM')
      if (child.exitCode === null) await once(child, 'exit')
      return child.exitCode
    },
  }
}

async function isAnswering(url: string, child: ChildProcess): Promise<void> {
  while (child.exitCode === null) {
    try {
      return void (await fetch(`${url}/healthz`))
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  throw new Error(`The server ended with ${child.exitCode}`)
}

/** Requests that are logged, until `enough` says so. */
async function ask(url: string, enough: (asked: number) => boolean): Promise<number> {
  let asked = 0
  const path = `/.well-known/nothing`
  while (!enough(asked)) {
    const some = Array.from({ length: 20 }, () => fetch(`${url}${path}`).then((r) => r.text()))
    await Promise.all(some)
    asked += some.length
  }
  return asked
}

const dropping = /^The log cannot be written \(.*\)\. .* further lines are dropped\.$/

t.test(
  'standard output on a full disk: the server serves, says so once, and ends well',
  async (t) => {
    const server = await serveInto(t, openSync('/dev/full', 'w'))
    await ask(server.url, (asked) => asked >= 100)
    t.equal((await fetch(`${server.url}/healthz`)).status, 200)
    t.match(server.errors(), [/^The log cannot be written \(ENOSPC: .*\)/])
    t.equal(server.errors().length, 1)
    t.equal(await server.end(), 0)
    t.match(server.errors(), [
      dropping,
      /^The server ends; log lines that could not be written: \d+\.$/,
    ])
  },
)

t.test(
  'a pipe whose reader has gone: the server serves, says so once, and ends well',
  async (t) => {
    const server = await serveInto(t, 'pipe')
    server.child.stdout?.destroy()
    await ask(server.url, (asked) => asked >= 100 && server.errors().length > 0)
    t.match(server.errors(), [/^The log cannot be written \(.*EPIPE.*\)/])
    t.equal(server.errors().length, 1)
    t.equal(await server.end(), 0)
  },
)

t.test('a pipe that nobody reads neither stops the server nor keeps it from ending', async (t) => {
  const server = await serveInto(t, 'pipe', { LOG_LEVEL: 'trace' })
  await ask(server.url, (asked) => asked >= 600)
  t.equal((await fetch(`${server.url}/healthz`)).status, 200)
  t.equal(await server.end(), 0)
})

t.test('standard output and standard error on a full disk', async (t) => {
  const full = openSync('/dev/full', 'w')
  const PORT = String(await freePort())
  const child = spawn(process.execPath, [script, 'serve'], {
    env: { DATABASE_URL: `sqlite:${t.testdir({})}/a.db`, PORT },
    stdio: ['ignore', full, full],
  })
  t.teardown(() => child.kill('SIGKILL'))
  await isAnswering(`http://localhost:${PORT}`, child)
  await ask(`http://localhost:${PORT}`, (asked) => asked >= 100)
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  t.equal(code, 0)
})
