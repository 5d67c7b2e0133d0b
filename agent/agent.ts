import { once } from 'node:events'
import { signAssertion } from './assertion.ts'
import { type Credentials, credentialsFromEnvironment } from './credentials.ts'
import { quote, readDescription } from './description.ts'
import {
  describeApproval,
  type PendingApproval,
  SignInError,
  type SignInErrorCode,
  toSignInError,
} from './errors.ts'
import { hostOf, normalHost } from './host.ts'
import type { Page } from './page.ts'

/** How long the issuer may take to answer, in milliseconds. */
const TIMEOUT = 30_000

/**
 * The site that the agent means to sign in to: its owner or its task named it, not a page. Null and an
 * empty string are as if left out.
 */
export interface Site {
  client_id?: string | null
  /** The host to which the sign-in returns, with its port unless that is the usual one, or a URL of it. */
  redirect_host?: string | null
}

export interface AgentOptions {
  /**
   * The only server that receives a proof, exactly as its metadata names it. By default
   * AUTH_AGENT_ISSUER of the environment.
   */
  issuer?: string
  /** By default from the environment. */
  credentials?: Credentials | (() => Credentials | Promise<Credentials>)
  /** The language model that acts, by its usual name. */
  model: string
}

export interface SignInOptions {
  site: Site
  /** Instead of the agent's. */
  model?: string | null
  /**
   * Asks the owner for the six digits that approve the sign-in, within `expires_in` seconds. It is not
   * called if no digits were sent, because then the issuer's operator answers.
   */
  onApproval?: (approval: PendingApproval) => string | Promise<string>
  signal?: AbortSignal
}

export interface PageSignInOptions extends SignInOptions {
  /**
   * The six digits, after a sign-in that ended with `approval_required`. A number counts as six digits
   * with leading zeros; null and an empty string are as if left out.
   */
  approval_code?: string | number | null
}

export interface SignedInPage {
  client_id: string
  redirect_host: string
}

export interface SignedIn extends SignedInPage {
  /** The callback URL, which the agent's own browser or HTTP client opens. It contains the code. */
  redirect_to: string
  /** With `response_mode=form_post`, the members of the form to post to it. */
  form_post?: Record<string, string>
}

interface Request {
  request_id: string
  client_id: string
  redirect_host: string
  client_origin: unknown
  client_host: unknown
}

/**
 * Makes an agent that signs in to websites. It proves itself only to its issuer and only for the site
 * that the caller names, and only it receives the code.
 * @throws {SignInError} configuration, for an issuer that is neither an https URL nor on this machine
 */
export function createAgent({
  issuer = process.env.AUTH_AGENT_ISSUER ?? '',
  credentials,
  model,
}: AgentOptions) {
  const home = parseIssuer(issuer)

  return { signIn, openSignIn }

  /**
   * Signs in on a page that shows the issuer's waiting page, and takes the page on to the site. Sends
   * nothing if the page is not the issuer's.
   * @throws {SignInError}
   */
  async function signIn(page: Page, options: PageSignInOptions): Promise<SignedInPage> {
    const limits = limit(options.signal)
    assertHome(await limits(page.url()))
    // The page can navigate away while it is read, so its address is checked again. The issuer checks
    // the values that the page showed.
    const shown = await limits(page.evaluate('window.authRequest').catch(() => undefined))
    assertHome(await limits(page.url()))
    const request = asRequest(typeof shown === 'object' ? { ...shown } : {})
    const { redirect_to, form_post, ...facts } = await authenticate(request, options)
    try {
      await limits(
        page.goto(form_post === undefined ? redirect_to : formPage(redirect_to, form_post)),
      )
    } catch {
      // The browser's own message quotes the address, and so the code.
      options.signal?.throwIfAborted()
      const message = `The sign-in was granted, but the browser did not reach ${quote(facts.redirect_host)}`
      throw new SignInError('navigation', message)
    }
    return facts
  }

  /**
   * Signs in without a browser: opens the issuer's `/authorize` URL that a site made, and returns the
   * callback URL.
   * @throws {SignInError}
   */
  async function openSignIn(authorizeUrl: string, options: SignInOptions): Promise<SignedIn> {
    assertHome(authorizeUrl)
    const facts = await ask(
      authorizeUrl,
      { headers: { accept: 'application/json' } },
      options.signal,
    )
    if (!facts.ok) throw refusal(facts)
    return await authenticate(asRequest(facts.body), options)
  }

  async function authenticate(request: Request, options: PageSignInOptions): Promise<SignedIn> {
    const { site, signal } = options
    assertSite(request, site)
    const { request_id, client_id, redirect_host } = request
    const known = await findCredentials()
    const send = async (approval_code?: PageSignInOptions['approval_code']) =>
      await post('/api/agent/authenticate', signal, {
        request_id,
        model: isGiven(options.model) ? options.model : model,
        ...(await prove(known, request)),
        deliver: 'agent',
        // Without it, the issuer accepts only a client that it knows to belong to the host.
        ...(isGiven(site.client_id) && { expected_client_id: client_id }),
        expected_redirect_host: redirect_host,
        ...(isGiven(approval_code) && { approval_code }),
      })
    let answer = await send(options.approval_code)
    if (answer.requires_2fa === true) {
      const approval = asApproval(answer)
      const code = approval.mailed_at === null ? undefined : await options.onApproval?.(approval)
      if (isGiven(code)) answer = await send(code)
    }
    if (answer.requires_2fa !== true) return asSignedIn(answer, request)
    const cause = new Error(String(answer.message))
    throw new SignInError('approval_required', undefined, { approval: asApproval(answer), cause })
  }

  async function findCredentials(): Promise<Credentials> {
    const given = typeof credentials === 'function' ? await credentials() : credentials
    return given ?? (await credentialsFromEnvironment())
  }

  /** Called for each attempt, as an assertion is valid once. */
  async function prove(
    known: Credentials,
    { request_id, client_id }: Request,
  ): Promise<Record<string, string>> {
    const { agent_id } = known
    if ('agent_secret' in known) return { agent_id, agent_secret: known.agent_secret }
    const facts = { issuer, agent_id, request_id, client_id }
    return { agent_assertion: await signAssertion(facts, known.private_jwk) }
  }

  async function post(path: string, signal: AbortSignal | undefined, body: object) {
    const headers = { 'content-type': 'application/json', accept: 'application/json' }
    const init = { method: 'POST', headers, body: JSON.stringify(body) }
    const answer = await ask(issuer + path, init, signal)
    if (!answer.ok) throw refusal(answer)
    return answer.body
  }

  /** @throws {SignInError} wrong_origin unless the URL is the issuer's own `/authorize` */
  function assertHome(url: string): void {
    const parsed = URL.canParse(url) ? new URL(url) : undefined
    const pathname = `${home.pathname.replace(/\/$/, '')}/authorize`
    if (
      parsed?.protocol !== home.protocol ||
      parsed.origin !== home.origin ||
      parsed.username !== '' ||
      parsed.password !== '' ||
      parsed.pathname !== pathname
    ) {
      throw new SignInError('wrong_origin', `This page does not show a sign-in of ${issuer}`)
    }
  }
}

function parseIssuer(issuer: string): URL {
  if (issuer === '') throw new SignInError('configuration', 'AUTH_AGENT_ISSUER is not set')
  const url = URL.canParse(issuer) ? new URL(issuer) : undefined
  if (url?.protocol !== 'https:' && !(url?.protocol === 'http:' && isLoopback(url.hostname))) {
    throw new SignInError('configuration', `The issuer ${issuer} must be an https URL`)
  }
  if (issuer.endsWith('/') || url.search !== '' || url.hash !== '' || url.username !== '') {
    throw new SignInError(
      'configuration',
      `The issuer ${issuer} must be exactly the issuer of the server's metadata`,
    )
  }
  return url
}

/** RFC 8252 section 7.3, and `localhost`, as the issuer decides it. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}

/** @throws {SignInError} wrong_site; configuration, if no site is named */
function assertSite(
  { client_id, redirect_host, client_origin, client_host }: Request,
  site: Site,
): void {
  if (!isGiven(site.client_id) && !isGiven(site.redirect_host)) {
    throw new SignInError('configuration', 'Name the site: client_id or redirect_host')
  }
  if (isGiven(site.client_id) && site.client_id !== client_id) {
    throw new SignInError('wrong_site', `This sign-in is not for ${site.client_id}`)
  }
  if (!isGiven(site.redirect_host)) return
  const host = hostOf(site.redirect_host)
  if (host === undefined) {
    throw new SignInError('configuration', 'A site is named by its host, such as shop.example')
  }
  if (host !== normalHost(redirect_host)) {
    const message = `This sign-in goes to ${quote(redirect_host)}, not to ${quote(host)}`
    throw new SignInError('wrong_site', message)
  }
  // The issuer checks this too. A client that was named by its client_id needs no further check.
  const isRegistered = client_origin === undefined || client_origin === 'operator'
  if (!isGiven(site.client_id) && !isRegistered && client_host !== redirect_host) {
    const message = `Nobody has checked that the client that asks belongs to ${quote(host)}: name it by its client_id`
    throw new SignInError('wrong_site', message)
  }
}

interface Answer {
  ok: boolean
  status: number
  body: Record<string, unknown>
}

/** Sends one request to the issuer. Redirects are not followed. */
async function ask(url: string, init: RequestInit, signal?: AbortSignal): Promise<Answer> {
  try {
    const response = await fetch(url, { ...init, redirect: 'error', signal: boundedBy(signal) })
    return { ok: response.ok, status: response.status, body: asObject(await response.json()) }
  } catch (cause) {
    signal?.throwIfAborted()
    const message = `${new URL(url).origin} did not answer as it should`
    throw new SignInError('network', message, { cause })
  }
}

const codeOf: Record<number, SignInErrorCode> = {
  401: 'invalid_credentials',
  403: 'refused',
  404: 'expired',
  409: 'expired',
  429: 'throttled',
}

function refusal({ status, body }: Answer): SignInError {
  if (body.error === 'invalid_grant') return toSignInError('wrong_approval_code', body)
  return toSignInError(codeOf[status] ?? (status >= 500 ? 'network' : 'refused'), body)
}

function asObject(value: unknown): Record<string, unknown> {
  if (typeof value !== 'object' || value === null) throw new TypeError('not a JSON object')
  return { ...value }
}

function asRequest(shown: Record<string, unknown>): Request {
  const { request_id, client_id, redirect_host, client_origin, client_host } = shown
  if (!isText(request_id) || !isText(client_id) || !isText(redirect_host)) {
    throw new SignInError('no_request')
  }
  if (normalHost(redirect_host) === undefined) throw new SignInError('no_request')
  return { request_id, client_id, redirect_host, client_origin, client_host }
}

/** @throws {SignInError} wrong_site, if the callback URL is not at the request's host */
function asSignedIn(answer: Record<string, unknown>, request: Request): SignedIn {
  const { redirect_to, form_post } = answer
  const { client_id, redirect_host } = request
  if (!isText(redirect_to) || !URL.canParse(redirect_to)) {
    throw new SignInError('network', 'The issuer gave no callback URL')
  }
  const { host, origin } = new URL(redirect_to)
  // The text must begin with the origin too: other parsers read `https://shop.example\@evil.example/`
  // as a URL of evil.example.
  const isPlain =
    redirect_to.startsWith(origin) && /^([/?]|$)/.test(redirect_to.slice(origin.length))
  if (host !== redirect_host || !isPlain) {
    throw new SignInError('wrong_site', `The callback URL is not at ${quote(redirect_host)}`)
  }
  return {
    client_id,
    redirect_host,
    redirect_to,
    ...(form_post !== undefined && { form_post: asMembers(form_post) }),
  }
}

function asApproval({ expires_in, mailed_at, sign_in }: Record<string, unknown>): PendingApproval {
  const isTime = Number.isSafeInteger(mailed_at) && Number(mailed_at) < 1e11
  const mailedAt = isTime ? Number(mailed_at) : null
  return {
    expires_in: Number(expires_in),
    message: describeApproval(mailedAt),
    mailed_at: mailedAt,
    sign_in: readDescription(sign_in),
  }
}

/** Models and adapters send null or an empty string for an argument that they leave out. */
function isGiven<T>(value: T | null | undefined): value is T {
  return value !== undefined && value !== null && value !== ''
}

function asMembers(value: unknown): Record<string, string> {
  return Object.fromEntries(
    Object.entries(asObject(value)).map(([name, each]) => [name, String(each)]),
  )
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== ''
}

/**
 * A data URL of a page that posts the form at once. A data URL has an opaque origin, so no other page
 * that holds a reference to the window can reach into it.
 */
function formPage(action: string, members: Record<string, string>): string {
  const inputs = Object.entries(members).map(
    ([name, value]) =>
      `<input type="hidden" name="${escapeAttribute(name)}" value="${escapeAttribute(value)}">`,
  )
  const page = `<!doctype html><meta charset="utf-8"><form method="post" action="${escapeAttribute(action)}">${inputs.join('')}</form><script>document.forms[0].submit()</script>`
  return `data:text/html;base64,${Buffer.from(page).toString('base64')}`
}

/** Escapes text for an HTML attribute in quotation marks. */
function escapeAttribute(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
}

/** Limits how long a browser may take, as for the issuer. */
function limit(signal: AbortSignal | undefined) {
  return async <T>(work: T | Promise<T>): Promise<T> => {
    signal?.throwIfAborted()
    const ended = boundedBy(signal)
    return await Promise.race([
      work,
      once(ended, 'abort').then((): never => {
        signal?.throwIfAborted()
        throw new SignInError('browser')
      }),
    ])
  }
}

function boundedBy(signal: AbortSignal | undefined): AbortSignal {
  const timeout = AbortSignal.timeout(TIMEOUT)
  return signal === undefined ? timeout : AbortSignal.any([signal, timeout])
}
