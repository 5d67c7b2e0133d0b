import { setImmediate } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import {
  authenticate,
  authorize,
  authorizeQuery,
  build,
  type Credentials,
  createAgent,
  createSite,
  getCode,
  open,
  pkce,
  post,
  redeem,
  refresh,
  type Site,
  signIn,
} from '../harness.ts'

const endings: [
  name: string,
  end: (app: FastifyInstance, site: Site, agent: Credentials) => unknown,
][] = [
  [
    'disabling an agent',
    (app, _, { agent_id }) =>
      app.registration.updateAgent(agent_id, { disabled_at: app.clock.now() }),
  ],
  [
    'deleting an agent',
    (app, _, { agent_id }) => app.store.agents.delete(agent_id, app.clock.now()),
  ],
  [
    'disabling a client',
    (app, { client_id }) =>
      app.registration.updateClient(client_id, { disabled_at: app.clock.now() }),
  ],
  ['deleting a client', (app, { client_id }) => app.store.clients.delete(client_id)],
]

for (const [name, end] of endings) {
  t.test(`${name} ends its requests, codes and tokens at once, and nobody else's`, async (t) => {
    const app = await build(t)
    const [site, other] = [await createSite(app), await createSite(app)]
    const [agent, friend] = [await createAgent(app), await createAgent(app)]
    const tokens = await signIn(app, site, agent)
    const code = await getCode(app, site, agent)
    const pending = await open(app, site)
    const authenticated = await open(app, site)
    await authenticate(app, authenticated.request_id, agent)
    const theirs = await signIn(app, other, friend)

    await end(app, site, agent)

    const headers = { authorization: `Bearer ${tokens.access_token}` }
    t.equal((await app.inject({ url: '/userinfo', headers })).statusCode, 401, 'the access token')
    t.ok((await refresh(app, site, tokens.refresh_token)).statusCode >= 400, 'the refresh token')
    t.ok((await redeem(app, site, code)).statusCode >= 400, 'the code')
    t.ok((await authenticate(app, pending.request_id, agent)).statusCode >= 400, 'a new sign-in')
    const { request_id, cookie } = authenticated
    const status = await app.inject({
      url: `/api/check-status?request_id=${request_id}`,
      headers: { cookie },
    })
    t.notMatch(status.body, 'code', 'the code that waits')
    const { active } = (
      await post(app, '/introspect', other, { token: theirs.access_token })
    ).json()
    t.equal(active, true, 'another sign-in lives on')
    t.equal((await refresh(app, other, theirs.refresh_token)).statusCode, 200)
  })
}

t.test('tokens of a disabled client or agent stay invalid when it is enabled again', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createAgent(app)
  const tokens = await signIn(app, site, agent)
  for (const disabled_at of [app.clock.now(), null]) {
    await app.registration.updateAgent(agent.agent_id, { disabled_at })
    await app.registration.updateClient(site.client_id, { disabled_at })
  }
  t.equal((await refresh(app, site, tokens.refresh_token)).json().error, 'invalid_grant')
  t.ok((await signIn(app, site, agent)).access_token, 'a new sign-in works')
})

t.test('RFC 9700 section 4.14.2: a compromised secret takes every token along', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createAgent(app)
  const signedIn = async () => {
    const { refresh_token } = await signIn(app, site, agent)
    return async (as = site) => (await refresh(app, as, refresh_token)).statusCode
  }
  const kept = await signedIn()
  const agent_secret = await app.registration.rotateAgentSecret(agent.agent_id)
  t.equal(await kept(), 200, 'a secret that is merely replaced takes nothing')
  agent.agent_secret = agent_secret

  const ofAgent = await signedIn()
  agent.agent_secret = await app.registration.rotateAgentSecret(agent.agent_id, {
    compromised: true,
  })
  t.equal(await ofAgent(), 400)

  const ofClient = await signedIn()
  const client_secret = await app.registration.rotateClientSecret(site.client_id, {
    compromised: true,
  })
  t.equal(await ofClient({ ...site, client_secret }), 400)
})

t.test('a secret that was replaced is refused at once, also when it was remembered', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createAgent(app)
  await signIn(app, site, agent)
  const client_secret = await app.registration.rotateClientSecret(site.client_id)
  const agent_secret = await app.registration.rotateAgentSecret(agent.agent_id)
  t.equal((await post(app, '/introspect', site, { token: 'x' })).statusCode, 401)
  const renewed = { ...site, client_secret }
  t.equal((await post(app, '/introspect', renewed, { token: 'x' })).statusCode, 200)
  const { request_id } = await open(app, site)
  t.equal((await authenticate(app, request_id, agent)).statusCode, 401)
  t.equal((await authenticate(app, request_id, { ...agent, agent_secret })).statusCode, 200)
})

t.test('a client that is deleted while it opens requests is refused, never an error', async (t) => {
  const app = await build(t)
  for (let turns = 0; turns < 8; turns++) {
    const site = await createSite(app, { token_endpoint_auth_method: 'none' })
    const page = authorize(app, authorizeQuery(site, pkce().code_challenge))
    for (let turn = 0; turn < turns; turn++) await setImmediate()
    await Promise.all([page, app.store.clients.delete(site.client_id)])
    const { statusCode, headers } = await page
    t.ok([200, 400].includes(statusCode), `${turns} turns later: ${statusCode}`)
    t.notOk(headers.location)
  }
})
