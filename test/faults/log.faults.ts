import { once } from 'node:events'
import t from 'tap'
import { askLogged, serveInto } from '../scripts/logged-server.ts'

t.test('a pipe that nobody reads, for more than it and the memory hold', async (t) => {
  const server = await serveInto(t, 'pipe')
  await askLogged(server.url, (asked) => asked >= 20_000)
  t.match(server.errors(), [/^The log cannot be written \(nobody reads it\)/])
  t.equal(server.errors().length, 1)
  const { stdout } = server.child
  stdout?.resume()
  while (server.errors().length < 2) {
    await fetch(`${server.url}/healthz`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  t.match(server.errors()[1], /^The log can be written again. Lines that were dropped: [1-9]\d*\.$/)
  t.equal(await server.end(), 0)
})

t.test('a reader that reads a little now and then', async (t) => {
  const server = await serveInto(t, 'pipe')
  const { stdout } = server.child
  const timer = setInterval(() => stdout?.read(4096), 100)
  await askLogged(server.url, (asked) => asked >= 10_000)
  clearInterval(timer)
  server.child.kill('SIGTERM')
  const [code] = await once(server.child, 'exit')
  t.equal(code, 0)
})
