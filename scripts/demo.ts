import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { get, type IncomingHttpHeaders } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { text } from 'node:stream/consumers'
import { parseArgs } from 'node:util'
import closeWithGrace from 'close-with-grace'
import type { CustomFetch } from 'openid-client'
import { buildApp } from '../plugins/app.ts'
import { findFreePort } from './demo/free-port.ts'
import { startWebsite } from './demo/website.ts'

const { values } = parseArgs({ options: { keep: { type: 'boolean', default: false } } })

// Closed in reverse order of the start, also after an error and on Ctrl-C.
const cleanups: (() => Promise<unknown>)[] = []
const { close } = closeWithGrace(async ({ err }) => {
  if (err) console.error(err)
  for (const cleanUp of cleanups.reverse()) await cleanUp()
})

const folder = await mkdtemp(join(tmpdir(), 'auth-agent-demo-'))
cleanups.push(() => rm(folder, { recursive: true }))

const port = await findFreePort()
const issuer = `http://localhost:${port}`
const server = await buildApp({
  ISSUER: issuer,
  DATABASE_URL: `sqlite:${join(folder, 'auth-agent.db')}`,
  LOG_LEVEL: 'warn',
})
cleanups.push(() => server.close())
await server.listen({ host: 'localhost', port })

const { client, client_secret = '' } = await server.registration.createClient({
  client_name: 'Paper & Pine',
  redirect_uris: ['http://127.0.0.1/callback'],
})
const { agent, agent_secret } = await server.registration.createAgent({ email: 'ada@example.com' })
const { client_id } = client
const { agent_id } = agent

if (values.keep) await keep()
else {
  await signIn()
  close()
}

/** Runs a whole sign-in and prints each request and answer. */
async function signIn(): Promise<void> {
  step('The website knows the issuer, and asks it for everything else')
  const website = await startWebsite({ issuer, client_id, client_secret, fetch: shownFetch })
  cleanups.push(() => website.close())
  const browser = createBrowser()

  step('In a browser the agent presses "Sign in with Auth Agent", and comes to the waiting page')
  const login = await browser.visit(`${website.url}/login`)
  const waitingPage = await browser.visit(login.headers.location ?? '')
  const request_id = waitingPage.body.match(/request_id: '(req_[\w-]+)'/)?.[1] ?? ''
  show(`        window.authRequest.request_id is ${request_id}`)

  step('The page waits at the server, which holds its answer')
  const held = browser.visit(`${issuer}/api/check-status?request_id=${request_id}&wait=25`)
  show(`Browser GET ${issuer}/api/check-status?request_id=${request_id}&wait=25\n     ...`)

  step('The agent proves itself to the server, past the browser')
  await authenticate(request_id)

  step('At once the held answer sends the browser back to the website')
  const { redirect_to } = JSON.parse((await held).body)

  step('The website redeems the code and asks who signed in')
  const callback = await browser.visit(redirect_to)

  step('The website greets the agent by the e-mail address of its owner')
  const home = await browser.visit(new URL(callback.headers.location ?? '', website.url).href)
  const greeting = home.body.match(/<h1>(.*?)<\/h1>/)?.[1]
  show(`        ${greeting}`)
  if (greeting !== `Hello, ${agent.email}`) throw new Error(`No greeting: ${home.body}`)
  show('\nSigned in.')
}

/** Runs everything until Ctrl-C. The person at the keyboard plays the agent. */
async function keep(): Promise<void> {
  const website = await startWebsite({ issuer, client_id, client_secret })
  cleanups.push(() => website.close())
  console.log(`
The website:  ${website.url}
The server:   ${issuer}

1. Open the website in a browser and press "Sign in with Auth Agent".
2. On the waiting page open "For your agent" and copy the request, req_…
3. Play the agent: paste the request here and press Enter. Or, in another terminal:

   curl ${issuer}/api/agent/authenticate -H 'content-type: application/json' \\
     -d '{"request_id":"req_…","agent_id":"${agent_id}","agent_secret":"${agent_secret}","model":"demo-model"}'

Ctrl-C ends the demo and removes everything it made.
`)
  const lines = createInterface({ input: process.stdin })
  cleanups.push(async () => lines.close())
  lines.on('line', async (line) => {
    const [request_id] = line.match(/req_[\w-]+/) ?? []
    if (request_id === undefined) console.log('A request looks like req_… and is on the page.')
    else await authenticate(request_id)
  })
}

/** The one call that an agent makes. */
async function authenticate(request_id: string): Promise<void> {
  await shownFetch(`${issuer}/api/agent/authenticate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ request_id, agent_id, agent_secret, model: 'demo-model' }),
    redirect: 'manual',
  })
}

/** A browser without a window: it follows redirects and keeps cookies for each host. */
function createBrowser() {
  const cookies = new Map<string, string>()
  return {
    async visit(address: string): Promise<{ headers: IncomingHttpHeaders; body: string }> {
      const { hostname } = new URL(address)
      const cookie = cookies.get(hostname)
      const headers = {
        accept: 'text/html',
        'sec-fetch-mode': 'navigate',
        ...(cookie && { cookie }),
      }
      const [response] = await once(get(address, { headers }), 'response')
      const [set] = response.headers['set-cookie'] ?? []
      if (set !== undefined) cookies.set(hostname, set.split(';', 1)[0])
      const body = await text(response)
      const isJson = response.headers['content-type']?.startsWith('application/json')
      const said = response.headers.location ?? (isJson ? body : '')
      show(`Browser GET ${address}\n     -> ${response.statusCode} ${said}`)
      return { headers: response.headers, body }
    },
  }
}

/** `fetch` that prints each request and answer. */
async function shownFetch(...[url, options]: Parameters<CustomFetch>): Promise<Response> {
  const sender = url.endsWith('/api/agent/authenticate') ? 'Agent  ' : 'Website'
  const response = await fetch(url, options)
  const sent = options.body ? `\n        ${options.body}` : ''
  const received = url.includes('/.well-known/') ? '' : await response.clone().text()
  show(`${sender} ${options.method} ${url}${sent}\n     -> ${response.status} ${received}`)
  return response
}

function step(title: string): void {
  show(`\n${title}`)
}

/** Prints a text with long random values (secrets, codes, tokens) shortened. */
function show(line: string): void {
  console.log(line.replace(/[\w.-]{40,}/g, (secret) => `${secret.slice(0, 8)}…`))
}
