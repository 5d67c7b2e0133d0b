import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import type { Owner } from '../../plugins/core/core.ts'
import type { TokenResponse } from '../../schemas/token.ts'
import { type Deviation, SoftwarePasskey } from '../authenticator.ts'
import {
  authorize,
  authorizeQuery,
  build,
  createSite,
  encode,
  type Opened,
  open,
  type Parameters,
  pkce,
  redeem,
  type Site,
  signInOwner,
  TestClock,
} from '../harness.ts'

/** Serves a name, since an address has no passkeys. */
export const ISSUER = 'https://auth.example'

export interface Person {
  owner: Owner
  headers: { cookie: string; origin: string }
  passkey: SoftwarePasskey
}

export async function buildWorld(t: Test) {
  const clock = new TestClock()
  const app = await build(t, { ISSUER }, { clock })
  return { app, clock, site: await createSite(app), person: await createPerson(app) }
}

/** An owner who is signed in with a passkey. */
export async function createPerson(
  app: FastifyInstance,
  email = 'owner@example.com',
  given: Partial<Owner> = {},
): Promise<Person> {
  const { owner, headers } = await signInOwner(app, { email, ...given })
  const passkey = new SoftwarePasskey(app.settings.ISSUER)
  const options = await app.passkeys.registrationOptions(owner.owner_id)
  await app.passkeys.register(owner.owner_id, 'Laptop', passkey.create(options))
  return { owner, headers, passkey }
}

/** The headers of a browser in which the person is signed in and that opened a request. */
export function browserOf({ headers }: Person, { cookie }: Pick<Opened, 'cookie'>) {
  return { ...headers, cookie: `${headers.cookie}; ${cookie}` }
}

/** What the page's form holds, as it is shown. */
export async function readForm(
  app: FastifyInstance,
  person: Person,
  opened: Opened,
): Promise<Parameters> {
  const page = await app.inject({
    url: `/account/consent?request_id=${opened.request_id}`,
    headers: browserOf(person, opened),
  })
  if (page.statusCode !== 200) throw new Error(page.body)
  const value = (name: string) => page.body.match(new RegExp(`name="${name}" value="([^"]*)"`))?.[1]
  const checked = (name: string) =>
    [...page.body.matchAll(new RegExp(`name="${name}" value="([^"]*)"[^>]* checked`, 'g'))].map(
      ([, each]) => each ?? '',
    )
  return {
    request_id: value('request_id'),
    shown: value('shown'),
    agent: checked('agent')[0],
    scope: checked('scope'),
    lasts: checked('lasts')[0],
  }
}

export function send(
  app: FastifyInstance,
  url: string,
  headers: Record<string, string>,
  fields: Parameters,
): Promise<LightMyRequestResponse> {
  return app.inject({
    method: 'POST',
    url,
    headers: { ...headers, 'content-type': 'application/x-www-form-urlencoded' },
    payload: encode(fields),
  })
}

/** Answers the page as the person chooses, with a passkey. */
export async function consent(
  app: FastifyInstance,
  person: Person,
  opened: Opened,
  choice: Parameters = {},
  change: Deviation = {},
): Promise<LightMyRequestResponse> {
  const headers = browserOf(person, opened)
  const fields = { ...(await readForm(app, person, opened)), ...choice }
  const options = await send(app, '/account/consent/options', headers, fields)
  if (options.statusCode !== 200) return options
  const passkey = JSON.stringify(person.passkey.get(options.json(), change))
  return await send(app, '/account/consent', headers, { ...fields, passkey })
}

/** The code that the page goes on with, in its link. */
export function codeOf({ body }: LightMyRequestResponse): string {
  const [, href = ''] = body.match(/id="go-on"[^>]* href="([^"]*)"/) ?? []
  if (href === '') throw new Error(body)
  return new URL(decodeEntities(href)).searchParams.get('code') ?? ''
}

export function decodeEntities(text: string): string {
  return text.replace(/&#(\d+);/g, (_, code) => String.fromCharCode(code))
}

/** The tokens of a whole sign-in of a person. */
export async function signInPerson(
  app: FastifyInstance,
  site: Site,
  person: Person,
  change: Parameters = {},
  choice: Parameters = {},
): Promise<TokenResponse> {
  const opened = await open(app, site, change)
  const code = codeOf(await consent(app, person, opened, choice))
  const { code_verifier } = opened
  const response = await redeem(app, site, { code, code_verifier })
  if (response.statusCode !== 200) throw new Error(response.body)
  return response.json()
}

/** GET /authorize in the person's browser, and what came back to the website at once. */
export async function authorizeAsPerson(
  app: FastifyInstance,
  site: Site,
  person: Person,
  change: Parameters = {},
): Promise<{
  response: LightMyRequestResponse
  answer: Record<string, string> | undefined
  code_verifier: string
}> {
  const { code_challenge, code_verifier } = pkce()
  const { cookie } = person.headers
  const query = authorizeQuery(site, code_challenge, change)
  const response = await authorize(app, query, { cookie })
  const { location } = response.headers
  const answer =
    location === undefined
      ? undefined
      : Object.fromEntries(new URL(String(location)).searchParams.entries())
  return { response, answer, code_verifier }
}

export function claimsOf(jwt: string | undefined): Record<string, unknown> {
  return JSON.parse(Buffer.from(jwt?.split('.')[1] ?? '', 'base64url').toString())
}
