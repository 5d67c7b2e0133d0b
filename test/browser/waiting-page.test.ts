import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Page } from 'playwright-core'
import t from 'tap'
import { authenticate, createSite, pkce, redeem } from '../harness.ts'
import {
  accessible,
  authorizeUrl,
  closeBrowser,
  observe,
  openWindow,
  readRequestId,
  setScene,
  skip,
} from './chromium.ts'

t.test('The waiting page in a browser', { skip }, async (t) => {
  const { app, website, agent } = await setScene(t)

  t.test('when no agent comes in time it says so, and how to go on', async (t) => {
    const { website } = await setScene(t, { AUTHORIZATION_REQUEST_TTL: 1 })
    const page = await openWindow(t)
    await page.goto(website.url)
    await page.getByRole('link', { name: 'Sign in with Auth Agent' }).click()
    await page.getByRole('status').getByText('Time ran out').waitFor()
    t.match(await page.getByRole('status').textContent(), 'nothing was shared with 127.0.0.1')
    await accessible(t, page)
    const seen = observe(page)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.waitForURL(`${website.url}/`)
    t.notMatch(seen.requests.join('\n'), 'check-status', 'it has stopped asking')
  })

  t.test('when the sign-in is revoked before it went on it says that it was refused', async (t) => {
    const { app, agent, website } = await setScene(t)
    const page = await openWindow(t)
    const released = hold(page)
    await page.goto(`${website.url}/login`)
    await authenticate(app, await readRequestId(page), agent)
    await app.registration.updateAgent(agent.agent_id, { disabled_at: app.clock.now() })
    released()
    await page.getByText('The sign-in was refused').waitFor()
    t.equal(new URL(page.url()).origin, app.settings.ISSUER)
  })

  t.test('when the server does not know the request any more it says so', async (t) => {
    const { app, website } = await setScene(t)
    const page = await openWindow(t)
    const released = hold(page)
    await page.goto(`${website.url}/login`)
    const { client_id } = (await app.store.clients.list())[0] ?? { client_id: '' }
    await app.store.clients.delete(client_id)
    released()
    await page.getByText('not known any more').waitFor()
  })

  t.test('when others finish the sign-in it is done, also for who comes back to it', async (t) => {
    const site = await createSite(app)
    const { code_challenge, code_verifier } = pkce()
    const page = await openWindow(t)
    const released = hold(page)
    await page.goto(authorizeUrl(app, site, code_challenge))
    const { redirect_to } = (await authenticate(app, await readRequestId(page), agent)).json()
    const code = new URL(redirect_to).searchParams.get('code') ?? ''
    t.equal((await redeem(app, site, { code, code_verifier })).statusCode, 200)
    released()
    await page.getByText('This sign-in is done').waitFor()
    t.match(await page.getByRole('status').textContent(), 'You can close this page')

    await page.goto(website.url)
    const seen = observe(page)
    await page.goBack()
    await page.getByText('This sign-in is done').waitFor()
    t.notMatch(seen.requests.join('\n'), 'check-status')

    const again = page.waitForRequest(/check-status/)
    await page.reload()
    t.ok(await again, 'but a reload is a new sign-in')
  })

  t.test('when the website keeps the browser on the page it shows that it is done', async (t) => {
    const page = await openWindow(t)
    await page.route('**/callback?*', (route) => route.fulfill({ status: 204 }))
    await page.goto(`${website.url}/login`)
    const request_id = await readRequestId(page)
    const seen = observe(page)
    await authenticate(app, request_id, agent)
    await page.getByRole('status').getByText('Your agent is signed in').waitFor()
    t.match(await page.getByRole('status').textContent(), 'Returning to 127.0.0.1')
    await page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))")
    await page.getByText('This sign-in is done').waitFor()
    t.equal(seen.requests.filter((url) => url.includes('/callback')).length, 1)
  })

  t.test('a form post may lead on to another origin of the website', async (t) => {
    const callback = createServer((_request, response) => {
      response.writeHead(303, { location: website.url }).end()
    }).listen(0, '127.0.0.1')
    await once(callback, 'listening')
    t.teardown(() => callback.close())
    const { port } = callback.address() as AddressInfo
    const site = await createSite(app, { redirect_uris: [`http://127.0.0.1:${port}/callback`] })
    const page = await openWindow(t)
    const { code_challenge } = pkce()
    const formPost = { response_mode: 'form_post' }
    await page.goto(authorizeUrl(app, site, code_challenge, formPost))
    await authenticate(app, await readRequestId(page), agent)
    await page.waitForURL(`${website.url}/`)

    const seen = observe(page)
    await page.goBack()
    await page.getByText('This sign-in is done').waitFor()
    t.notMatch(seen.requests.join('\n'), 'check-status')
  })

  t.test('a lost connection and a broken server are waited out, then it goes on', async (t) => {
    const page = await openWindow(t)
    await page.clock.install()
    const troubles = ['lost', 503, 429, 'no JSON']
    const left = [...troubles]
    await page.route('**/api/check-status?*', (route) => {
      const trouble = left.shift()
      if (trouble === undefined) return route.continue()
      if (trouble === 'lost') return route.abort('connectionreset')
      if (trouble === 'no JSON') return route.fulfill({ body: '<html>a proxy of the hotel' })
      return route.fulfill({ status: Number(trouble), body: '{}' })
    })
    const waits: (string | null)[] = []
    page.on('request', (request) => {
      const { pathname, searchParams } = new URL(request.url())
      if (pathname.endsWith('/check-status')) waits.push(searchParams.get('wait'))
    })
    await page.goto(`${website.url}/login`)
    const request_id = await readRequestId(page)
    for (const trouble of troubles) {
      if (trouble !== 'lost') await page.getByText('No connection to the server').waitFor()
      const next = page.waitForRequest(/check-status/)
      await page.clock.runFor(8000)
      await next
    }
    await page.getByText('Waiting for your agent').waitFor()
    t.same(waits.slice(0, 5), ['25', '0', '0', '0', '0'], 'polls until an answer comes')
    await authenticate(app, request_id, agent)
    await page.clock.runFor(8000)
    await page.getByRole('heading', { name: 'Hello' }).waitFor()
  })

  t.test('a server that does not hold its answers is not asked without pause', async (t) => {
    const page = await openWindow(t)
    await page.clock.install({ time: 0 })
    await page.clock.pauseAt(1000)
    let asked = 0
    await page.route('**/api/check-status?*', (route) => {
      asked += 1
      return route.continue({ url: route.request().url().replace('wait=25', 'wait=0') })
    })
    const first = page.waitForResponse(/check-status/)
    await page.goto(`${website.url}/login`)
    await first
    t.equal(asked, 1)
    await page.clock.runFor(1000)
    t.equal(asked, 1)
    const second = page.waitForResponse(/check-status/)
    await page.clock.runFor(2000)
    await second
    t.equal(asked, 2)
  })

  t.test('it tells how much time is left', async (t) => {
    const page = await openWindow(t)
    await page.clock.install()
    await page.goto(`${website.url}/login`)
    t.equal(await page.getByRole('timer').textContent(), '10 minutes')
    await page.clock.fastForward('08:30')
    await page.getByRole('timer').getByText('2 minutes').waitFor()
  })
}).then(closeBrowser)

/** Keeps what the page asks about the status on its way until the function is called. */
function hold(page: Page): () => void {
  const { promise, resolve } = Promise.withResolvers<void>()
  page.route('**/api/check-status?*', async (route) => {
    await promise
    await route.continue()
  })
  return resolve
}
