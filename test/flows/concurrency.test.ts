import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import {
  authenticate,
  build,
  type Credentials,
  createAgent,
  createSite,
  getCode,
  open,
  redeem,
  refresh,
  type Site,
  signIn,
} from '../harness.ts'
import { makeFolder, register, startServer } from '../processes.ts'

interface Scene {
  /** The servers that share one database. */
  servers: [FastifyInstance, ...FastifyInstance[]]
  site: Site
  agents: [Credentials, Credentials]
}

const scenes: [name: string, make: (t: Test) => Promise<Scene>][] = [
  [
    'one server',
    async (t) => {
      const app = await build(t)
      const site = await createSite(app)
      return { servers: [app], site, agents: [await createAgent(app), await createAgent(app)] }
    },
  ],
  [
    'two servers that started at once on an empty folder',
    async (t) => {
      const folder = makeFolder(t)
      const [one, two] = await Promise.all([startServer(t, folder), startServer(t, folder)])
      const { site, agents } = await register(folder, 2)
      return { servers: [one.app, two.app], site, agents: agents as [Credentials, Credentials] }
    },
  ],
]

/** The one answer that is a success. */
function onlyWinner(t: Test, answers: LightMyRequestResponse[]): LightMyRequestResponse {
  const winners = answers.filter(({ statusCode }) => statusCode === 200)
  t.equal(winners.length, 1)
  const [winner] = winners
  if (winner === undefined) throw new Error(answers[0]?.body)
  return winner
}

for (const [name, make] of scenes) {
  t.test(name, async (t) => {
    const { servers, site, agents } = await make(t)
    const [agent] = agents
    const server = (i: number): FastifyInstance => servers[i % servers.length] ?? servers[0]
    const race = (act: (app: FastifyInstance, i: number) => Promise<LightMyRequestResponse>) =>
      Promise.all(Array.from({ length: 50 }, (_, i) => act(server(i), i)))
    const isActive = async (i: number, token: string) => {
      const { client_id, client_secret } = site
      const payload = { client_id, client_secret, token }
      const request = { method: 'POST', url: '/introspect', payload } as const
      return (await server(i).inject(request)).json().active
    }

    await t.test(
      'OAuth 2.1 section 4.1.3: of 50 redemptions of one code one succeeds',
      async (t) => {
        const code = await getCode(server(0), site, agent)
        const answers = await race((app) => redeem(app, site, code))
        const winner = onlyWinner(t, answers)
        for (const answer of answers) {
          if (answer !== winner) t.match(answer.json(), { error: 'invalid_grant' })
        }
        const { access_token, refresh_token } = winner.json()
        t.equal(await isActive(0, access_token), false, 'the replays revoked its tokens')
        t.equal(await isActive(1, refresh_token), false)
      },
    )

    await t.test('a code that is redeemed once is good, on every server', async (t) => {
      const tokens = (await redeem(server(1), site, await getCode(server(0), site, agent))).json()
      t.equal(await isActive(0, tokens.access_token), true)
      t.equal((await refresh(server(0), site, tokens.refresh_token)).statusCode, 200)
    })

    await t.test(
      'RFC 9700 section 4.14.2: of 50 uses of one refresh token one succeeds',
      async (t) => {
        const { refresh_token } = await signIn(server(0), site, agent)
        const answers = await race((app) => refresh(app, site, refresh_token))
        const winner = onlyWinner(t, answers)
        for (const answer of answers) {
          if (answer !== winner) t.match(answer.json(), { error: 'invalid_grant' })
        }
        t.equal(await isActive(1, winner.json().refresh_token), false, 'the family is dead')
      },
    )

    await t.test('of 50 authentications of one request by two agents one succeeds', async (t) => {
      const { request_id, code_verifier } = await open(server(0), site)
      const answers = await race((app, i) =>
        authenticate(app, request_id, agents[(i >> 1) % 2] ?? agent),
      )
      const winner = onlyWinner(t, answers)
      for (const answer of answers) {
        if (answer === winner) continue
        t.equal(answer.statusCode, 409)
        t.match(answer.json(), { success: false, error: 'invalid_request' })
      }
      const { redirect_to } = winner.json()
      const code = new URL(redirect_to).searchParams.get('code') ?? ''
      t.equal((await redeem(server(1), site, { code, code_verifier })).statusCode, 200)
    })

    await t.test('50 sign-ins at once all succeed', async (t) => {
      const tokens = await Promise.all(
        Array.from({ length: 50 }, (_, i) => signIn(server(i), site, agents[i % 2] ?? agent)),
      )
      t.equal(new Set(tokens.map(({ refresh_token }) => refresh_token)).size, 50)
    })

    await t.test('a held answer wakes when the agent authenticates elsewhere', async (t) => {
      const { request_id, cookie } = await open(server(0), site)
      const held = server(0).inject({
        url: `/api/check-status?request_id=${request_id}&wait=25`,
        headers: { cookie },
      })
      await authenticate(server(1), request_id, agent)
      t.match((await held).json(), { status: 'completed', redirect_to: /code=/ })
    })

    await t.test('RFC 8414 section 2: all show the same keys', async (t) => {
      const sets = await Promise.all(
        servers.map((app) => app.inject({ url: '/.well-known/jwks.json' })),
      )
      for (const set of sets) {
        t.same(set.json(), sets[0]?.json())
        t.equal(set.json().keys.filter(({ alg }: { alg: string }) => alg === 'ES256').length, 1)
      }
    })
  })
}
