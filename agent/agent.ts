import { once } from 'node:events'
import { html } from 'ghtml'
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
import { normalHost } from './host.ts'
import type { Page } from './page.ts'

/** How long the issuer may take for an answer, in milliseconds. */
const TIMEOUT = 30_000

/** The site that the agent set out for: what its owner or its task named, never what a page says. */
export interface Site {
  client_id?: string
  /** The host, with its port unless that is the usual one, to which the sign-in returns. */
  redirect_host?: string
}

export interface AgentOptions {
  /**
   * The one server that is ever sent a proof, exactly as its metadata names it. By default
   * AUTH_AGENT_ISSUER of the environment.
   */
  issuer?: string
  /** By default those that the environment names. */
  credentials?: Credentials | (() => Credentials | Promise<Credentials>)
  /** The language model that acts, by its usual name. */
  model: string
}

export interface SignInOptions {
  site: Site
  /** Instead of the agent's. */
  model?: string
  /**
   * Asks the owner for the six digits that approve the sign-in, which stay good for some seconds. It
   * is not called where no digits were sent, and the issuer's operator answers.
   */
  onApproval?: (approval: PendingApproval) => string | Promise<string>
  signal?: AbortSignal
}

export interface PageSignInOptions extends SignInOptions {
  /**
   * The digits themselves, for a page whose sign-in said `approval_required` before. A number stands
   * for its six digits; null and an empty string are as if left out.
   */
  approval_code?: string | number | null
}

export interface SignedInPage {
  client_id: string
  redirect_host: string
}

export interface SignedIn extends SignedInPage {
  /** The callback URL, for a browser or HTTP client of the agent's own to open; it holds the code. */
  redirect_to: string
  /** With `response_mode=form_post`, the members of the form to post there. */
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
 * An agent that signs in to websites. It proves itself to its issuer alone, for the site that it set
 * out for alone, and the code comes back to it alone.
 * @throws {SignInError} configuration, for an issuer that is no https URL (or on this machine)
 */
export function createAgent({
  issuer = process.env.AUTH_AGENT_ISSUER ?? '',
  credentials,
  model,
}: AgentOptions) {
  const home = parseIssuer(issuer)

  return { signIn, openSignIn }

  /**
   * Signs in on a page that shows the issuer's waiting page: the page goes on to the site, signed
   * in. Nothing is sent when the page is not the issuer's own.
   * @throws {SignInError}
   */
  async function signIn(page: Page, options: PageSignInOptions): Promise<SignedInPage> {
    const limits = limit(options.signal)
    assertHome(await limits(page.url()))
    // A page that goes elsewhere while it is read shows nothing, or anything: it is asked again where
    // it is, and what it showed is no more than what the issuer will check.
    const shown = await limits(page.evaluate('window.authRequest').catch(() => undefined))
    assertHome(await limits(page.url()))
    const request = asRequest(typeof shown === 'object' ? { ...shown } : {})
    const { redirect_to, form_post, ...facts } = await authenticate(request, options)
    try {
      await limits(
        page.goto(form_post === undefined ? redirect_to : formPage(redirect_to, form_post)),
      )
    } catch {
      // What a browser says of it quotes the address, and so the code.
      options.signal?.throwIfAborted()
      const told = `The agent is signed in, but its browser could not go on to ${quote(facts.redirect_host)}`
      throw new SignInError('navigation', told)
    }
    return facts
  }

  /**
   * Signs in without a browser: opens the issuer's `/authorize` URL that a site made, and gives the
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
        model: options.model ?? model,
        ...(await prove(known, request)),
        deliver: 'agent',
        // By a host alone, the issuer lets nobody in but a client that it knows to belong there.
        ...(site.client_id !== undefined && { expected_client_id: client_id }),
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

  /** Anew for each call: an assertion is good once. */
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
    throw new SignInError('configuration', `${issuer} is not an issuer, compare its metadata`)
  }
  return url
}

/** As the issuer understands it: RFC 8252 section 7.3, and `localhost`. */
function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127(\.\d{1,3}){3}$/.test(hostname)
}

/** @throws {SignInError} wrong_site, configuration when no site is named */
function assertSite(
  { client_id, redirect_host, client_origin, client_host }: Request,
  site: Site,
): void {
  if (site.client_id === undefined && site.redirect_host === undefined) {
    throw new SignInError('configuration', 'Say which site is meant: client_id or redirect_host')
  }
  if (site.client_id !== undefined && site.client_id !== client_id) {
    throw new SignInError('wrong_site', `This sign-in is not for ${site.client_id}`)
  }
  if (site.redirect_host === undefined) return
  const host = normalHost(site.redirect_host)
  if (host === undefined) {
    throw new SignInError('configuration', 'A redirect_host is a host, such as shop.example')
  }
  if (host !== normalHost(redirect_host)) {
    const told = `This sign-in goes to ${quote(redirect_host)}, not to ${quote(host)}`
    throw new SignInError('wrong_site', told)
  }
  // The issuer checks this too. A client_id that was named stands for itself.
  const known = client_origin === undefined || client_origin === 'operator'
  if (site.client_id === undefined && !known && client_host !== redirect_host) {
    const told = `Nobody has checked that the client that asks belongs to ${quote(host)}: name it by its client_id`
    throw new SignInError('wrong_site', told)
  }
}

interface Answer {
  ok: boolean
  status: number
  body: Record<string, unknown>
}

/** One request to the issuer, which is never followed to anywhere else. */
async function ask(url: string, init: RequestInit, signal?: AbortSignal): Promise<Answer> {
  try {
    const response = await fetch(url, { ...init, redirect: 'error', signal: boundedBy(signal) })
    return { ok: response.ok, status: response.status, body: asObject(await response.json()) }
  } catch (cause) {
    signal?.throwIfAborted()
    const told = `${new URL(url).origin} did not answer as it should`
    throw new SignInError('network', told, { cause })
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

/** @throws {SignInError} wrong_site, when the callback URL is at another host than was said */
function asSignedIn(answer: Record<string, unknown>, request: Request): SignedIn {
  const { redirect_to, form_post } = answer
  const { client_id, redirect_host } = request
  if (!isText(redirect_to) || !URL.canParse(redirect_to)) {
    throw new SignInError('network', 'The issuer gave no callback URL')
  }
  const { host, origin } = new URL(redirect_to)
  // The text has to begin with the origin as well: other parsers than this one read
  // `https://shop.example\@evil.example/` as a URL of evil.example.
  const plain = redirect_to.startsWith(origin) && /^([/?]|$)/.test(redirect_to.slice(origin.length))
  if (host !== redirect_host || !plain) {
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
  const mailed =
    Number.isSafeInteger(mailed_at) && Number(mailed_at) < 1e11 ? Number(mailed_at) : null
  return {
    expires_in: Number(expires_in),
    message: describeApproval(mailed),
    mailed_at: mailed,
    sign_in: readDescription(sign_in),
  }
}

/** Models and adapters send null or an empty string for what they leave out. */
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
 * A page that posts the form at once. It is one navigation of the browser to a document of no origin,
 * so that whoever else holds the window has no moment to put himself in its place.
 */
function formPage(action: string, members: Record<string, string>): string {
  const inputs = Object.entries(members).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
  )
  const page = html`<!doctype html><meta charset="utf-8"><form method="post" action="${action}">!${inputs}</form><script>document.forms[0].submit()</script>`
  return `data:text/html;base64,${Buffer.from(page).toString('base64')}`
}

/** Waits for a browser no longer than for the issuer. */
function limit(signal: AbortSignal | undefined) {
  return async <T>(work: T | Promise<T>): Promise<T> => {
    signal?.throwIfAborted()
    const ended = boundedBy(signal)
    return await Promise.race([
      work,
      once(ended, 'abort').then((): never => {
        signal?.throwIfAborted()
        throw new SignInError('navigation', "The agent's browser does not answer")
      }),
    ])
  }
}

function boundedBy(signal: AbortSignal | undefined): AbortSignal {
  const timeout = AbortSignal.timeout(TIMEOUT)
  return signal === undefined ? timeout : AbortSignal.any([signal, timeout])
}
