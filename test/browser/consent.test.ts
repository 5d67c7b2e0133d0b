import * as current from '@modelcontextprotocol/client'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import type { FastifyInstance } from 'fastify'
import type { Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { freePort, serve as serveAt } from '../clients/live.ts'
import { grant_types, Host } from '../clients/mcp-host.ts'
import { createMcpServer } from '../clients/mcp-server.ts'
import { createSite, type Site, signInOwner, startWeb, statusOf } from '../harness.ts'
import { addAuthenticator, createPasskey } from './authenticator.ts'
import {
  accessible,
  closeBrowser,
  observe,
  openWindow,
  readRequestId,
  serve,
  setScene,
  skip,
} from './chromium.ts'

/** A person's browser with a passkey, where nobody is signed in yet. */
async function openPerson(t: Test, app: FastifyInstance) {
  const { owner } = await signInOwner(app)
  const page = await openWindow(t)
  const authenticator = await addAuthenticator(page)
  await createPasskey(app, page, owner.owner_id)
  return { page, owner, authenticator }
}

/** From the waiting page to the page of choices, by the sign-in. */
async function goToChoices(page: Page) {
  await page.click('[data-action="approve-as-owner"]')
  await page.click('[data-action="sign-in-with-passkey"]')
  await page.waitForSelector('[data-action="approve"]')
}

t.test('a person at the waiting page', { skip }, async (t) => {
  t.test('consents to a code that the website redeems', async (t) => {
    const { app, website } = await setScene(t)
    const { page } = await openPerson(t, app)
    const seen = observe(page)
    await page.goto(`${website.url}/login`)
    await accessible(t, page)
    await goToChoices(page)
    await accessible(t, page)
    await page.click('[data-action="approve"]')
    await page.waitForURL(`${website.url}/`)
    t.match(await page.textContent('body'), 'You signed in yourself')
    t.same(seen.complaints, [])
  })

  t.test('refuses, and the website is told', async (t) => {
    const { app, website } = await setScene(t)
    const { page } = await openPerson(t, app)
    await page.goto(`${website.url}/login`)
    const request_id = await readRequestId(page)
    await goToChoices(page)
    await page.click('[data-action="deny"]')
    await page.waitForURL(`${website.url}/**`)
    t.match(await page.textContent('body'), 'You are not signed in')
    t.equal(await statusOf(app, request_id), 'error')
  })

  t.test('a waiting page in another tab says that it is done', async (t) => {
    const { app, website } = await setScene(t)
    const { page } = await openPerson(t, app)
    await page.goto(`${website.url}/login`)
    const href = await page.getAttribute('[data-action="approve-as-owner"]', 'href')
    const other = await page.context().newPage()
    await addAuthenticator(other)
    await createPasskey(app, other, (await app.store.owners.list())[0]?.owner_id ?? '')
    await other.goto(`${app.settings.ISSUER}/${href}`)
    await other.click('[data-action="sign-in-with-passkey"]')
    await other.click('[data-action="approve"]')
    await other.waitForURL(`${website.url}/`)
    await page.getByText('This sign-in is done').waitFor()
  })

  t.test('an agent that drives the browser has no passkey, and gets nowhere', async (t) => {
    const { app, website } = await setScene(t)
    const { page, authenticator } = await openPerson(t, app)
    await page.goto(`${website.url}/login`)
    const request_id = await readRequestId(page)
    await goToChoices(page)
    const { session, authenticatorId } = authenticator
    await session.send('WebAuthn.setUserVerified', { authenticatorId, isUserVerified: false })
    await page.click('[data-action="approve"]')
    await page.getByRole('alert').waitFor()
    t.match(await page.textContent('[role="alert"]'), 'No passkey was used')
    const sent = page.waitForResponse((response) => response.request().method() === 'POST')
    await page.evaluate(
      "HTMLFormElement.prototype.submit.call(document.querySelector('form.card'))",
    )
    t.equal((await sent).status(), 400, 'the form alone is no consent')
    t.equal(await statusOf(app, request_id), 'pending')
    t.same(await app.store.grants.list({}), [])
  })

  t.test('the page is usable on a telephone, light and dark', async (t) => {
    const { app, website } = await setScene(t)
    const { page } = await openPerson(t, app)
    await page.setViewportSize({ width: 320, height: 700 })
    await page.goto(`${website.url}/login`)
    await goToChoices(page)
    const wide = await page.evaluate('document.documentElement.scrollWidth')
    t.equal(wide, 320, 'nothing is cut off')
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme })
      await accessible(t, page)
      if (process.env.SCREENSHOTS) {
        const path = `${process.env.SCREENSHOTS}/consent-${colorScheme}-320.png`
        await page.screenshot({ path, fullPage: true })
      }
    }
    if (process.env.SCREENSHOTS) {
      await page.setViewportSize({ width: 1200, height: 800 })
      await page.screenshot({ path: `${process.env.SCREENSHOTS}/consent-1200.png`, fullPage: true })
    }
  })
})

t.test('a person connects MCP clients', { skip }, async (t) => {
  const web = await startWeb(t)
  const app = await serve(t, { DYNAMIC_REGISTRATION: 'open' }, { network: web.network })
  const issuer = app.settings.ISSUER
  const port = await freePort()
  const resource = `http://127.0.0.1:${port}/mcp`
  await app.registration.createResource({ uri: resource, scopes: ['tools'], open_to: 'anyone' })
  await serveAt(t, port, await createMcpServer({ issuer, resource, scope: 'tools' }))
  const metadataUrl = web.url('client.example', '/mcp-host.json')
  web.serveJson('/mcp-host.json', {
    client_id: metadataUrl,
    client_name: 'MCP host',
    redirect_uris: ['http://127.0.0.1/callback'],
    grant_types,
    token_endpoint_auth_method: 'none',
  })
  const { page, owner } = await openPerson(t, app)
  await page.goto(`${issuer}/account/sign-in`)
  await page.click('[data-action="sign-in-with-passkey"]')
  await page.waitForURL(`${issuer}/account`)

  const registered = async () => {
    const redirect_uris = ['http://127.0.0.1/callback']
    const none = { token_endpoint_auth_method: 'none' }
    const site: Site = await createSite(app, { client_name: 'MCP host', redirect_uris, ...none })
    return new Host({ client_id: site.client_id, issuer })
  }
  const hosts: [string, () => Promise<Host>][] = [
    ['a registered client', registered],
    ['a client that is a metadata document', async () => new Host(undefined, metadataUrl)],
    ['a client that registers itself', async () => new Host()],
  ]
  await page.route('http://127.0.0.1:51234/**', (route) => route.fulfill({ body: 'Done' }))
  /** Consents in the browser; gives what comes back to the host's loopback. */
  const consentTo = async (url: URL | undefined) => {
    await page.goto(String(url))
    await page.click('[data-action="approve-as-owner"]')
    await page.click('[data-action="approve"]')
    await page.waitForURL('http://127.0.0.1:51234/**')
    return new URL(page.url()).searchParams
  }
  const isMine = async (t: Test, given: unknown) => {
    const { agent } = given as { agent: string }
    t.equal((await app.store.agents.find(agent))?.owner_id, owner.owner_id)
  }
  for (const [kind, create] of hosts) {
    t.test(`with the SDK 1, as ${kind}`, async (t) => {
      const host = await create()
      const connect = () => {
        const authProvider = host
        const transport = new StreamableHTTPClientTransport(new URL(resource), { authProvider })
        const client = new Client({ name: 'test', version: '1.0.0' })
        t.teardown(() => client.close())
        return { client, transport, connected: client.connect(transport) }
      }
      const first = connect()
      await t.rejects(first.connected)
      const callback = await consentTo(host.authorizationUrl)
      await first.transport.finishAuth(callback.get('code') ?? '')
      const second = connect()
      await second.connected
      const { content } = await second.client.callTool({ name: 'whoami' })
      const [answer] = content as { text: string }[]
      await isMine(t, JSON.parse(answer?.text ?? ''))
    })

    t.test(`with the SDK 2, as ${kind}`, async (t) => {
      const host = await create()
      const connect = () => {
        const authProvider = host
        const transport = new current.StreamableHTTPClientTransport(new URL(resource), {
          authProvider,
        })
        const client = new current.Client({ name: 'test', version: '1.0.0' })
        t.teardown(() => client.close())
        return { client, transport, connected: client.connect(transport) }
      }
      const first = connect()
      await t.rejects(first.connected)
      await first.transport.finishAuth(await consentTo(host.authorizationUrl))
      const second = connect()
      await second.connected
      const { content } = await second.client.callTool({ name: 'whoami' })
      const [answer] = content as { text: string }[]
      await isMine(t, JSON.parse(answer?.text ?? ''))
      t.equal(await current.auth(host, { serverUrl: resource }), 'AUTHORIZED', 'it refreshes')
    })
  }
})

t.teardown(closeBrowser)
