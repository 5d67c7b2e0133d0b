import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { type Standing, standing } from '../../db/store.ts'
import {
  authenticate,
  build,
  createAgent,
  createSite,
  type Opened,
  open,
  redeem,
  TestClock,
} from '../harness.ts'

/** What makes a sign-in stand there, and what the endpoints then answer. */
const table: Record<
  Standing,
  {
    /** In order, after the request was opened. */
    steps: Step[]
    /** GET /api/check-status, for the browser that opened the request. */
    status: string
    error?: string
    /** POST /api/agent/authenticate, with the right secret. */
    authenticate: number
    /** POST /token, with the right code and verifier. */
    token?: number
  }
> = {
  pending: { steps: [], status: 'pending', authenticate: 200 },
  expired: { steps: ['time'], status: 'error', error: 'request_expired', authenticate: 404 },
  denied: { steps: ['deny'], status: 'error', error: 'access_denied', authenticate: 403 },
  authenticated: { steps: ['sign in'], status: 'completed', authenticate: 409, token: 200 },
  'handed over': {
    steps: ['sign in', 'ask for the code'],
    status: 'completed',
    authenticate: 409,
    token: 200,
  },
  'code expired': {
    steps: ['sign in', 'time'],
    status: 'error',
    error: 'request_expired',
    authenticate: 409,
    token: 400,
  },
  redeemed: { steps: ['sign in', 'redeem'], status: 'completed', authenticate: 409, token: 400 },
  revoked: {
    steps: ['sign in', 'revoke'],
    status: 'error',
    error: 'access_denied',
    authenticate: 409,
    token: 400,
  },
}

type Step = 'deny' | 'time' | 'sign in' | 'ask for the code' | 'redeem' | 'revoke'

const DENIED = { event: 'sign_in', outcome: 'denied' } as const

async function arrange(t: Test, steps: Step[]) {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const site = await createSite(app)
  const agent = await createAgent(app)
  const opened = await open(app, site)
  const { request_id } = opened
  let code = ''
  const run: Record<Step, () => Promise<unknown>> = {
    time: async () => clock.advance(3600),
    deny: () => app.store.consents.deny(request_id, clock.now(), app.audit.toRow(DENIED)),
    'sign in': async () => {
      const { redirect_to } = (await authenticate(app, request_id, agent)).json()
      code = new URL(redirect_to).searchParams.get('code') ?? ''
    },
    'ask for the code': () => ask(app, opened),
    redeem: () => redeem(app, site, { code, code_verifier: opened.code_verifier }),
    revoke: async () => {
      const [grant] = await app.store.grants.list({})
      await app.store.grants.revoke(grant?.grant_id ?? '', clock.now())
    },
  }
  for (const step of steps) await run[step]()
  return { app, site, agent, opened, code }
}

function ask(app: FastifyInstance, { request_id, cookie }: Opened) {
  return app.inject({ url: `/api/check-status?request_id=${request_id}`, headers: { cookie } })
}

for (const [word, row] of Object.entries(table)) {
  t.test(`a sign-in that is ${word} is so at every endpoint`, async (t) => {
    const { app, site, agent, opened, code } = await arrange(t, row.steps)
    const request = await app.store.authorizationRequests.find(opened.request_id)
    t.equal(request && standing(request, app.clock.now()), word)
    const { status, error } = (await ask(app, opened)).json()
    t.same({ status, error }, { status: row.status, error: row.error })
    const again = await authenticate(app, opened.request_id, agent)
    t.equal(again.statusCode, row.authenticate)
    if (row.token === undefined) return
    const { code_verifier } = opened
    t.equal((await redeem(app, site, { code, code_verifier })).statusCode, row.token)
  })
}
