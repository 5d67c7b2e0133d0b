import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { openSync } from 'node:fs'
import t from 'tap'
import { codeCache } from '../processes.ts'
import { freePort } from './command.ts'
import { askLogged, isAnswering, script, serveInto } from './logged-server.ts'

const dropping = /^The log cannot be written \(.*\)\. .* further lines are dropped\.$/

t.test(
  'standard output on a full disk: the server serves, says so once, and ends well',
  async (t) => {
    const server = await serveInto(t, openSync('/dev/full', 'w'))
    await askLogged(server.url, (asked) => asked >= 100)
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
    await askLogged(server.url, (asked) => asked >= 100 && server.errors().length > 0)
    t.match(server.errors(), [/^The log cannot be written \(.*EPIPE.*\)/])
    t.equal(server.errors().length, 1)
    t.equal(await server.end(), 0)
  },
)

t.test('a pipe that nobody reads neither stops the server nor keeps it from ending', async (t) => {
  const server = await serveInto(t, 'pipe', { LOG_LEVEL: 'trace' })
  await askLogged(server.url, (asked) => asked >= 600)
  t.equal((await fetch(`${server.url}/healthz`)).status, 200)
  t.equal(await server.end(), 0)
})

t.test('standard output and standard error on a full disk', async (t) => {
  const full = openSync('/dev/full', 'w')
  const PORT = String(await freePort())
  const child = spawn(process.execPath, [script, 'serve'], {
    env: { ...codeCache, DATABASE_URL: `sqlite:${t.testdir({})}/a.db`, PORT },
    stdio: ['ignore', full, full],
  })
  t.teardown(() => child.kill('SIGKILL'))
  await isAnswering(`http://localhost:${PORT}`, child)
  await askLogged(`http://localhost:${PORT}`, (asked) => asked >= 100)
  child.kill('SIGTERM')
  const [code] = await once(child, 'exit')
  t.equal(code, 0)
})
