import t from 'tap'
import { authorize, authorizeQuery, build, createApi, createSite, pkce } from '../harness.ts'

t.test('The waiting page tells every kind of reader which request it is about', async (t) => {
  const app = await build(t)
  const names = [
    'Example Site',
    `window.authRequest = { request_id: 'req_other' }`,
    `</script><script>window.authRequest = { request_id: "req_other" }</script>`,
    `"><meta name="request-id" content="req_other"> data-request-id="req_other"`,
  ]
  for (const client_name of names) {
    t.test(client_name, async (t) => {
      const site = await createSite(app, { client_name })
      const { code_challenge } = pkce()
      const { body } = await authorize(app, authorizeQuery(site, code_challenge))

      // As existing agent libraries read it: up to the first brace, the unquoted key.
      const object = body.match(/window\.authRequest\s*=\s*\{([^}]*)\}/)?.[1] ?? ''
      const request_id = object.match(/(?<!["'\w])request_id:\s*['"]([^'"]+)['"]/)?.[1]
      t.match(request_id, /^req_[\w-]+$/)
      t.equal(body.match(/request_id:\s*['"]([^'"]+)['"]/)?.[1], request_id)
      t.ok(body.includes(`window.authRequest = { request_id: '${request_id}'`))
      t.same(all(body, /<meta name="request-id" content="([^"]+)">/g), [request_id])
      t.same(all(body, /data-request-id="([^"]+)"/g), [request_id])
      t.ok(await app.store.authorizationRequests.find(request_id ?? ''), 'it is known')

      t.notOk(body.includes(code_challenge), 'OAuth 2.1 section 4.1.2: no challenge is exposed')
      t.notOk(body.includes('the state'), "the website's state is nobody else's business")
    })
  }
})

t.test('RFC 9700 section 4.2.4: a page names no address but our own', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const { body, headers } = await authorize(app, authorizeQuery(site, pkce().code_challenge))
  t.equal(headers['referrer-policy'], 'no-referrer')
  const issuer = app.settings.ISSUER
  const known = [issuer, `${issuer}/api/agent/authenticate`, `${issuer}/api/check-status`]
  const others = all(body, /(https?:\/\/[^\s"'<>]+)/g).filter((url) => !known.includes(url))
  t.same(others, [])
  t.same(all(body, /(?<![\w-])(?:src|action|style)=/g), [])
  const links = body.match(/\bhref="[^"]*"/g)
  t.match(links, [/^href="account\/consent\?request_id=req_[\w-]+"$/])
  t.equal(links?.length, 1, 'the way for a person, at this server')
})

t.test('The waiting page names what the website gets, and nothing that it does not', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const { uri } = await createApi(app)
  const email = 'the e-mail address of the agent&#39;s owner'
  for (const [scope = '', named] of [
    ['openid email', email],
    ['openid', email],
    ['profile', email],
    ['email', email],
    ['openid profile read', `${email}, read`],
    ['email read', `${email}, read`],
    ['read', 'read'],
  ]) {
    const query = authorizeQuery(site, pkce().code_challenge, { scope, resource: uri })
    t.ok((await authorize(app, query)).body.includes(`<dd>${named}</dd>`), scope)
  }
})

/** What the pattern's group, or all of it, finds. */
function all(text: string, pattern: RegExp): string[] {
  return Array.from(text.matchAll(pattern), ([whole, group]) => group ?? whole)
}
