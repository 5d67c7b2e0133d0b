import { setImmediate as turn } from 'node:timers/promises'
import t from 'tap'
import { build, createAgent, createSite, open } from '../harness.ts'

t.test('many acts that are asked for at once are not done in one turn', async (t) => {
  const app = await build(t)
  for (const [name, act] of [
    ['reads', () => app.store.clients.find('nobody')],
    ['writes', () => app.store.clientAssertions.use('c', `jti ${Math.random()}`, 1)],
  ] as const) {
    let done = 0
    const acts = Array.from({ length: 1000 }, () =>
      act().then(() => {
        done += 1
      }),
    )
    const seen: number[] = []
    while (done < acts.length) {
      await turn()
      seen.push(done)
    }
    const most = Math.max(...seen.map((count, index) => count - (seen[index - 1] ?? 0)))
    t.ok(most <= 200, `${name}: ${most} in one turn`)
    t.equal(done, 1000)
  }
})

t.test('everybody who waits for one request is answered, by the agent or by the end', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const { agent_id, agent_secret } = await createAgent(app)
  const { request_id } = await open(app, site)
  const url = `/api/check-status?request_id=${request_id}`
  const wait = (seconds: number) =>
    Promise.all(Array.from({ length: 300 }, () => app.inject(`${url}&wait=${seconds}`)))
  for (const answer of await wait(1)) t.equal(answer.json().status, 'pending')
  const waiting = wait(20)
  await turn()
  const payload = { request_id, agent_id, agent_secret, model: 'm' }
  const proof = await app.inject({ method: 'POST', url: '/api/agent/authenticate', payload })
  t.equal(proof.statusCode, 200)
  for (const answer of await waiting) t.equal(answer.json().status, 'authenticated')
})
