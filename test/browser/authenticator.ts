import type { FastifyInstance } from 'fastify'
import type { CDPSession, Page } from 'playwright-core'

export interface BrowserAuthenticator {
  session: CDPSession
  authenticatorId: string
}

/** Gives a window an authenticator that holds passkeys and recognizes its owner (WebDriver, DevTools). */
export async function addAuthenticator(page: Page): Promise<BrowserAuthenticator> {
  const session = await page.context().newCDPSession(page)
  await session.send('WebAuthn.enable')
  const { authenticatorId } = await session.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
  return { session, authenticatorId }
}

/** Makes a passkey of an owner in a window with an authenticator. */
export async function createPasskey(
  app: FastifyInstance,
  page: Page,
  owner_id: string,
): Promise<void> {
  await page.goto(`${app.settings.ISSUER}/account/sign-in`)
  await page.waitForFunction('globalThis.SimpleWebAuthnBrowser')
  const optionsJSON = await app.passkeys.registrationOptions(owner_id)
  const response = await page.evaluate(
    `SimpleWebAuthnBrowser.startRegistration({ optionsJSON: ${JSON.stringify(optionsJSON)} })`,
  )
  await app.passkeys.register(owner_id, 'Test authenticator', response)
}
