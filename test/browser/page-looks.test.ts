import t from 'tap'
import { shownName } from '../../schemas/name.ts'
import { createSite, pkce } from '../harness.ts'
import {
  accessible,
  authorizeUrl,
  closeBrowser,
  observe,
  openWindow,
  setScene,
  skip,
} from './chromium.ts'

t.test('How the pages look to those who see, hear or read them', { skip }, async (t) => {
  const { app, website } = await setScene(t)

  t.test('it stands still for those who want less motion', async (t) => {
    const page = await openWindow(t)
    await page.goto(`${website.url}/login`)
    for (const [reducedMotion, moving] of [
      ['reduce', 0],
      ['no-preference', 1],
    ] as const) {
      await page.emulateMedia({ reducedMotion })
      t.equal(await page.evaluate('document.getAnimations().length'), moving, reducedMotion)
    }
  })

  t.test('without JavaScript it reads well and says what will not work', async (t) => {
    const page = await openWindow(t, { javaScriptEnabled: false })
    await page.goto(`${website.url}/login`)
    const text = await page.locator('body').innerText()
    for (const part of ['Sign in to Paper & Pine', '127.0.0.1', '10 minutes', 'JavaScript']) {
      t.match(text, part)
    }
  })

  t.test(
    'it and the error page are accessible, in light, dark and on a narrow screen',
    async (t) => {
      const { app, website } = await setScene(t)
      const viewport = { width: 320, height: 640 }
      for (const colorScheme of ['light', 'dark'] as const) {
        const page = await openWindow(t, { colorScheme, viewport })
        await page.goto(`${website.url}/login`)
        for (const summary of await page.locator('summary').all()) await summary.click()
        await accessible(t, page)
        await page.goto(`${app.settings.ISSUER}/authorize`)
        await page.getByRole('heading', { name: 'This sign-in cannot start' }).waitFor()
        await accessible(t, page)
        t.match(await page.getByRole('alert').textContent(), 'client_id is required')
        t.equal(await page.locator('a').count(), 0, 'the error page links nowhere')
      }
    },
  )

  t.test('it warns of a sign-in that returns to this computer, and only of that', async (t) => {
    const page = await openWindow(t)
    for (const [redirect_uri, warned] of [
      ['http://localhost/callback', true],
      ['http://127.0.0.1:4000/callback', true],
      ['http://[::1]/callback', true],
      ['https://localhost.example/callback', false],
    ] as const) {
      const site = await createSite(app, { redirect_uris: [redirect_uri] })
      await page.goto(authorizeUrl(app, site, pkce().code_challenge))
      t.equal(await page.locator('p.caution').isVisible(), warned, redirect_uri)
    }
  })

  t.test('a name is shown as it is, whatever it contains', async (t) => {
    const names = [
      `</script><script>window.stolen = 1</script>`,
      `window.authRequest = { request_id: 'req_other' }`,
      `"'\`\${1}}\u2028\u2029</title><img src=x onerror="window.stolen = 1">`,
      `\u202emoc.elpmaxe\u2069\u2069 ${'W'.repeat(150)}`,
    ]
    const page = await openWindow(t, { viewport: { width: 320, height: 640 } })
    const seen = observe(page)
    for (const client_name of names) {
      const site = await createSite(app)
      // Some names are older than the rule for names.
      await app.store.clients.update(site.client_id, { client_name }, 0)
      await page.goto(authorizeUrl(app, site, pkce().code_challenge))
      t.equal(await page.locator('h1 bdi').textContent(), shownName(client_name))
      t.match(await page.evaluate('window.authRequest'), {
        request_id: /^req_[\w-]+$/,
        issuer: app.settings.ISSUER,
        client_id: site.client_id,
        client_name: shownName(client_name),
        redirect_host: 'site.example',
        authenticate_endpoint: `${app.settings.ISSUER}/api/agent/authenticate`,
      })
      t.equal(await page.evaluate('window.stolen'), undefined)
      t.ok(await page.evaluate('document.documentElement.scrollWidth <= innerWidth'))
      t.notMatch(await page.title(), /\p{Bidi_Control}/u)
      t.same(seen.complaints, [])
    }
  })
}).then(closeBrowser)
