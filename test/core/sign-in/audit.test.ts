import t from 'tap'
import {
  build,
  createAgent,
  createSite,
  getCode,
  post,
  redeem,
  refresh,
  signIn,
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
