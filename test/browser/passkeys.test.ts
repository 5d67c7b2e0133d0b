import t from 'tap'
import { signInOwner } from '../harness.ts'
import { addAuthenticator, createPasskey } from './authenticator.ts'
import { accessible, closeBrowser, observe, openWindow, serve, skip } from './chromium.ts'

t.test('passkeys in a browser', { skip }, async (t) => {
  t.test('an owner signs in with a passkey, and confirms with it', async (t) => {
    const app = await serve(t)
    const { owner } = await signInOwner(app)
    const page = await openWindow(t)
    const seen = observe(page)
    await addAuthenticator(page)
    await createPasskey(app, page, owner.owner_id)
    await page.goto(`${app.settings.ISSUER}/account`)
    await accessible(t, page)
    await page.click('[data-action="sign-in-with-passkey"]')
    await page.waitForURL(`${app.settings.ISSUER}/account`)
    t.match(await page.textContent('h1'), 'Your account')
    await page.goto(`${app.settings.ISSUER}/account/confirm?next=account`)
    await accessible(t, page)
    await page.click('[data-action="confirm"]')
    await page.waitForURL(`${app.settings.ISSUER}/account`)
    t.same(seen.complaints, [])
  })

  t.test('who has no authenticator is told so, and is not signed in', async (t) => {
    const app = await serve(t)
    const page = await openWindow(t)
    const { session, authenticatorId } = await addAuthenticator(page)
    await session.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false })
    await page.goto(`${app.settings.ISSUER}/account/sign-in`)
    await page.click('[data-action="sign-in-with-passkey"]')
    await page.waitForSelector('[role="alert"]:not([hidden])')
    t.match(await page.textContent('[role="alert"]'), 'No passkey was used')
    t.match(page.url(), '/account/sign-in')
  })
})

t.teardown(closeBrowser)
