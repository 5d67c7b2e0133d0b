import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { SoftwarePasskey } from '../authenticator.ts'
import { encode, type Parameters } from '../harness.ts'

export const origin = (app: FastifyInstance) => new URL(app.settings.ISSUER).origin

/** POSTs a form of a page as a browser does. */
export function send(
  app: FastifyInstance,
  url: string,
  fields: Parameters = {},
  headers: Record<string, string> = {},
  remoteAddress = '127.0.0.1',
): Promise<LightMyRequestResponse> {
  return app.inject({
    method: 'POST',
    url,
    remoteAddress,
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      origin: origin(app),
      ...headers,
    },
    payload: encode(fields),
  })
}

/** The cookies that an answer sets, as the browser sends them back. */
export function cookieOf(response: LightMyRequestResponse): string {
  return [response.headers['set-cookie'] ?? []]
    .flat()
    .map((cookie) => cookie.split(';')[0])
    .join('; ')
}

export function tokenOf(invitation_url: string): string {
  return new URL(invitation_url).searchParams.get('token') ?? ''
}

export interface Person {
  owner_id: string
  passkey: SoftwarePasskey
  cookie: string
}

/** A person who was invited, has made a passkey and is signed in. */
export async function invite(
  app: FastifyInstance,
  email = 'owner@example.com',
  given: ArgumentsOf<FastifyInstance['owners']['invite']>[1] = {},
): Promise<Person> {
  const { owner, invitation_url } = await app.owners.invite(email, given)
  const token = tokenOf(invitation_url)
  const passkey = new SoftwarePasskey(app.settings.ISSUER)
  const options = (await send(app, '/account/invitation/options', { token })).json()
  const answer = JSON.stringify(passkey.create(options))
  const accepted = await send(app, '/account/invitation', {
    token,
    name: 'Laptop',
    passkey: answer,
  })
  if (accepted.statusCode !== 303) throw new Error(accepted.body)
  return { owner_id: owner.owner_id, passkey, cookie: cookieOf(accepted) }
}

/** Signs in with a passkey; `change` is made to what the browser answers. */
export async function signInWithPasskey(
  app: FastifyInstance,
  passkey: SoftwarePasskey,
  change: ArgumentsOf<SoftwarePasskey['get']>[1] = {},
  fields: Parameters = {},
): Promise<LightMyRequestResponse> {
  const options = (await send(app, '/account/sign-in/options')).json()
  const answer = JSON.stringify(passkey.get(options, change))
  return await send(app, '/account/sign-in', { passkey: answer, ...fields })
}

type ArgumentsOf<F> = F extends (...given: infer Given) => unknown ? Given : never
