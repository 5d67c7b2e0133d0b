import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { Page } from 'playwright-core'
import t from 'tap'
import {
  authenticate,
  createAgent,
  createApi,
  createSite,
  open,
  pkce,
  signIn,
  TestClock,
} from '../harness.ts'
import { addAuthenticator } from './authenticator.ts'
import { authorizeUrl, closeBrowser, openWindow, serve, skip } from './chromium.ts'

/*
 * Makes the pictures of scripts/README.md anew: `npm run screenshots`. The pages are real ones of a
 * server in memory, with a few websites, agents and sign-ins.
 */

const folder = join(import.meta.dirname, '../../scripts/pictures')
const SITES = ['Paper & Pine', 'Harbour Tickets', 'Fern Notes']
const MODELS = ['claude-opus-4', 'gpt-5', 'gemini-3-pro']

/** Websites, an API, two agents of the owner, and two weeks of sign-ins, one of which was refused. */
async function fill(app: FastifyInstance, clock: TestClock, email: string) {
  const sites = await Promise.all(
    SITES.map((client_name, index) =>
      createSite(app, { client_name, redirect_uris: [`https://${index}.shop.example/callback`] }),
    ),
  )
  await createApi(app, { name: 'Calendar', uri: 'https://calendar.example/api' })
  const agents = [await createAgent(app, email), await createAgent(app, email)]
  for (const [index, agent] of agents.entries()) {
    await app.registration.updateAgent(agent.agent_id, { name: ['Shopping', 'Research'][index] })
  }
  for (let day = 0; day < 14; day += 1) {
    for (const [index, site] of sites.entries()) {
      const agent = agents[(day + index) % 2]
      if (agent === undefined || (day + index) % 3 === 0) continue
      const { request_id } = await open(app, site, { scope: 'openid email' })
      await authenticate(app, request_id, agent, { model: MODELS[index] })
    }
    const [site] = sites
    const request = site && (await open(app, site))
    const wrong = { agent_id: agents[0]?.agent_id ?? '', agent_secret: 'ags_wrong' }
    if (request !== undefined && day % 4 === 0) await authenticate(app, request.request_id, wrong)
    clock.advance(86_400)
  }
  for (const [index, site] of sites.entries()) {
    const agent = agents[index % 2]
    if (agent !== undefined) await signIn(app, site, agent, { scope: 'openid email' })
  }
  return { sites, agents }
}

t.test('pictures', { skip }, async (t) => {
  mkdirSync(folder, { recursive: true })
  const clock = new TestClock()
  clock.jump(Math.floor(Date.now() / 1000) - clock.now() - 14 * 86_400)
  const app = await serve(t, {}, { clock })
  const { ISSUER } = app.settings
  const email = 'ada@example.com'
  const { invitation_url } = await app.owners.invite(email, { verified: true, operator: true })
  const { sites, agents } = await fill(app, clock, email)
  const page = await openWindow(t, {
    viewport: { width: 1200, height: 760 },
    colorScheme: 'light',
  })
  await addAuthenticator(page)
  const { invitation_url: fresh } = await app.owners.invite(email)
  await page.goto(fresh === invitation_url ? invitation_url : fresh)
  await picture(page, 'invitation')
  await page.click('[data-action="create-passkey"]')
  await page.waitForURL(`${ISSUER}/account`)
  for (const path of ['account', 'account/agents', 'account/sign-ins', 'account/security']) {
    await page.goto(`${ISSUER}/${path}`)
    await picture(page, path.replace('/', '-'))
  }
  await page.goto(`${ISSUER}/account/agents/${agents[0]?.agent_id}`)
  await picture(page, 'account-agent')
  const [site] = sites
  if (site === undefined) throw new Error('There is no website')
  await page.goto(authorizeUrl(app, site, pkce().code_challenge))
  await picture(page, 'waiting')
  await page.click('[data-action="approve-as-owner"]')
  await page.waitForSelector('[data-action="approve"]')
  await picture(page, 'consent')
  for (const path of ['console', 'console/websites', 'console/history']) {
    if (!app.hasRoute({ method: 'GET', url: `/${path}` })) continue
    await page.goto(`${ISSUER}/${path}`)
    await picture(page, path.replace('/', '-'))
  }
  if (app.hasRoute({ method: 'GET', url: '/' })) {
    await page.goto(`${ISSUER}/`)
    await picture(page, 'front')
  }
  t.pass('they are in scripts/pictures')
})
t.teardown(closeBrowser)

async function picture(page: Page, name: string): Promise<void> {
  await page.screenshot({ path: join(folder, `${name}.png`) })
}
