import type { Page } from 'playwright-core'
import t from 'tap'
import { alive } from '../account/world.ts'
import {
  authenticate,
  type Credentials,
  createAgent,
  createSite,
  open,
  redeem,
  signIn,
} from '../harness.ts'
import { addAuthenticator, createPasskey } from './authenticator.ts'
import { accessible, closeBrowser, observe, openWindow, serve, skip } from './chromium.ts'

/** An owner who is signed in in a window of his own, with an agent that has to ask. */
async function seat(
  t: Parameters<typeof serve>[0],
  app: Awaited<ReturnType<typeof serve>>,
  email: string,
) {
  const { owner } = await app.owners.invite(email, { verified: true })
  const agent = await createAgent(app, email)
  const page = await openWindow(t)
  await addAuthenticator(page)
  await createPasskey(app, page, owner.owner_id)
  await page.reload()
  await page.click('[data-action="sign-in-with-passkey"]')
  await page.waitForURL(`${app.settings.ISSUER}/account`)
  return { owner, agent, page }
}

const fits = (page: Page) => page.evaluate('document.documentElement.scrollWidth <= innerWidth')

t.test('the account in a browser', { skip }, async (t) => {
  const app = await serve(t)
  const site = await createSite(app, { client_name: 'Paper & Pine' })
  const ask = (agent: Credentials) => app.policies.changeAgent(agent.agent_id, { sites: 'ask' })
  const url = (path: string) => `${app.settings.ISSUER}/${path}`

  t.test('an owner approves with a passkey, and stops what was approved', async (t) => {
    const { agent, page } = await seat(t, app, 'ann@example.com')
    const seen = observe(page)
    await ask(agent)
    const { request_id, code_verifier } = await open(app, site, { scope: 'openid email' })
    await authenticate(app, request_id, agent)
    await page.goto(url('account'))
    await page.getByRole('link', { name: 'Sign in to site.example?' }).click()
    await page.setViewportSize({ width: 320, height: 640 })
    t.ok(await fits(page), '320 pixels wide')
    await accessible(t, page)
    // By keyboard alone.
    await page.locator('[data-action="approve"]').focus()
    await page.keyboard.press('Enter')
    await page.waitForURL('**/account/approvals?done=approved')
    const { redirect_to } = (await authenticate(app, request_id, agent)).json()
    const code = new URL(redirect_to).searchParams.get('code') ?? ''
    const redeemed = await redeem(app, site, { code, code_verifier })
    t.equal(redeemed.statusCode, 200)

    await page.goto(url('account/sign-ins'))
    await page.click('[data-action="stop"]')
    await page.waitForURL('**/account/sign-ins?done=stopped')
    t.match(await page.textContent('[role="status"]'), 'Stopped')
    t.same(await alive(app, site, redeemed.json()), { access: false, refresh: 400, userinfo: 401 })
    t.same(seen.complaints, [])
  })

  t.test('who has no authenticator approves nothing', async (t) => {
    const { agent, page } = await seat(t, app, 'bob@example.com')
    await ask(agent)
    const { request_id } = await open(app, site)
    await authenticate(app, request_id, agent)
    // The session is there, and the authenticator is gone: an agent that drives the browser.
    const other = await page.context().newPage()
    await other.goto(url(`account/approvals/${request_id}`))
    await other.evaluate(
      'navigator.credentials.get = async () => { throw new DOMException("", "NotAllowedError") }',
    )
    await other.click('[data-action="approve"]')
    await other.getByText('No passkey was used').waitFor()
    t.equal((await app.approvals.find(request_id, agent.agent_id))?.status, 'pending')
    await other.click('[data-action="deny"]')
    await other.waitForURL('**/account/approvals?done=denied')
  })

  t.test('every page is accessible and fits, light and dark, wide and narrow', async (t) => {
    const { agent, page } = await seat(t, app, 'cleo@example.com')
    const { agent_id } = agent
    await signIn(app, site, agent)
    const remembered = await open(app, site)
    await ask(agent)
    await authenticate(app, remembered.request_id, agent)
    await app.approvals.approve(remembered.request_id, true, agent_id)
    await authenticate(app, remembered.request_id, agent)
    const other = await createSite(app, { redirect_uris: ['http://127.0.0.1/callback'] })
    const { request_id } = await open(app, other)
    await authenticate(app, request_id, agent)
    await app.agentKeys.generate(agent_id)
    const seen = observe(page)
    const paths = [
      '',
      '/agents',
      '/agents/new',
      `/agents/${agent_id}`,
      `/agents/${agent_id}/policy`,
      `/agents/${agent_id}/keys`,
      `/agents/${agent_id}/secret`,
      `/agents/${agent_id}/enable`,
      `/agents/${agent_id}/delete`,
      '/sign-ins',
      `/sign-ins/stop?agent_id=${agent_id}`,
      '/approvals',
      `/approvals/${request_id}`,
      '/history',
      '/data',
      '/data/delete',
    ]
    for (const [colorScheme, width] of [
      ['light', 1200],
      ['dark', 320],
    ] as const) {
      await page.emulateMedia({ colorScheme })
      await page.setViewportSize({ width, height: 800 })
      for (const path of paths) {
        const answer = await page.goto(url(`account${path}`))
        t.equal(answer?.status(), 200, path)
        t.ok(((await answer?.body())?.byteLength ?? 0) < 60 * 1024, `${path} is light`)
        t.ok(await fits(page), `${path} at ${width} pixels`)
        await accessible(t, page)
        const folder = process.env.SCREENSHOTS
        if (folder !== undefined) {
          const name = path.replace(/\/?(agent|req)_[\w-]+/, '-one').replaceAll(/\W+/g, '-')
          await page.screenshot({ path: `${folder}/${width}${name}.png`, fullPage: true })
        }
      }
    }
    t.same(seen.complaints, [])
  })

  t.test('without script everything works but passkeys', async (t) => {
    const { agent, page } = await seat(t, app, 'dora@example.com')
    const tokens = await signIn(app, site, agent)
    const state = await page.context().storageState()
    const plain = await openWindow(t, { javaScriptEnabled: false, storageState: state })
    await plain.goto(url(`account/agents/${agent.agent_id}/policy`))
    await plain.check('input[name="sites"][value="list"]')
    await plain.fill('textarea[name="allowed_sites"]', 'shop.example')
    await plain.click('[data-action="change-policy"]')
    t.match(await plain.textContent('[role="status"]'), 'was changed')
    t.match(await app.policies.ofAgent(agent.agent_id), {
      sites: 'list',
      allowed_sites: ['shop.example'],
    })
    await plain.goto(url('account/sign-ins/stop'))
    await plain.click('[data-action="stop"]')
    t.match(await plain.textContent('[role="status"]'), 'Stopped')
    t.equal((await alive(app, site, tokens)).access, false)
    const { request_id } = await open(app, site)
    await ask(agent)
    await authenticate(app, request_id, agent)
    await plain.goto(url(`account/approvals/${request_id}`))
    t.match(await plain.textContent('main'), 'A passkey needs JavaScript')
    await plain.click('[data-action="deny"]')
    t.match(await plain.textContent('[role="status"]'), 'Denied')
  })
})

t.teardown(closeBrowser)
