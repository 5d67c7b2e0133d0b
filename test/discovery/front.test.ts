import t from 'tap'
import { build, signInOwner } from '../harness.ts'

const browser = { accept: 'text/html,application/xhtml+xml,*/*;q=0.8' }

t.test('the front door says what this server is, and leads on, to places that exist', async (t) => {
  const app = await build(t)
  const answer = await app.inject('/')
  t.equal(answer.statusCode, 200)
  const { issuer, links } = answer.json()
  t.equal(issuer, app.settings.ISSUER)
  t.ok(Object.keys(links).length >= 6)
  for (const [name, url] of Object.entries<string>(links)) {
    t.not((await app.inject(new URL(url).pathname)).statusCode, 404, name)
  }
  const page = await app.inject({ url: '/', headers: browser })
  t.match(page.headers, {
    'content-type': /html/,
    vary: /accept/i,
    'x-frame-options': 'DENY',
    'content-security-policy': /default-src 'none'/,
  })
  for (const path of ['account', 'docs', 'llms.txt']) t.match(page.body, `href="${path}"`)
  t.notMatch(page.body, 'href="console"')
})

t.test('who is signed in is led to the account, and operators to the console', async (t) => {
  const app = await build(t)
  const owner = await signInOwner(app)
  const operator = await signInOwner(app, { operator: true, email: 'op@example.com' })
  const read = async ({ headers }: typeof owner) =>
    (await app.inject({ url: '/', headers: { ...headers, ...browser } })).body
  t.notMatch(await read(owner), 'href="console"')
  t.match(await read(operator), 'href="console"')
})

t.test('an error page has a reference that the log has too', async (t) => {
  const lines: string[] = []
  const logStream = { write: (line: string) => void lines.push(line) }
  const app = await build(t, { LOG_LEVEL: 'info' }, { logStream })
  const owner = await signInOwner(app)
  for (const [url, headers] of [
    ['/authorize', browser],
    ['/console', owner.headers],
  ] as const) {
    const { body } = await app.inject({ url, headers })
    const [reference = ''] = body.match(/[0-9a-f]{8}-[0-9a-f-]{27}/) ?? []
    t.ok(reference, url)
    t.ok(
      lines.some((line) => JSON.parse(line).reqId === reference),
      url,
    )
  }
})
