import t from 'tap'
import { build, createAgent, signInOwner } from '../harness.ts'

t.test("the account shows its owner's agents, and leads strangers to the sign-in", async (t) => {
  const app = await build(t)
  await createAgent(app)
  const { headers } = await signInOwner(app)
  const page = await app.inject({ url: '/account', headers })
  t.equal(page.statusCode, 200)
  t.match(page.body, 'One agent is yours')
  const stranger = await app.inject('/account')
  t.equal(stranger.statusCode, 303)
  t.equal(stranger.headers.location, `${app.settings.ISSUER}/account/sign-in?next=account`)
})

t.test('a form of another origin signs nobody out', async (t) => {
  const app = await build(t)
  const { headers } = await signInOwner(app)
  const { cookie, origin } = headers
  const refused = [
    { origin: 'https://evil.example' },
    { origin: 'null' },
    {},
    { origin, 'sec-fetch-site': 'same-site' },
    { origin, 'sec-fetch-site': 'cross-site' },
  ]
  for (const change of refused) {
    const answer = await app.inject({
      method: 'POST',
      url: '/account/sign-out',
      headers: { cookie, ...change },
    })
    t.equal(answer.statusCode, 403, JSON.stringify(change))
  }
  t.equal((await app.inject({ url: '/account', headers })).statusCode, 200)
  const answer = await app.inject({ method: 'POST', url: '/account/sign-out', headers })
  t.equal(answer.statusCode, 303)
  t.equal((await app.inject({ url: '/account', headers })).statusCode, 303)
})
