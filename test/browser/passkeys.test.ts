import type { Page } from 'playwright-core'
import t from 'tap'
import { createAgent } from '../harness.ts'
import { addAuthenticator } from './authenticator.ts'
import { accessible, closeBrowser, observe, openWindow, serve, skip } from './chromium.ts'

/** Clicks what carries the flow and waits for the page that follows. */
async function act(page: Page, action: string, url: string): Promise<void> {
  await page.click(`[data-action="${action}"]`)
  await page.waitForURL(url)
}

t.test('passkeys in a browser', { skip }, async (t) => {
  t.test(
    'a person comes from an invitation to a passkey, signs in with it and confirms',
    async (t) => {
      const app = await serve(t)
      const { ISSUER } = app.settings
      await createAgent(app, 'one@example.com')
      const { invitation_url } = await app.owners.invite('one@example.com', { verified: true })
      const page = await openWindow(t)
      const seen = observe(page)
      await addAuthenticator(page)
      await page.goto(invitation_url)
      await accessible(t, page)
      await act(page, 'create-passkey', `${ISSUER}/account`)
      t.match(await page.textContent('main'), 'One agent is yours')

      await act(page, 'sign-out', `${ISSUER}/account/sign-in`)
      await page.goto(`${ISSUER}/account/security`)
      await accessible(t, page)
      await act(page, 'sign-in-with-passkey', `${ISSUER}/account/security`)
      await accessible(t, page)
      await page.goto(`${ISSUER}/account/confirm?next=account/security/mail`)
      await accessible(t, page)
      await act(page, 'confirm', `${ISSUER}/account/security/mail`)
      await accessible(t, page)

      await page.goto(`${ISSUER}/account/security`)
      await page.click('a[href^="account/security/passkeys/"]:not(.button)')
      await page.fill('#name', 'My laptop')
      await accessible(t, page)
      await act(page, 'rename-passkey', `${ISSUER}/account/security?done=renamed`)
      t.match(await page.textContent('main'), 'My laptop')
      await page.goto(`${ISSUER}/account/security/passkeys/new`)
      await accessible(t, page)
      await page.click('[data-action="create-passkey"]')
      await page.waitForSelector('[role="alert"]:not([hidden])')
      t.match(await page.textContent('[role="alert"]'), 'has a passkey for you here already')
      t.same(seen.complaints, [])

      const second = await openWindow(t)
      await addAuthenticator(second)
      await second.goto((await app.owners.invite('two@example.com')).invitation_url)
      await act(second, 'create-passkey', `${ISSUER}/account`)
      await second.goto(`${ISSUER}/account/security`)
      t.notMatch(await second.textContent('body'), 'My laptop')
      t.match(await second.textContent('body'), 'two@example.com')
      await page.goto(`${ISSUER}/account`)
      t.notMatch(await page.textContent('body'), 'two@example.com')
    },
  )

  t.test('an agent that drives a browser without an authenticator gets nowhere', async (t) => {
    const app = await serve(t)
    const { ISSUER } = app.settings
    const page = await openWindow(t)
    const authenticator = await addAuthenticator(page)
    await page.goto((await app.owners.invite('owner@example.com')).invitation_url)
    await act(page, 'create-passkey', `${ISSUER}/account`)
    // The person goes away: nobody is there to be verified, and the agent drives on.
    const { session, authenticatorId } = authenticator
    await session.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false })
    await page.goto(`${ISSUER}/account/confirm?next=account/security/mail`)
    await page.click('[data-action="confirm"]')
    await page.waitForSelector('[role="alert"]:not([hidden])')
    t.match(await page.textContent('[role="alert"]'), 'No passkey was used')
    t.match(page.url(), '/account/confirm')

    const elsewhere = await openWindow(t)
    const none = await addAuthenticator(elsewhere)
    await none.session.send('WebAuthn.removeVirtualAuthenticator', {
      authenticatorId: none.authenticatorId,
    })
    await elsewhere.goto(`${ISSUER}/account/sign-in`)
    await elsewhere.click('[data-action="sign-in-with-passkey"]')
    await elsewhere.waitForTimeout(500)
    t.match(elsewhere.url(), '/account/sign-in')
    const cookies = await elsewhere.context().cookies()
    t.same(cookies, [])
  })

  t.test('without a script, or after a refusal, the page says what to do', async (t) => {
    const app = await serve(t)
    const { ISSUER } = app.settings
    const page = await openWindow(t, { javaScriptEnabled: false })
    await page.goto(`${ISSUER}/account/sign-in`)
    t.match(await page.textContent('main'), 'needs JavaScript')
    await page.click('[data-action="sign-in-with-passkey"]')
    t.match(await page.textContent('main'), 'passkey')
    await page.goto(`${ISSUER}/account/invitation?token=inv_none`)
    t.match(await page.textContent('main'), 'ask whoever runs this server for a new one')
  })
}).then(closeBrowser)
