import t from 'tap'
import { build, createAgent, createSite, open, post, TestClock } from '../harness.ts'

t.test('a secret that was replaced at once stays invalid when the clock is set back', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const site = await createSite(app)
  const agent = await createAgent(app)
  await app.registration.rotateClientSecret(site.client_id)
  await app.registration.rotateAgentSecret(agent.agent_id, { compromised: true })
  clock.goBack(7200)
  t.equal((await post(app, '/revoke', site, { token: 'x' })).statusCode, 401)
  const { request_id } = await open(app, site)
  const payload = { request_id, ...agent, model: 'test-model' }
  const answer = await app.inject({ method: 'POST', url: '/api/agent/authenticate', payload })
  t.equal(answer.statusCode, 401)
})
