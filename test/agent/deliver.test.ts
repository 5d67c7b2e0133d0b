import t from 'tap'
import {
  authenticate,
  authorizeQuery,
  build,
  createAgent,
  createSite,
  encode,
  open,
  pkce,
  redeem,
} from '../harness.ts'

t.test('deliver: agent gives the code to the agent that proved itself alone', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createAgent(app)
  const { request_id, code_verifier, cookie } = await open(app, site)
  const status = (headers: Record<string, string> = {}, wait = 0) =>
    app.inject({ url: `/api/check-status?request_id=${request_id}&wait=${wait}`, headers })

  const waiting = status({ cookie }, 20)
  const { redirect_to } = (await authenticate(app, request_id, agent, { deliver: 'agent' })).json()
  const code = new URL(redirect_to).searchParams.get('code') ?? ''
  const done = { status: 'completed', deliver: 'agent' }
  t.same((await waiting).json(), done, 'the waiting browser learns that the agent went on')
  t.same((await status({ cookie })).json(), done)
  t.same((await status()).json(), done)

  t.equal((await redeem(app, site, { code, code_verifier })).statusCode, 200)
  t.same((await status({ cookie })).json(), done)
})

t.test('deliver: agent keeps the code from those who only know the request_id', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createAgent(app)
  const openWithoutBrowser = async (): Promise<string> => {
    const query = encode(authorizeQuery(site, pkce().code_challenge))
    const headers = { accept: 'application/json' }
    return (await app.inject({ url: `/authorize?${query}`, headers })).json().request_id
  }
  const statusOf = async (request_id: string) =>
    (await app.inject({ url: `/api/check-status?request_id=${request_id}` })).json()

  const plain = await openWithoutBrowser()
  await authenticate(app, plain, agent)
  t.match((await statusOf(plain)).code, /^ac_/, 'without it a polling library gets the code')

  const delivered = await openWithoutBrowser()
  await authenticate(app, delivered, agent, { deliver: 'agent' })
  t.same(await statusOf(delivered), { status: 'completed', deliver: 'agent' })
})

t.test('deliver takes agent and nothing else', async (t) => {
  const app = await build(t)
  const { request_id } = await open(app, await createSite(app))
  const agent = await createAgent(app)
  for (const deliver of ['browser', true, ['agent']]) {
    const refused = await authenticate(app, request_id, agent, { deliver })
    t.equal(refused.statusCode, 400, JSON.stringify(deliver))
    t.match(refused.json(), { error: 'invalid_request', error_description: /deliver/ })
  }
})
