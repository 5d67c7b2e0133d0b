import { createHash, randomBytes } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance, FastifyReply, LightMyRequestResponse } from 'fastify'
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from 'jose'
import { generate } from 'selfsigned'
import type { Test } from 'tap'
import { type BuildOptions, buildApp } from '../plugins/app.ts'
import type { Clock } from '../plugins/core/clock.ts'
import type { Owner } from '../plugins/core/core.ts'
import { newId } from '../plugins/core/crypto/secrets.ts'
import type { Network } from '../plugins/core/registry/fetch-document.ts'
import type { NewClient, NewResource } from '../plugins/core/registry/registration.ts'
import type { Settings } from '../plugins/core/settings.ts'
import type { AgentPolicy } from '../schemas/policy.ts'
import type { TokenResponse } from '../schemas/token.ts'

/** A clock that only moves when it is told to. */
export class TestClock implements Clock {
  #now = 1_800_000_000
  #monotonic = 0
  now(): number {
    return this.#now
  }
  monotonic(): number {
    return this.#monotonic
  }
  /** Lets time pass, in seconds. */
  advance(seconds: number): void {
    this.#now += seconds
    this.#monotonic += seconds
  }
  /** Sets the system's time ahead or, with a negative number, back, while no time passes. */
  jump(seconds: number): void {
    this.#now += seconds
  }
  /** Sets it back, as an administrator or a virtual machine does. In seconds. */
  goBack(seconds: number): void {
    this.#now -= seconds
  }
}

/** A server in memory that is closed with the test. */
export async function build(
  t: Test,
  settings: Partial<Settings> = {},
  options: BuildOptions = {},
): Promise<FastifyInstance> {
  const app = await buildApp(
    {
      DATABASE_URL: 'sqlite::memory:',
      LOG_LEVEL: 'silent',
      // Tables of refusals are longer than a guesser may be.
      THROTTLE_FAILURES: 1_000_000,
      ...settings,
    },
    { bcryptRounds: 4, ...options },
  )
  t.teardown(() => app.close())
  return app
}

export interface Site {
  client_id: string
  /** Undefined for a public client. */
  client_secret: string | undefined
  redirect_uri: string
}

export interface Scene {
  app: FastifyInstance
  clock: TestClock
  site: Site
  agent: Credentials
}

/** A server with a registered website and an agent that may sign in anywhere. */
export async function setUp(t: Test, settings: Partial<Settings> = {}): Promise<Scene> {
  const clock = new TestClock()
  const app = await build(t, settings, { clock })
  const [site, agent] = await Promise.all([createSite(app), createAgent(app)])
  return { app, clock, site, agent }
}

/** A registered website. */
export async function createSite(
  app: FastifyInstance,
  given: Partial<NewClient> = {},
): Promise<Site> {
  const { client, client_secret } = await app.registration.createClient({
    client_name: 'Example Site',
    redirect_uris: ['https://site.example/callback'],
    ...given,
  })
  return { client_id: client.client_id, client_secret, redirect_uri: client.redirect_uris[0] ?? '' }
}

export interface Credentials {
  agent_id: string
  agent_secret: string
}

/** A registered agent. */
export async function createAgent(
  app: FastifyInstance,
  email = 'owner@example.com',
  policy?: Partial<AgentPolicy>,
): Promise<Credentials> {
  const { agent, agent_secret } = await app.registration.createAgent({ email })
  if (policy !== undefined) await app.policies.changeAgent(agent.agent_id, policy)
  return { agent_id: agent.agent_id, agent_secret }
}

export interface SignedInOwner {
  owner: Owner
  /** The headers of this owner's browser on a page of the server. */
  headers: { cookie: string; origin: string }
}

/** An owner who is signed in in a browser, with a passkey that was used just now. */
export async function signInOwner(
  app: FastifyInstance,
  given: Partial<Owner> = {},
): Promise<SignedInOwner> {
  const owner: Owner = {
    owner_id: newId('owner_'),
    email: 'owner@example.com',
    email_verified: true,
    name: null,
    operator: false,
    mail_sign_in: true,
    created_at: app.clock.now(),
    disabled_at: null,
    ...given,
  }
  if (!(await app.store.owners.create(owner))) throw new Error(`${owner.email} is an owner already`)
  let cookie = ''
  const reply = { header: (_name: string, value: string) => (cookie = value.split(';')[0] ?? '') }
  const request = { headers: {}, ip: '192.0.2.1' }
  await app.sessions.start(owner.owner_id, 'passkey', request, reply as unknown as FastifyReply)
  return { owner, headers: { cookie, origin: new URL(app.settings.ISSUER).origin } }
}

export interface Api {
  /** Its `resource_id` and secret, as it authenticates to introspect. */
  client_id: string
  client_secret: string
  uri: string
}

/** A registered protected resource. */
export async function createApi(
  app: FastifyInstance,
  given: Partial<NewResource> = {},
): Promise<Api> {
  const { resource, resource_secret } = await app.registration.createResource({
    uri: 'https://api.example/v1',
    scopes: ['read', 'write'],
    ...given,
  })
  return {
    client_id: resource.resource_id,
    client_secret: resource_secret,
    uri: resource.uri,
  }
}

export interface KeyedAgent {
  agent_id: string
  kid: string
  alg: string
  privateKey: CryptoKey
}

/** A registered agent with a registered key, and its secret. */
export async function createKeyedAgent(
  app: FastifyInstance,
  alg = 'ES256',
): Promise<KeyedAgent & Credentials> {
  const credentials = await createAgent(app)
  const { publicKey, privateKey } = await generateKeyPair(alg)
  const { kid } = await app.agentKeys.add(credentials.agent_id, await exportJWK(publicKey))
  return { ...credentials, kid, alg, privateKey }
}

/** A good assertion of an agent for a request, with `change` made to its claims and header. */
export function signAssertion(
  app: FastifyInstance,
  { agent_id, kid, alg, privateKey }: KeyedAgent,
  request: { request_id: string; client_id: string },
  change: Record<string, unknown> = {},
  header: Record<string, unknown> = {},
): Promise<string> {
  const iat = app.clock.now()
  const claims = {
    iss: agent_id,
    sub: agent_id,
    aud: app.settings.ISSUER,
    request_id: request.request_id,
    client_id: request.client_id,
    jti: randomBytes(16).toString('base64url'),
    iat,
    exp: iat + 60,
    ...change,
  }
  return new SignJWT(claims)
    .setProtectedHeader({ alg, kid, typ: 'agent-assertion+jwt', ...header })
    .sign(privateKey)
}

/** What a website's own server answers at a path. */
export type Answer = (request: IncomingMessage, response: ServerResponse) => void

export interface Web {
  /** Goes into `buildApp`: every name leads to this web, whose certificate is trusted. */
  network: Network
  /** The https URL of a path at a host. */
  url(host: string, path: string): string
  /** Answers a path from now on; each call is counted. */
  serve(path: string, answer: Answer): void
  serveJson(path: string, document: unknown, headers?: Record<string, string>): void
  requests(path: string): number
}

/** The websites site.example, client.example and localhost on the loopback, over real TLS. */
export async function startWeb(t: Test): Promise<Web> {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'web' }], {
    keyType: 'ec',
    extensions: [
      { name: 'basicConstraints', cA: true },
      {
        name: 'subjectAltName',
        altNames: [
          { type: 2, value: 'site.example' },
          { type: 2, value: 'client.example' },
          { type: 2, value: 'localhost' },
          { type: 7, ip: '127.0.0.1' },
        ],
      },
    ],
  })
  const answers = new Map<string, Answer>()
  const counts = new Map<string, number>()
  const server = createServer({ key, cert }, (request, response) => {
    const path = request.url ?? ''
    counts.set(path, (counts.get(path) ?? 0) + 1)
    const answer = answers.get(path)
    if (answer === undefined) response.writeHead(404).end()
    else answer(request, response)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  const serve = (path: string, answer: Answer) => void answers.set(path, answer)
  return {
    network: {
      ca: cert,
      allowsAddress: (address) => address === '127.0.0.1',
      lookup: async () => ['127.0.0.1'],
    },
    url: (host, path) => `https://${host}:${port}${path}`,
    serve,
    serveJson: (path, document, headers = {}) =>
      serve(path, (_request, response) => {
        response.writeHead(200, { 'content-type': 'application/json', ...headers })
        response.end(JSON.stringify(document))
      }),
    requests: (path) => counts.get(path) ?? 0,
  }
}

/** A server, and the websites of `startWeb` whose clients have metadata documents. */
export interface DocumentScene {
  app: FastifyInstance
  clock: TestClock
  web: Web
  /** A client that nobody registered, with a document of that name. */
  serveSite(name: string): Site
}

export async function setUpDocuments(
  t: Test,
  settings: Partial<Settings> = {},
): Promise<DocumentScene> {
  const clock = new TestClock()
  const web = await startWeb(t)
  const app = await build(t, settings, { clock, network: web.network })
  const redirect_uri = 'https://client.example/callback'
  const serveSite = (client_name: string): Site => {
    const client_id = web.url('client.example', `/${client_name}`)
    web.serveJson(`/${client_name}`, { client_id, client_name, redirect_uris: [redirect_uri] })
    return { client_id, client_secret: undefined, redirect_uri }
  }
  return { app, clock, web, serveSite }
}

/** A code verifier and its S256 challenge. */
export function pkce(): { code_verifier: string; code_challenge: string } {
  const code_verifier = randomBytes(32).toString('base64url')
  const code_challenge = createHash('sha256').update(code_verifier).digest('base64url')
  return { code_verifier, code_challenge }
}

export type Parameters = Record<string, string | string[] | undefined>

/** What a good authorization request has, with `change` made to it. */
export function authorizeQuery(
  site: Site,
  code_challenge: string,
  change: Parameters = {},
): Parameters {
  return {
    response_type: 'code',
    client_id: site.client_id,
    redirect_uri: site.redirect_uri,
    code_challenge,
    code_challenge_method: 'S256',
    state: 'the state',
    ...change,
  }
}

/** A query or form body of the parameters that are not undefined; arrays are repeated. */
export function encode(parameters: Parameters): string {
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of [value].flat()) if (each !== undefined) query.append(name, each)
  }
  return query.toString()
}

/** GET /authorize as a browser does. */
export function authorize(
  app: FastifyInstance,
  query: Parameters,
  headers: Record<string, string> = {},
): Promise<LightMyRequestResponse> {
  return app.inject({
    url: `/authorize?${encode(query)}`,
    headers: { accept: 'text/html', 'sec-fetch-mode': 'navigate', ...headers },
  })
}

/** GET /authorize from an address. */
export function authorizeFrom(
  app: FastifyInstance,
  remoteAddress: string,
  site: Site,
  accept = 'application/json',
  change: Parameters = {},
): Promise<LightMyRequestResponse> {
  const query = encode(authorizeQuery(site, pkce().code_challenge, change))
  return app.inject({ url: `/authorize?${query}`, headers: { accept }, remoteAddress })
}

/** POST /register from an address, as a public client does. */
export function registerFrom(
  app: FastifyInstance,
  remoteAddress: string,
  change: Record<string, unknown> = {},
): Promise<LightMyRequestResponse> {
  const metadata = {
    redirect_uris: ['https://client.example/callback'],
    token_endpoint_auth_method: 'none',
  }
  return app.inject({
    method: 'POST',
    url: '/register',
    remoteAddress,
    payload: { ...metadata, ...change },
  })
}

export interface Opened {
  request_id: string
  code_verifier: string
  /** What the browser sends back. */
  cookie: string
}

/** An authorization request that a browser opened. */
export async function open(
  app: FastifyInstance,
  site: Site,
  change: Parameters = {},
): Promise<Opened> {
  const { code_verifier, code_challenge } = pkce()
  const page = await authorize(app, authorizeQuery(site, code_challenge, change))
  const [, request_id] = page.body.match(/request_id: '(req_[\w-]+)'/) ?? []
  const [cookie] = String(page.headers['set-cookie']).split(';')
  if (request_id === undefined || cookie === undefined) throw new Error(`no request: ${page.body}`)
  return { request_id, code_verifier, cookie }
}

/** POST /api/agent/authenticate as agent libraries do. */
export function authenticate(
  app: FastifyInstance,
  request_id: string,
  { agent_id, agent_secret }: Credentials,
  change: Record<string, unknown> = {},
): Promise<LightMyRequestResponse> {
  return app.inject({
    method: 'POST',
    url: '/api/agent/authenticate',
    payload: { request_id, agent_id, agent_secret, model: 'test-model', ...change },
  })
}

/** POST /api/agent/authenticate with an assertion. */
export function authenticateByKey(
  app: FastifyInstance,
  request_id: string,
  agent_assertion: string,
  change: Record<string, unknown> = {},
): Promise<LightMyRequestResponse> {
  return app.inject({
    method: 'POST',
    url: '/api/agent/authenticate',
    payload: { request_id, agent_assertion, model: 'test-model', ...change },
  })
}

/** Where a request stands, for one who only knows its id. */
export async function statusOf(app: FastifyInstance, request_id: string): Promise<string> {
  return (await app.inject({ url: `/api/check-status?request_id=${request_id}` })).json().status
}

/** POST a form with the site's credentials in the body. */
export function post(
  app: FastifyInstance,
  url: string,
  site: Pick<Site, 'client_id' | 'client_secret'> | undefined,
  parameters: Parameters,
  headers: Record<string, string> = {},
): Promise<LightMyRequestResponse> {
  const credentials = site && { client_id: site.client_id, client_secret: site.client_secret }
  return app.inject({
    method: 'POST',
    url,
    headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    payload: encode({ ...credentials, ...parameters }),
  })
}

export interface Code {
  code: string
  code_verifier: string
}

/** An authorization code that an agent's sign-in gave. */
export async function getCode(
  app: FastifyInstance,
  site: Site,
  agent: Credentials,
  change: Parameters = {},
): Promise<Code> {
  const { request_id, code_verifier } = await open(app, site, change)
  const { redirect_to } = (await authenticate(app, request_id, agent)).json()
  return { code: new URL(redirect_to).searchParams.get('code') ?? '', code_verifier }
}

/** POST /token for a code. */
export function redeem(
  app: FastifyInstance,
  site: Site,
  code: Code,
  change: Parameters = {},
): Promise<LightMyRequestResponse> {
  return post(app, '/token', site, { grant_type: 'authorization_code', ...code, ...change })
}

/** POST /token for a refresh token. */
export function refresh(
  app: FastifyInstance,
  site: Site,
  refresh_token: string | undefined,
  change: Parameters = {},
): Promise<LightMyRequestResponse> {
  return post(app, '/token', site, { grant_type: 'refresh_token', refresh_token, ...change })
}

/** The tokens of a whole sign-in. */
export async function signIn(
  app: FastifyInstance,
  site: Site,
  agent: Credentials,
  change: Parameters = {},
): Promise<TokenResponse> {
  const response = await redeem(app, site, await getCode(app, site, agent, change))
  if (response.statusCode !== 200) throw new Error(response.body)
  return response.json()
}
