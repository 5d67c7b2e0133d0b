import t from 'tap'
import { authenticate } from '../harness.ts'
import { closeBrowser, observe, openWindow, readRequestId, setScene, skip } from './chromium.ts'

const BUTTON = 'Sign in with Auth Agent'
const GREETING = 'Hello, owner@example.com'

t.test('Sign-in in a browser', { skip }, async (t) => {
  const { app, website, agent } = await setScene(t)

  t.test('button, waiting page, agent, signed in: one held answer, nothing foreign', async (t) => {
    const page = await openWindow(t)
    const seen = observe(page)
    await page.goto(website.url)
    const held = page.waitForRequest(/check-status/)
    await page.getByRole('link', { name: BUTTON }).click()
    await page.getByRole('heading', { name: 'Sign in to Paper & Pine' }).waitFor()
    t.equal(new URL(page.url()).origin, app.settings.ISSUER)

    const request_id = await readRequestId(page)
    await held
    t.equal((await authenticate(app, request_id, agent)).statusCode, 200)
    await page.getByRole('heading', { name: GREETING }).waitFor()
    t.equal(page.url(), `${website.url}/`)

    const asked = seen.requests.filter((url) => url.includes('/api/check-status'))
    t.same(asked, [`${app.settings.ISSUER}/api/check-status?request_id=${request_id}&wait=25`])
    const ours = [app.settings.ISSUER, website.url]
    t.same(
      seen.requests.filter((url) => !ours.includes(new URL(url).origin)),
      [],
      'no request to any other host',
    )
    t.same(seen.complaints, [], 'no policy is violated')
  })

  t.test('in a popup, which closes and leaves the website signed in', async (t) => {
    const page = await openWindow(t)
    const seen = observe(page)
    await page.goto(website.url)
    const opened = page.waitForEvent('popup')
    await page.getByRole('button', { name: 'popup' }).click()
    const popup = await opened
    await popup.getByText('Waiting for your agent').waitFor()
    const closed = popup.waitForEvent('close')
    await authenticate(app, await readRequestId(popup), agent)
    await closed
    await page.getByRole('heading', { name: GREETING }).waitFor()
    t.same(seen.complaints, [])
  })

  t.test('two tabs at once, each by its own request', async (t) => {
    const first = await openWindow(t)
    const second = await first.context().newPage()
    for (const page of [first, second]) await page.goto(website.url)
    for (const page of [first, second]) {
      await page.getByRole('link', { name: BUTTON }).click()
      await page.getByText('Waiting for your agent').waitFor()
    }
    const [one, other] = [await readRequestId(first), await readRequestId(second)]
    t.not(one, other)
    await authenticate(app, other, agent)
    await second.getByRole('heading', { name: GREETING }).waitFor()
    t.ok(await first.getByText('Waiting for your agent').isVisible(), 'the other tab still waits')
    await authenticate(app, one, agent)
    await first.getByRole('heading', { name: GREETING }).waitFor()
  })

  t.test('with the keyboard alone', async (t) => {
    const page = await openWindow(t)
    await page.goto(website.url)
    await page.keyboard.press('Tab')
    await page.keyboard.press('Enter')
    await page.getByText('Waiting for your agent').waitFor()
    const request = page.locator('details code')
    t.notOk(await request.isVisible())
    for (const stop of [
      'More about this request',
      'Is this you, and not an agent?',
      'For your agent',
    ]) {
      await page.keyboard.press('Tab')
      t.equal(await page.evaluate('document.activeElement.textContent'), stop)
      t.not(await page.evaluate('getComputedStyle(document.activeElement).outlineStyle'), 'none')
    }
    await page.keyboard.press('Enter')
    await request.waitFor()
    t.equal(await request.textContent(), await readRequestId(page))
    await authenticate(app, await readRequestId(page), agent)
    await page.getByRole('heading', { name: GREETING }).waitFor()
  })

  t.test('Back after the sign-in leads to the website, not into the sign-in again', async (t) => {
    const page = await openWindow(t)
    await page.goto(website.url)
    await page.getByRole('link', { name: BUTTON }).click()
    await page.getByText('Waiting for your agent').waitFor()
    await authenticate(app, await readRequestId(page), agent)
    await page.getByRole('heading', { name: GREETING }).waitFor()
    const seen = observe(page)
    await page.goBack()
    await page.getByRole('heading', { name: GREETING }).waitFor()
    t.equal(page.url(), `${website.url}/`)
    t.notMatch(seen.requests.join('\n'), app.settings.ISSUER)
  })

  t.test("a stranger's browser that knows the request never gets the code", async (t) => {
    const page = await openWindow(t)
    await page.goto(`${website.url}/login`)
    const request_id = await readRequestId(page)

    const stranger = await openWindow(t)
    await stranger.goto(`${website.url}/login`)
    t.not(await readRequestId(stranger), request_id)
    const ask = async (wait: number) =>
      stranger.evaluate(
        `fetch('api/check-status?request_id=${request_id}&wait=${wait}').then((r) => r.json())`,
      )
    const told = ask(25)
    await authenticate(app, request_id, agent)
    const answers = [await told]
    await page.getByRole('heading', { name: GREETING }).waitFor()
    answers.push(await ask(0))
    for (const answer of answers as Record<string, unknown>[]) {
      t.match(answer.status, /^(authenticated|completed)$/)
      t.same(Object.keys(answer), ['status'], 'the status alone')
    }
    t.ok(await stranger.getByText('Waiting for your agent').isVisible())
  })
}).then(closeBrowser)
