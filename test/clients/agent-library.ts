import { setTimeout as sleep } from 'node:timers/promises'
import type { AuthenticateResponse } from '../../schemas/authenticate.ts'
import type { AuthorizationRequestFacts } from '../../schemas/authorize.ts'
import type { CheckStatusResponse } from '../../schemas/check-status.ts'
import type { Credentials } from '../harness.ts'

/**
 * The `request_id` of a waiting page, found the way agent libraries find it: an unquoted key in the
 * object that the page assigns to `window.authRequest`, or else anywhere.
 */
export function readRequestId(page: string): string | undefined {
  const [, assigned] = page.match(/window\.authRequest\s*=\s*\{([^}]*)\}/) ?? []
  const key = /request_id:\s*['"]([^'"]+)['"]/
  return (assigned?.match(key) ?? page.match(key))?.[1]
}

/** POST /api/agent/authenticate, as JSON. */
export async function authenticate(
  server: string,
  request_id: string,
  agent: Credentials,
  change: { deliver?: 'agent' } = {},
): Promise<Response> {
  return await fetch(`${server}/api/agent/authenticate`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ request_id, ...agent, model: 'gpt-4o', ...change }),
  })
}

/** Polls until the sign-in is over. */
export async function checkStatus(
  server: string,
  request_id: string,
): Promise<CheckStatusResponse> {
  for (let attempt = 0; attempt < 20; attempt += 1) {
    const response = await fetch(`${server}/api/check-status?request_id=${request_id}`)
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`)
    const status = (await response.json()) as CheckStatusResponse
    if (status.status === 'error') throw new Error(status.error_description)
    if (status.status === 'completed') return status
    await sleep(100)
  }
  throw new Error('The sign-in is not over')
}

/**
 * A whole sign-in by an agent without a browser, as /llms.txt tells it.
 * @returns the callback URL that the website is to get
 */
export async function signInWithoutBrowser(
  authorizationUrl: string | URL,
  agent: Credentials,
): Promise<URL> {
  const { origin } = new URL(authorizationUrl)
  const headers = { accept: 'application/json' }
  const opened = await fetch(authorizationUrl, { headers, redirect: 'error' })
  if (!opened.ok) throw new Error(await opened.text())
  const { request_id } = (await opened.json()) as AuthorizationRequestFacts
  const authenticated = await authenticate(origin, request_id, agent, { deliver: 'agent' })
  if (!authenticated.ok) throw new Error(await authenticated.text())
  return new URL(((await authenticated.json()) as AuthenticateResponse).redirect_to)
}

/**
 * A whole sign-in by an agent that fetches the page itself, keeps no cookie and is no browser.
 * @returns the callback URL that the website is to get
 */
export async function completeAuthenticationFlow(
  authorizationUrl: string | URL,
  agent: Credentials,
): Promise<URL> {
  const { origin } = new URL(authorizationUrl)
  const page = await fetch(authorizationUrl, { redirect: 'manual' })
  const request_id = readRequestId(await page.text())
  if (request_id === undefined) throw new Error(`${page.status} ${page.headers.get('location')}`)
  const authenticated = await authenticate(origin, request_id, agent)
  if (!authenticated.ok) throw new Error(await authenticated.text())
  const { code, state, redirect_uri, redirect_to } = await checkStatus(origin, request_id)
  const callback = new URL(redirect_to ?? '')
  if (
    callback.searchParams.get('code') !== code ||
    (callback.searchParams.get('state') ?? undefined) !== state ||
    !callback.href.startsWith(redirect_uri ?? 'nowhere')
  ) {
    throw new Error(`${callback} is not ${redirect_uri} with ${code} and ${state}`)
  }
  return callback
}
