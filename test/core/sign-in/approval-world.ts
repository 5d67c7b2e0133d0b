import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import type { Test } from 'tap'
import type { Settings } from '../../../plugins/core/settings.ts'
import {
  authenticate,
  build,
  type Credentials,
  createAgent,
  createSite,
  type Site,
  TestClock,
} from '../../harness.ts'
import { createMailbox, type Mailbox } from '../../mailbox.ts'

export interface World {
  app: FastifyInstance
  clock: TestClock
  site: Site
  agent: Credentials
  mails: string[]
  /** The code of the last mail. */
  code(): string
  /** Sends a code without proof, as older libraries do. */
  verify(
    request_id: string,
    code: string,
    model?: string,
    proof?: object,
  ): Promise<LightMyRequestResponse>
  /** Sends a code with the agent's proof. */
  guess(request_id: string, approval_code: unknown): Promise<LightMyRequestResponse>
}

export async function createWorld(
  t: Test,
  settings: Partial<Settings> = {},
  mailbox?: Mailbox,
): Promise<World> {
  const { url, mails } = mailbox ?? (await createMailbox(t))
  const clock = new TestClock()
  const mail = { SMTP_URL: url, MAIL_FROM: 'Auth Agent <auth@auth.example>' }
  const app = await build(t, { ...mail, ...settings }, { clock })
  const agent = await createAgent(app)
  await app.policies.changeAgent(agent.agent_id, { sites: 'ask' })
  return {
    app,
    clock,
    agent,
    mails,
    site: await createSite(app, { client_name: 'Example Site' }),
    code: () => mails.at(-1)?.match(/^ {2}(\d{6})\r$/m)?.[1] ?? '',
    verify: (request_id, code, model = 'test-model', proof = {}) =>
      app.inject({
        method: 'POST',
        url: '/api/agent/verify-2fa',
        payload: { request_id, code, model, ...proof },
      }),
    guess: (request_id, approval_code) => authenticate(app, request_id, agent, { approval_code }),
  }
}

/** Another code than this one. */
export const wrong = (code: string, by = 1) =>
  String((Number(code) + by) % 1_000_000).padStart(6, '0')

/** An address that refuses connections, until a mailbox is opened there. */
export const NOWHERE = 'smtp://127.0.0.1:1'

/** A client that registered itself, and can change or remove itself. */
export async function registerStranger(app: FastifyInstance, metadata: object = {}) {
  const given = { redirect_uris: ['https://stranger.example/callback'], ...metadata }
  const registered = await app.inject({
    method: 'POST',
    url: '/register',
    payload: { client_name: 'Stranger', token_endpoint_auth_method: 'none', ...given },
  })
  const { client_id, registration_access_token } = registered.json()
  const url = `/register/${client_id}`
  const headers = { authorization: `Bearer ${registration_access_token}` }
  return {
    stranger: {
      client_id,
      client_secret: undefined,
      redirect_uri: given.redirect_uris[0] ?? '',
    },
    change: (change: object) => {
      const payload = { client_id, client_name: 'Stranger', ...given, ...change }
      return app.inject({
        method: 'PUT',
        url,
        headers,
        payload: { token_endpoint_auth_method: 'none', ...payload },
      })
    },
    remove: () => app.inject({ method: 'DELETE', url, headers }),
  }
}
