import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import type { Page } from 'playwright-core'
import type { Test } from 'tap'

export interface Attacker {
  origin: string
  /** What was sent to it by agents and pages, method and path and body, but for the loading of pages. */
  captured: string[]
  /** The page that it shows from now on. */
  show(page: string): void
}

/** A website that means harm: it shows whatever page it wants and keeps what is sent to it. */
export async function startAttacker(t: Test): Promise<Attacker> {
  const captured: string[] = []
  let shown = ''
  const server = createServer(async (request, response) => {
    const { method, url = '' } = request
    if (method === 'GET' && !url.startsWith('/api/')) {
      response.writeHead(200, { 'content-type': 'text/html' }).end(shown)
      return
    }
    captured.push(`${method} ${url} ${await text(request)}`)
    response.writeHead(200, { 'content-type': 'application/json' })
    response.end('{"status":"authenticated","success":true}')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const show = (page: string) => {
    shown = page
  }
  return { origin, captured, show }
}

/** A page that says of itself what a waiting page says. */
export function lookalike(request_id: string, members: Record<string, string> = {}): string {
  const request = JSON.stringify({ request_id, ...members })
  return `<!doctype html><title>Sign in to Paper & Pine</title>
<meta name="request-id" content="${request_id}">
<script>window.authRequest = ${request}</script>
<h1 data-request-id="${request_id}">Sign in to Paper &amp; Pine</h1>
<p>Waiting for your agent</p>`
}

/**
 * How agent libraries work that know nothing of these attacks: the request and the server are those of
 * the page, and the secret goes there.
 */
export async function signInTheOldWay(
  page: Page,
  agent: { agent_id: string; agent_secret: string },
  server = new URL(page.url()).origin,
): Promise<void> {
  const request_id = await page.evaluate('window.authRequest.request_id')
  await fetch(`${server}/api/agent/authenticate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ request_id, ...agent, model: 'old-model' }),
  })
}
