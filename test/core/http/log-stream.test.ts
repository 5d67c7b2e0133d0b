import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import { DatabaseUnavailableError } from '../../../db/store.ts'
import { build } from '../../harness.ts'

const module = join(import.meta.dirname, '../../../plugins/core/http/log-stream.ts')

/** Writes lines of a hundred characters; then says so, and flushes and ends when standard input ends. */
const writer = (lines: number) => `
  import { LogStream } from ${JSON.stringify(module)}
  const log = new LogStream()
  log.onRecovered = (dropped) => log.write(JSON.stringify({ dropped }) + '\\n')
  for (let line = 0; line < ${lines}; line += 1) log.write(String(line).padStart(99) + '\\n')
  process.send('written')
  process.stdin.resume()
  process.stdin.on('end', async () => {
    await log.flush()
    process.exit(0)
  })
`

/** A process that writes lines; its standard output is not read yet. */
async function startWriter(t: Test, lines: number) {
  const child = spawn(process.execPath, ['--input-type=module', '-e', writer(lines)], {
    stdio: ['pipe', 'pipe', 'pipe', 'ipc'],
  })
  t.teardown(() => child.kill('SIGKILL'))
  const { stdin, stdout, stderr } = child
  if (!stdin || !stdout || !stderr) throw new Error('no pipes')
  await once(child, 'message')
  return { child, stdin, stdout, stderr }
}

t.test(
  'a pipe that is read again gets what waited, and the count of what was dropped',
  async (t) => {
    const written = 30_000
    const { child, stdin, stdout: output, stderr: errors } = await startWriter(t, written)
    const [stdout, stderr] = [text(output), text(errors)]
    // What waited is read while the process runs; then it is told to end.
    let read = 0
    output.on('data', (data) => {
      read += data.length
      if (String(data).includes('dropped')) stdin.end()
    })
    const [code] = await once(child, 'exit')
    t.equal(code, 0)
    const lines = (await stdout).trimEnd().split('\n')
    const { dropped } = JSON.parse(lines.pop() ?? '')
    t.ok(dropped > 0)
    t.same(lines.map(Number), Array.from(lines.keys()), 'the first lines, whole and in order')
    t.equal(lines.length + dropped, written, 'every line is there or counted')
    t.ok(read < 1.5 * 1024 * 1024, 'what waits is bounded')
    const said = (await stderr).trimEnd().split('\n')
    t.equal(said.length, 2)
    t.match(said[0], /^The log cannot be written \(nobody reads it\)/)
    t.equal(said[1], `The log can be written again. Lines that were dropped: ${dropped}.`)
  },
)

t.test('what can be written is written before the process ends', async (t) => {
  const { stdin, stdout } = await startWriter(t, 5000)
  stdin.end()
  const lines = (await text(stdout)).trimEnd().split('\n')
  t.equal(lines.length, 5000)
})

t.test('what breaks on every request is logged once with its stack, then counted', async (t) => {
  const lines: Record<string, unknown>[] = []
  const app = await build(
    t,
    { LOG_LEVEL: 'error' },
    {
      logStream: { write: (line) => void lines.push(JSON.parse(line)) },
      endpoints: [
        async (app) => {
          app.get('/full', () => {
            const cause = Object.assign(new Error('disk is full'), { code: 'SQLITE_FULL' })
            throw new DatabaseUnavailableError('disk full', 'data.db', { cause })
          })
          app.get('/broken', () => {
            throw new TypeError('something else')
          })
        },
      ],
    },
  )
  for (let request = 0; request < 50; request += 1) {
    const { statusCode, headers, body } = await app.inject('/full')
    t.equal(statusCode, 503)
    t.equal(headers['retry-after'], '1')
    t.match(JSON.parse(body), { error: 'temporarily_unavailable' })
    t.notMatch(body, /SQLITE|busy/, 'what a client reads is not the cause')
    t.equal((await app.inject('/broken')).statusCode, 500)
  }
  t.match(lines, [
    { err: { message: /disk of the database data.db is full/, stack: /Caused by|caused by/ } },
    { err: { message: 'something else', stack: String } },
  ])
  t.equal(lines.length, 2, 'a line for each kind')
  await app.close()
  t.match(lines.slice(2), [
    { code: 'SQLITE_FULL', repeated: 49 },
    { code: 'TypeError', repeated: 49 },
  ])
})
