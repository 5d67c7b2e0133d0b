import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { exportJWK, generateKeyPair } from 'jose'
import type { Test } from 'tap'
import type { TokenResponse } from '../../schemas/token.ts'
import type { Deviation } from '../authenticator.ts'
import {
  authenticate,
  build,
  type Credentials,
  createSite,
  type Opened,
  open,
  type Parameters,
  type Site,
  signIn,
  TestClock,
} from '../harness.ts'
import { invite, type Person, send } from './owner.ts'

/** An owner with one of everything that an account can show. */
export interface OwnerWithAgent extends Person {
  agent: Credentials
  kid: string
  tokens: TokenResponse
  grant_id: string
  /** A sign-in that waits for the owner's answer. */
  waiting: Opened
  get(path: string): Promise<LightMyRequestResponse>
  post(path: string, form?: Parameters): Promise<LightMyRequestResponse>
}

export interface World {
  app: FastifyInstance
  clock: TestClock
  /** Where the agents are signed in. */
  site: Site
  /** Where the agents ask to be signed in. */
  other: Site
  ann: OwnerWithAgent
  bob: OwnerWithAgent
}

/** Two owners, who are signed in with a fresh passkey. */
export async function createWorld(t: Test): Promise<World> {
  const clock = new TestClock()
  const app = await build(t, { ISSUER: 'http://localhost:8080' }, { clock })
  const site = await createSite(app, { client_name: 'Example Site' })
  const other = await createSite(app, {
    client_name: 'Other Site',
    redirect_uris: ['https://other.example/callback'],
  })
  const ann = await createOwner(app, site, other, 'ann@example.com')
  const bob = await createOwner(app, site, other, 'bob@example.com')
  return { app, clock, site, other, ann, bob }
}

async function createOwner(
  app: FastifyInstance,
  site: Site,
  other: Site,
  email: string,
): Promise<OwnerWithAgent> {
  const person = await invite(app, email, { verified: true })
  const { cookie } = person
  const { agent, agent_secret } = await app.registration.createAgent({ email, name: `Of ${email}` })
  const { agent_id } = agent
  const credentials = { agent_id, agent_secret }
  const { publicKey } = await generateKeyPair('ES256')
  const { kid } = await app.agentKeys.add(agent_id, await exportJWK(publicKey))
  const tokens = await signIn(app, site, credentials, { scope: 'openid email' })
  const [grant] = await app.store.grants.list({ agent_id })
  await app.policies.changeAgent(agent_id, { sites: 'ask' })
  const waiting = await open(app, other)
  await authenticate(app, waiting.request_id, credentials)
  return {
    ...person,
    agent: credentials,
    kid,
    tokens,
    grant_id: grant?.grant_id ?? '',
    waiting,
    get: (path) => app.inject({ url: path, headers: { cookie } }),
    post: (path, form = {}) => send(app, path, form, { cookie }),
  }
}

/** What introspection says of an access token, and whether a refresh token works. */
export async function alive(
  app: FastifyInstance,
  site: Site,
  { access_token, refresh_token }: TokenResponse,
): Promise<{ access: boolean; refresh: number; userinfo: number }> {
  const { client_id = '', client_secret = '' } = site
  const introspected = await send(app, '/introspect', {
    token: access_token,
    client_id,
    client_secret,
  })
  const userinfo = await app.inject({
    url: '/userinfo',
    headers: { authorization: `Bearer ${access_token}` },
  })
  const refreshed = await send(app, '/token', {
    grant_type: 'refresh_token',
    refresh_token,
    client_id,
    client_secret,
  })
  return {
    access: introspected.json().active,
    refresh: refreshed.statusCode,
    userinfo: userinfo.statusCode,
  }
}

/**
 * Approves as the page does: fetches the options for what the form says, and sends the form with the
 * answer of the passkey. `sent` is changed in between.
 */
export async function approve(
  { waiting, passkey, post }: OwnerWithAgent,
  form: Parameters,
  { sent = {}, deviation = {} }: { sent?: Parameters; deviation?: Deviation } = {},
): Promise<LightMyRequestResponse> {
  const path = `/account/approvals/${waiting.request_id}`
  const options = await post(`${path}/options`, form)
  if (options.statusCode !== 200) return options
  const answer = JSON.stringify(passkey.get(options.json(), deviation))
  return await post(`${path}/approve`, { ...form, passkey: answer, ...sent })
}

/** The hidden and chosen fields of a form on a page. */
export function fieldsOf(body: string, action: string): Record<string, string> {
  const [, form = ''] =
    new RegExp(`<form[^>]*action="${action}"[^>]*>(.*?)</form>`, 's').exec(body) ?? []
  const inputs = [...form.matchAll(/<input ([^>]*)>/g)].map(([, attributes = '']) => attributes)
  return Object.fromEntries(
    inputs
      .filter(
        (attributes) => !/type="(radio|checkbox)"/.test(attributes) || /checked/.test(attributes),
      )
      .map((attributes) => [
        /name="([^"]*)"/.exec(attributes)?.[1] ?? '',
        /value="([^"]*)"/.exec(attributes)?.[1] ?? '',
      ]),
  )
}

/** Where a page's link to older rows leads, as a browser reads it. */
export function nextOf(body: string): string | undefined {
  const href = /rel="next" href="([^"]+)"/.exec(body)?.[1]
  return href?.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code))
}
