import t from 'tap'
import {
  authenticate,
  build,
  createAgent,
  createSite,
  getCode,
  open,
  post,
  redeem,
  refresh,
  signIn,
  TestClock,
} from '../../harness.ts'

t.test('the audit trail tells when a sign-in was ended, and by what', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createAgent(app)
  const { agent_id } = agent
  const endings: [detail: string, end: () => Promise<unknown>][] = [
    [
      'The website revoked it',
      async () => {
        const { refresh_token } = await signIn(app, site, agent)
        await post(app, '/revoke', site, { token: refresh_token })
        await post(app, '/revoke', site, { token: refresh_token })
      },
    ],
    [
      'A refresh token was used twice',
      async () => {
        const { refresh_token } = await signIn(app, site, agent)
        for (const _times of [1, 2]) await refresh(app, site, refresh_token)
      },
    ],
    [
      'Its code was used twice',
      async () => {
        const code = await getCode(app, site, agent)
        for (const _times of [1, 2]) await redeem(app, site, code)
      },
    ],
  ]
  for (const [detail, end] of endings) {
    await end()
    const [last, before] = await app.store.events.list({ agent_id, limit: 2 })
    const { client_id } = site
    t.match(last, {
      event: 'revocation',
      outcome: 'revoked',
      client_id,
      model: 'test-model',
      detail,
    })
    t.match(before, { event: 'sign_in' }, 'once')
  }
  await app.registration.updateAgent(agent_id, { disabled_at: app.clock.now() })
  const [disabled] = await app.store.events.list({ agent_id, limit: 1 })
  t.match(disabled, { event: 'agent', outcome: 'disabled' })
})

t.test('who cannot prove to be an agent fills the trail only so far', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const [agent, other] = [await createAgent(app), await createAgent(app)]
  const { request_id } = await open(app, site)
  const guess = (as: typeof agent) =>
    authenticate(app, request_id, { ...as, agent_secret: 'ags_guess' })
  const refused = async ({ agent_id }: typeof agent) =>
    (await app.store.events.list({ agent_id, limit: 1000 })).filter(
      ({ outcome }) => outcome === 'invalid_credentials',
    ).length
  const answers = await Promise.all(Array.from({ length: 60 }, () => guess(agent)))
  t.ok(answers.every(({ statusCode }) => statusCode === 401))
  t.equal(await refused(agent), 50)
  t.equal((await guess(other)).statusCode, 401)
  t.equal(await refused(other), 1, 'other agents have their own share')
})

t.test(
  'events of one second are told in the order of their acts, whoever recorded them',
  async (t) => {
    const clock = new TestClock()
    const settings = { DATABASE_URL: `sqlite:${t.testdir({})}/auth-agent.db` }
    const processes = [await build(t, settings, { clock }), await build(t, settings, { clock })]
    const details: string[] = []
    for (let second = 0; second < 2; second += 1) {
      for (const order of [0, 1, 1, 0, 1, 0, 0, 1]) {
        const detail = `${details.length}`
        details.push(detail)
        await processes[order]?.audit.record({ event: 'agent', outcome: 'x', detail })
      }
      clock.advance(1)
    }
    for (const app of processes) {
      const events = await app.store.events.list({ limit: 100 })
      t.same(events.map(({ detail }) => detail).reverse(), details)
    }
  },
)
