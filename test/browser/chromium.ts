import { existsSync } from 'node:fs'
import axe, { type AxeResults } from 'axe-core'
import type { FastifyInstance } from 'fastify'
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import type { Test } from 'tap'
import type { BuildOptions } from '../../plugins/app.ts'
import type { Settings } from '../../plugins/core/settings.ts'
import { findFreePort } from '../../scripts/demo/free-port.ts'
import { startWebsite, type Website } from '../../scripts/demo/website.ts'
import {
  authorizeQuery,
  build,
  type Credentials,
  createAgent,
  createSite,
  encode,
  type Parameters,
  type Site,
} from '../harness.ts'
import { makeFolder } from '../processes.ts'

const executablePath = [
  process.env.CHROMIUM_PATH,
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find((path) => path && existsSync(path))

const flags = ['--disable-gpu', '--disable-quic', '--no-first-run', '--disable-sync']

/** Why the tests of this file do not run, or false. */
export const skip =
  executablePath === undefined && 'no Chromium is installed here; CHROMIUM_PATH names one'

let browser: Promise<Browser> | undefined

/** The one browser of a test file; the first test that needs it starts it. */
function launch(): Promise<Browser> {
  browser ??= chromium.launch({
    executablePath,
    args: flags,
  })
  return browser
}

/** Ends the browser; for the last line of a test file. */
export async function closeBrowser(): Promise<void> {
  await (await browser)?.close()
}

/** A server that listens at its issuer, until the test ends. */
export async function serve(
  t: Test,
  settings: Partial<Settings> = {},
  options: BuildOptions = {},
): Promise<FastifyInstance> {
  const port = await findFreePort()
  const app = await build(t, { ISSUER: `http://localhost:${port}`, ...settings }, options)
  await app.listen({ host: 'localhost', port })
  return app
}

export interface Scene {
  app: FastifyInstance
  website: Website
  agent: Credentials
}

/** A server, a website that is registered there, and an agent. */
export async function setScene(t: Test, settings: Partial<Settings> = {}): Promise<Scene> {
  const app = await serve(t, settings)
  const { client_id, client_secret = '' } = await createSite(app, {
    client_name: 'Paper & Pine',
    redirect_uris: ['http://127.0.0.1/callback'],
  })
  const website = await startWebsite({ issuer: app.settings.ISSUER, client_id, client_secret })
  t.teardown(() => website.close())
  return { app, website, agent: await createAgent(app) }
}

/** A person's browser with nothing in it, and one window. */
export async function openWindow(t: Test, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await (await launch()).newContext(options)
  context.setDefaultTimeout(15_000)
  t.teardown(() => context.close())
  return context.newPage()
}

export interface AgentBrowser {
  page: Page
  /** Where it answers over the Chrome DevTools Protocol. */
  cdp_url: string
}

/** A browser of its own, which its agent drives over CDP. */
export async function openAgentBrowser(t: Test): Promise<AgentBrowser> {
  const port = await findFreePort()
  const context = await chromium.launchPersistentContext(makeFolder(t), {
    executablePath,
    args: [...flags, `--remote-debugging-port=${port}`],
  })
  context.setDefaultTimeout(15_000)
  t.teardown(() => context.close())
  const page = context.pages()[0] ?? (await context.newPage())
  return { page, cdp_url: `http://127.0.0.1:${port}` }
}

export interface Observation {
  /** What the pages asked, method and URL. */
  requests: string[]
  /** What the console said of violated policies and broken scripts. */
  complaints: string[]
}

/** Watches every window of the browser that a window belongs to. */
export function observe(page: Page): Observation {
  const seen: Observation = { requests: [], complaints: [] }
  page.context().on('request', (request) => seen.requests.push(request.url()))
  page.context().on('console', (message) => {
    if (message.type() === 'error') seen.complaints.push(message.text())
  })
  page.context().on('weberror', (error) => seen.complaints.push(error.error().message))
  return seen
}

/** The request that the waiting page in a window is about, read as browser automation reads it. */
export function readRequestId(page: Page): Promise<string> {
  return page.evaluate('window.authRequest.request_id')
}

/** The address of /authorize that a website sends the browser to. */
export function authorizeUrl(
  app: FastifyInstance,
  site: Site,
  code_challenge: string,
  change: Parameters = {},
): string {
  return `${app.settings.ISSUER}/authorize?${encode(authorizeQuery(site, code_challenge, change))}`
}

/** WCAG 2.2 AA and good practice, as far as axe can tell, and nothing that it could not decide. */
export async function accessible(t: Test, page: Page): Promise<void> {
  await page.evaluate(axe.source)
  const results = await page.evaluate<AxeResults>('axe.run()')
  const problems = [...results.violations, ...results.incomplete]
  t.same(
    problems.map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html)}`),
    [],
    'accessible',
  )
}
