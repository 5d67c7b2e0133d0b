import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { findFreePort } from '../../scripts/demo/free-port.ts'
import {
  authenticate,
  authorizeQuery,
  build,
  createAgent,
  createSite,
  encode,
  type Parameters,
  pkce,
  redeem,
} from '../harness.ts'
import { closeBrowser, observe, openWindow, readRequestId, skip } from './chromium.ts'

/** A website that takes the form and goes on to its front page, as websites do. */
async function startWebsite(t: Test, host: string) {
  const received: { url: string; form: URLSearchParams }[] = []
  const server = createServer(async (request, response) => {
    if (request.method !== 'POST') return void response.end('<h1>Front page</h1>')
    let body = ''
    for await (const chunk of request) body += chunk
    received.push({ url: request.url ?? '', form: new URLSearchParams(body) })
    response.writeHead(303, { location: '/' }).end()
  }).listen(0, host)
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const name = host.includes(':') ? `[${host}]` : host
  return { redirect_uri: `http://${name}:${port}/callback;a?x=1`, received }
}

t.test('Form Post Response Mode in a browser', { skip }, async (t) => {
  for (const [host, path] of [
    ['127.0.0.1', ''],
    ['::1', '/some/path'],
  ] as const) {
    t.test(`the form reaches the website at ${host}, the code no URL`, async (t) => {
      const port = await findFreePort()
      const app = await build(t, { ISSUER: `http://localhost:${port}${path}` })
      await app.listen({ host: 'localhost', port })
      const website = await startWebsite(t, host)
      const site = await createSite(app, { redirect_uris: [website.redirect_uri] })
      const agent = await createAgent(app)
      const page = await openWindow(t)
      const seen = observe(page)
      const { code_challenge, code_verifier } = pkce()
      const state = 'a"b&c=d <é> \''
      const url = (change: Parameters = {}) => {
        const query = { response_mode: 'form_post', state, ...change }
        return `${app.settings.ISSUER}/authorize?${encode(authorizeQuery(site, code_challenge, query))}`
      }

      await page.goto(url())
      await authenticate(app, await readRequestId(page), agent)
      await page.getByRole('heading', { name: 'Front page' }).waitFor()
      t.equal(website.received.length, 1)
      const { url: target, form } = website.received[0] ?? {}
      t.equal(target, '/callback;a?x=1')
      t.equal(form?.get('state'), state)
      t.equal(form?.get('iss'), app.settings.ISSUER)
      const code = form?.get('code') ?? ''
      t.equal((await redeem(app, site, { code, code_verifier })).statusCode, 200)
      t.notMatch(seen.requests.join('\n'), code)

      await page.goto(url({ prompt: 'none' }))
      await page.getByRole('heading', { name: 'Front page' }).waitFor()
      t.equal(website.received.length, 2)
      const refused = Object.fromEntries(website.received[1]?.form ?? [])
      t.match(refused, { error: 'login_required', state })
      t.same(seen.complaints, [], 'no policy is violated')
    })
  }
}).then(closeBrowser)
