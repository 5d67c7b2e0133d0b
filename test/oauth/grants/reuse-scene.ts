import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import type { NewClient } from '../../../plugins/core/registry/registration.ts'
import type { Settings } from '../../../plugins/core/settings.ts'
import type { TokenResponse } from '../../../schemas/token.ts'
import {
  build,
  createAgent,
  createSite,
  encode,
  getCode,
  type Site,
  TestClock,
} from '../../harness.ts'
import { makeFolder } from '../../processes.ts'

export const HOME = '203.0.113.8'
export const HOME_IPV6 = '2001:db8:1:2::8'
export const OFFICE = '198.51.100.7'
export const ELSEWHERE = '192.0.2.66'
export const ELSEWHERE_TOO = '2001:db8:bad::1'

export interface Scene {
  /** Servers on one database. */
  apps: FastifyInstance[]
  clock: TestClock
  site: Site
  /** A sign-in whose code was redeemed at home. */
  signIn(): Promise<TokenResponse>
}

/** A host that registered itself, at two servers on one database. */
export async function setUp(
  t: Test,
  settings: Partial<Settings> = {},
  registered?: Partial<NewClient>,
): Promise<Scene> {
  const clock = new TestClock()
  const DATABASE_URL = `sqlite:${join(makeFolder(t), 'data.db')}`
  const given = { DATABASE_URL, DYNAMIC_REGISTRATION: 'open', ...settings } as const
  const apps = [await build(t, given, { clock }), await build(t, given, { clock })]
  const [app] = apps as [FastifyInstance]
  const site = registered ? await createSite(app, registered) : await registerHost(app)
  const agent = await createAgent(app, undefined, { sites: 'any' })
  return { apps, clock, site, signIn }

  async function signIn(): Promise<TokenResponse> {
    const code = await getCode(app, site, agent)
    const answer = await ask(app, site, HOME, { grant_type: 'authorization_code', ...code })
    return answer.json()
  }
}

async function registerHost(app: FastifyInstance): Promise<Site> {
  const redirect_uri = 'http://127.0.0.1/callback'
  const answer = await app.inject({
    method: 'POST',
    url: '/register',
    payload: {
      redirect_uris: [redirect_uri],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
    },
  })
  return { client_id: answer.json().client_id, client_secret: undefined, redirect_uri }
}

export function ask(
  app: FastifyInstance,
  { client_id, client_secret }: Site,
  remoteAddress: string,
  parameters: Record<string, string>,
) {
  return app.inject({
    method: 'POST',
    url: '/token',
    remoteAddress,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: encode({ client_id, client_secret, ...parameters }),
  })
}

/** What a refresh from an address answers: the next refresh token, or the error. */
export async function next(
  { apps, site }: Scene,
  refresh_token: string | undefined,
  from = HOME,
  server = 0,
): Promise<string> {
  const app = apps[server % apps.length] as FastifyInstance
  const parameters = { grant_type: 'refresh_token', refresh_token: refresh_token ?? '' }
  const answer = (await ask(app, site, from, parameters)).json()
  return answer.refresh_token ?? answer.error
}
