import t from 'tap'
import {
  createAgent,
  createApi,
  createKeyedAgent,
  createSite,
  signIn,
  signInOwner,
} from '../harness.ts'
import { accessible, closeBrowser, observe, openWindow, serve, skip } from './chromium.ts'

const shots = process.env.SCREENSHOTS

t.test('The console in a browser', { skip }, async (t) => {
  const app = await serve(t)
  const { owner, headers } = await signInOwner(app, { operator: true, email: 'op@example.com' })
  const site = await createSite(app, { client_name: 'Paper & Pine' })
  const other = await createSite(app, { client_name: `<img src=x> ${'W'.repeat(60)}` })
  const agent = await createKeyedAgent(app)
  await createAgent(app, 'ann@example.com')
  await createApi(app, { name: 'Orders' })
  await app.registration.createInitialAccessToken('Bob')
  for (const each of [site, site, site, other]) await signIn(app, each, agent)
  const event = { event: 'sign_in', outcome: 'access_denied' } as const
  await app.audit.record({ ...event, agent_id: agent.agent_id, detail: '<b>Not allowed</b>' })
  const at = `/console/websites/${site.client_id}`
  const pages = [
    '/',
    '/console',
    '/console/websites',
    '/console/websites?search=nothing',
    at,
    `/console/websites/${other.client_id}`,
    `${at}/edit`,
    `${at}/models`,
    `${at}/secret`,
    `${at}/delete`,
    '/console/websites/new',
    '/console/websites/none',
    '/console/agents',
    '/console/agents/new',
    `/console/agents/${agent.agent_id}`,
    `/console/agents/${agent.agent_id}/policy`,
    `/console/agents/${agent.agent_id}/remove-key`,
    '/console/owners',
    '/console/owners/invite',
    `/console/owners/${owner.owner_id}`,
    `/console/owners/${owner.owner_id}/disable`,
    '/console/resources',
    '/console/resources/new',
    '/console/tokens',
    '/console/tokens/new',
    '/console/keys',
    '/console/keys/rotate',
    '/console/limits',
    '/console/history',
  ]
  const [name = '', value = ''] = headers.cookie.split('=')

  for (const [colorScheme, width] of [
    ['light', 1200],
    ['dark', 320],
  ] as const) {
    t.test(`every page is accessible, ${colorScheme} and ${width} pixels wide`, async (t) => {
      const page = await openWindow(t, { colorScheme, viewport: { width, height: 800 } })
      await page.context().addCookies([{ name, value, url: app.settings.ISSUER }])
      const seen = observe(page)
      for (const path of pages) {
        await page.goto(`${app.settings.ISSUER}${path}`)
        for (const summary of await page.locator('summary').all()) await summary.click()
        await accessible(t, page)
        const fits = await page.evaluate('document.documentElement.scrollWidth <= innerWidth')
        t.ok(fits, `${path} fits`)
        if (shots) {
          const file = path.replace(/[^\w]+/g, '-').slice(0, 60)
          await page.screenshot({ path: `${shots}/${colorScheme}${file}.png`, fullPage: true })
        }
      }
      t.same(
        seen.complaints.filter((each) => !each.includes('404')),
        [],
      )
    })
  }

  t.test('with the keyboard alone a website is disabled', async (t) => {
    const page = await openWindow(t)
    await page.context().addCookies([{ name, value, url: app.settings.ISSUER }])
    await page.goto(`${app.settings.ISSUER}${at}`)
    await page.keyboard.press('Tab')
    t.equal(await page.evaluate('document.activeElement.className'), 'skip')
    await page.keyboard.press('Enter')
    t.equal(page.url(), `${app.settings.ISSUER}${at}#main`)
    await page.getByRole('link', { name: 'Disable' }).focus()
    await page.keyboard.press('Enter')
    await page.waitForURL(`**${at}/disable`)
    await page.locator('[data-action="disable"]').focus()
    await page.keyboard.press('Enter')
    await page.waitForURL(`**${at}?done=disabled`)
    t.match(await page.getByRole('status').textContent(), 'The website is disabled')
    t.ok((await app.store.clients.find(site.client_id))?.disabled_at)
  })
}).then(closeBrowser)
