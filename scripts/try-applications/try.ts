import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { generate } from 'selfsigned'
import { buildApp } from '../../plugins/app.ts'
import { findFreePort } from '../demo/free-port.ts'
import { registrationOf } from '../presets/preset.ts'
import { PRESETS } from '../presets/presets.ts'
import { Browser } from './browser.ts'
import { callApi } from './call-api.ts'
import type { ApiTrial, Trial } from './trial.ts'
import { API_TRIALS, TRIALS } from './trials.ts'
import { Workshop } from './workshop.ts'

/** Signs an agent in to real products: `npm run try:applications [NAME…]`. */
const OWNER = 'ada@example.com'

const trials: Record<string, Trial | ApiTrial> = { ...TRIALS, ...API_TRIALS }
const names = process.argv.slice(2)
const unknown = names.filter((name) => !(name in trials))
if (unknown.length > 0) {
  console.error(`Nothing to try is called ${unknown.join(', ')}. There are:`)
  console.error(Object.keys(trials).join('\n'))
  process.exit(2)
}

for (const name of names.length > 0 ? names : Object.keys(trials)) {
  const trial = trials[name]
  if (trial === undefined) continue
  const folder = await mkdtemp(join(tmpdir(), 'auth-agent-try-'))
  try {
    console.log(`${name}: ${await tryProduct(name, trial, folder)}`)
  } catch (error) {
    process.exitCode = 1
    console.log(`${name}: failed. ${error instanceof Error ? error.message : error}`)
  } finally {
    await rm(folder, { recursive: true })
  }
}

async function tryProduct(name: string, trial: Trial | ApiTrial, folder: string): Promise<string> {
  const https = 'https' in trial && trial.https === true
  const port = await findFreePort()
  const issuer = `http${https ? 's' : ''}://localhost:${port}`
  const app = await buildApp({
    ISSUER: issuer,
    DATABASE_URL: `sqlite:${join(folder, 'auth-agent.db')}`,
    LOG_LEVEL: 'silent',
  })
  const workshop = await prepare(app, name)
  try {
    // This process does not trust the CA, so its own requests go to the application directly.
    const plainPort = https ? await serveHttps(app, workshop, port) : port
    await app.listen({ host: 'localhost', port: plainPort })
    const version = await trial.start(workshop)
    const given = { ...workshop.given, issuer: `http://localhost:${plainPort}` }
    const outcome =
      'login' in trial ? await signIn(app, trial, workshop) : await callApi(app, given)
    return `${outcome} (${version})`
  } catch (error) {
    const said = error instanceof Error ? error.message : error
    throw new Error(`${said}\n--- its last output\n${await workshop.log().catch(() => 'none')}`)
  } finally {
    await workshop.close()
    await app.close()
  }
}

/** Serves the application by https until the workshop is closed. Returns a free port for http. */
async function serveHttps(app: FastifyInstance, workshop: Workshop, port: number): Promise<number> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'localhost' }] },
    ],
  })
  workshop.certificate = cert
  const server = createServer({ key, cert }, (request, response) => app.routing(request, response))
  server.listen(port, 'localhost')
  await once(server, 'listening')
  workshop.closeAfter(() => {
    server.closeAllConnections()
    server.close()
  })
  return findFreePort()
}

/** Registers the product as `client create --preset` does. */
async function prepare(app: FastifyInstance, name: string): Promise<Workshop> {
  const port = await findFreePort()
  const url = `http://localhost:${port}`
  const preset = PRESETS[name]
  const { client, client_secret = '' } = await app.registration.createClient(
    preset === undefined
      ? { client_name: name, redirect_uris: [`${url}/callback`] }
      : registrationOf(preset, url),
  )
  const { client_id } = client
  const issuer = app.settings.ISSUER
  const given = { issuer, client_id, client_secret, url }
  return new Workshop({
    name,
    port,
    issuer,
    given,
    lines: preset?.files.map(({ lines }) => lines(given)) ?? [],
  })
}

/** Plays the visitor's browser, and the agent that answers the waiting page. */
async function signIn(app: FastifyInstance, trial: Trial, workshop: Workshop): Promise<string> {
  const { url } = workshop
  const browser = new Browser()
  if (typeof trial.login === 'string') await browser.visit(url + trial.login)
  else await trial.login(browser, url)
  if (trial.impossible !== undefined) {
    if (trial.impossible.test(`${browser.url} ${browser.body}`)) return 'not signed in, as expected'
    throw new Error(`Expected to be refused, but came to ${describePage(browser)}`)
  }
  await answerAsAgent(app, browser)
  if (trial.home !== undefined) await browser.visit(url + trial.home)
  const greeting = trial.greeting?.(browser) ?? browser.body
  if (!greeting.includes(OWNER)) {
    throw new Error(
      `No greeting by e-mail, but ${greeting.slice(0, 200)} at ${describePage(browser)}`,
    )
  }
  if (trial.logout === undefined) return 'signed in'
  await browser.visit(url + trial.logout)
  await browser.visit(url + (trial.home ?? ''))
  if ((trial.greeting?.(browser) ?? browser.body).includes(OWNER)) {
    throw new Error(`Still greeted after ${trial.logout}`)
  }
  const grants = await app.store.grants.list({})
  return `signed in, signed out (${grants.length} sign-in left at the server)`
}

async function answerAsAgent(app: FastifyInstance, browser: Browser): Promise<void> {
  const { agent, agent_secret } = await app.registration.createAgent({ email: OWNER })
  const [, request_id] = browser.body.match(/request_id: '(req_[\w-]+)'/) ?? []
  if (request_id === undefined) throw new Error(`No waiting page, but ${describePage(browser)}`)
  const { agent_id } = agent
  const answer = await fetch(`${app.settings.ISSUER}/api/agent/authenticate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ request_id, agent_id, agent_secret, model: 'claude-x' }),
  })
  if (!answer.ok) throw new Error(await answer.text())
  await browser.visit(`${app.settings.ISSUER}/api/check-status?request_id=${request_id}`)
  const { redirect_to } = JSON.parse(browser.body)
  await browser.visit(redirect_to)
}

function describePage({ url, status, body }: Browser): string {
  return `${url} (${status}): ${body
    .replace(/<[^>]*>/g, ' ')
    .replace(/\s+/g, ' ')
    .slice(0, 600)}`
}
