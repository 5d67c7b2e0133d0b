import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdir } from 'node:fs/promises'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'

t.test('the demo ends with the website greeting the agent, and leaves nothing', async (t) => {
  const { demo, folder } = startDemo(t)
  const output = await text(demo.stdout)
  t.match(output, /Hello, ada@example\.com\n\nSigned in\.\n$/)
  t.notMatch(output, /[\w.-]{40}/, 'secrets, codes and tokens are shortened')
  t.same(await ending(demo), [0, null])
  t.same(await readdir(folder), [])
})

t.test('kept running, the demo authenticates the requests that it is given', async (t) => {
  const { demo, folder } = startDemo(t, '--keep')
  const lines = createInterface({ input: demo.stdout })[Symbol.asyncIterator]()
  const find = async (pattern: RegExp): Promise<string> => {
    for (;;) {
      const { value, done } = await lines.next()
      if (done) throw new Error(`no line like ${pattern}`)
      const found = value.match(pattern)?.[1]
      if (found !== undefined) return found
    }
  }
  const website = await find(/The website: +(\S+)/)
  await find(/(Ctrl-C)/)
  const login = await fetch(`${website}/login`, { redirect: 'manual' })
  const page = await (await fetch(login.headers.get('location') ?? '')).text()
  demo.stdin.write(`hello\n${page.match(/<code>(req_[^<]+)/)?.[1]}\n`)
  await find(/A request looks like (req_…)/)
  t.equal(await find(/"status":"(\w+)"/), 'authenticated')
  demo.kill('SIGINT')
  t.same(await ending(demo), [0, null])
  t.same(await readdir(folder), [])
})

/** The demo in a process of its own, with an own folder for what is temporary. */
function startDemo(t: Test, ...parameters: string[]) {
  const folder = t.testdir({})
  const demo = spawn(process.execPath, ['scripts/demo.ts', ...parameters], {
    env: { ...process.env, TMPDIR: folder },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  t.teardown(() => demo.kill('SIGKILL'))
  return { demo, folder }
}

async function ending(demo: ChildProcess): Promise<unknown[]> {
  return demo.exitCode === null ? once(demo, 'exit') : [demo.exitCode, demo.signalCode]
}
