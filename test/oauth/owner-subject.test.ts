import t from 'tap'
import { authorizeAsPerson, buildWorld, claimsOf, signInPerson } from '../account/consent-world.ts'
import {
  authenticate,
  type Credentials,
  createAgent,
  createSite,
  open,
  post,
  refresh,
  signIn,
} from '../harness.ts'

const asked = { scope: 'openid email profile' }

async function setUp(t: Parameters<typeof buildWorld>[0]) {
  const world = await buildWorld(t)
  const { app, person } = world
  const site = await createSite(app, { subject: 'owner' })
  const agents = [await createAgent(app), await createAgent(app)] as const
  const { owner_id } = person.owner
  await app.store.owners.update(owner_id, { email_verified: true })
  return { ...world, site, agents, owner_id }
}

t.test(
  'two agents of one owner, and the owner, are one sub with the agent beside it',
  async (t) => {
    const { app, site, agents, owner_id, person } = await setUp(t)
    const [first, second] = agents
    for (const agent of agents) {
      const { agent_id } = agent
      const tokens = await signIn(app, site, agent, asked)
      const expected = { sub: owner_id, agent_id }
      t.match(claimsOf(tokens.id_token), { ...expected, model: 'test-model' })
      t.match(claimsOf(tokens.access_token), expected)
      for (const token of [tokens.access_token, tokens.refresh_token]) {
        const told = (await post(app, '/introspect', site, { token })).json()
        t.match(told, { ...expected, username: 'owner@example.com' })
      }
      const headers = { authorization: `Bearer ${tokens.access_token}` }
      const userinfo = (await app.inject({ url: '/userinfo', headers })).json()
      t.same(userinfo, { ...expected, email: 'owner@example.com', email_verified: true })
      const again = (await refresh(app, site, tokens.refresh_token)).json()
      t.match(claimsOf(again.id_token), expected, 'a refresh says the same')
    }
    const mine = await signInPerson(app, site, person, asked, { agent: second.agent_id })
    t.match(claimsOf(mine.id_token), { sub: owner_id, agent_id: second.agent_id })

    const plain = await createSite(app)
    const tokens = await signIn(app, plain, first, asked)
    t.equal(claimsOf(tokens.id_token).sub, first.agent_id, 'elsewhere it is the agent')
    t.notOk('agent_id' in claimsOf(tokens.id_token))
  },
)

t.test(
  'an id_token_hint of the owner lets each agent of this owner in, and nobody else',
  async (t) => {
    const { app, site, agents, person } = await setUp(t)
    const [first, second] = agents
    const { id_token } = await signIn(app, site, first, asked)
    const stranger = await createAgent(app, 'other@example.com')
    const { request_id } = await open(app, site, { ...asked, id_token_hint: id_token })
    t.equal((await authenticate(app, request_id, stranger)).statusCode, 403)
    t.equal((await authenticate(app, request_id, second)).statusCode, 200)

    await signInPerson(app, site, person, asked, { remember: 'yes' })
    const hinted = { ...asked, prompt: 'none', id_token_hint: id_token }
    t.ok((await authorizeAsPerson(app, site, person, hinted)).answer?.code)
  },
)

t.test('an agent without an owner is refused in a sentence for the operator', async (t) => {
  const { app, site, agents } = await setUp(t)
  const lonely = await createAgent(app, 'nobody@example.com')
  const { request_id } = await open(app, site, asked)
  const refused = await authenticate(app, request_id, lonely)
  t.equal(refused.statusCode, 403)
  t.match(refused.json(), { error: 'access_denied', reason: 'owner' })
  t.match(refused.json().error_description, 'auth-agent owner invite')
  t.equal((await authenticate(app, request_id, agents[0])).statusCode, 200)
})

t.test('a sign-in keeps its sub when the client is told others from then on', async (t) => {
  const { app, site, agents, owner_id } = await setUp(t)
  const tokens = await signIn(app, site, agents[0], asked)
  await app.registration.updateClient(site.client_id, { subject: 'agent' })
  const again = (await refresh(app, site, tokens.refresh_token)).json()
  t.equal(claimsOf(again.id_token).sub, owner_id, 'OpenID Connect Core section 12.2')
  const next = await signIn(app, site, agents[0], asked)
  t.equal(claimsOf(next.id_token).sub, agents[0].agent_id)
})

t.test('who consents or authenticates is told whom the website knows', async (t) => {
  const { app, site } = await setUp(t)
  const facts = await app.inject({
    url: `/authorize?client_id=${site.client_id}&redirect_uri=${site.redirect_uri}&response_type=code&code_challenge=${'a'.repeat(43)}&code_challenge_method=S256`,
    headers: { accept: 'application/json' },
  })
  t.equal(facts.json().subject, 'owner')
})

t.test('OpenID Connect Core section 5.1: email_verified is true only where it is', async (t) => {
  const { app, agents } = await setUp(t)
  const site = await createSite(app)
  const lonely = await createAgent(app, 'nobody@example.com')
  const verified = async (agent: Credentials) =>
    claimsOf((await signIn(app, site, agent, asked)).id_token).email_verified
  t.equal(await verified(agents[0]), true, 'the owner answered from it')
  t.equal(await verified(lonely), false)
  await app.registration.updateAgent(lonely.agent_id, { email_verified: true })
  t.equal(await verified(lonely), true, 'the operator vouches')
})
