import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { buildApp } from '../../../plugins/app.ts'
import { authenticate, build, createAgent, createSite, open, post } from '../../harness.ts'

function register(app: FastifyInstance) {
  const payload = { redirect_uris: ['https://client.example/callback'] }
  return app.inject({ method: 'POST', url: '/register', payload })
}

/** What a secret costs outside of tests. */
const bcryptRounds = 10

t.test('a secret is stored as bcrypt of 10 rounds', async (t) => {
  const app = await buildApp({ DATABASE_URL: 'sqlite::memory:', LOG_LEVEL: 'silent' })
  t.teardown(() => app.close())
  const { client_id } = await createSite(app)
  const [secret] =
    (await app.store.clients.findWithSecrets(client_id, app.clock.now()))?.secrets ?? []
  t.match(secret?.bcrypt_hash, /^\$2b\$10\$/)
})

t.test('a guess is answered without bcrypt, a right secret costs one check', async (t) => {
  const app = await build(t, {}, { bcryptRounds })
  const site = await createSite(app)
  const agent = await createAgent(app)
  const { request_id } = await open(app, site)
  const introspect = async (client_id: string, client_secret?: string) =>
    (await post(app, '/introspect', { client_id, client_secret }, { token: 'x' })).statusCode
  t.equal(await introspect('client_nobody', 'cs_first'), 401, 'the first of all is measured')

  const before = app.secrets.workDone
  const guesses = Array.from({ length: 20 }, (_, n) => [
    introspect(site.client_id, `cs_${n}`),
    introspect('client_nobody', `cs_${n}`),
    introspect('rs_nobody', `rss_${n}`),
    authenticate(app, request_id, { ...agent, agent_secret: `ags_${n}` }),
    authenticate(app, request_id, { agent_id: 'agent_nobody', agent_secret: `ags_${n}` }),
  ])
  for (const answer of await Promise.all(guesses.flat())) {
    t.equal(typeof answer === 'number' ? answer : answer.statusCode, 401)
  }
  t.equal(app.secrets.workDone, before)
  t.equal(await introspect(site.client_id, site.client_secret), 200)
  t.equal(app.secrets.workDone, before + 1)
  t.equal(await introspect(site.client_id, site.client_secret), 200)
  t.equal(app.secrets.workDone, before + 1, 'it is remembered')
})

t.test('checks go before new secrets, of which a bounded number waits', async (t) => {
  const settings = { DYNAMIC_REGISTRATION: 'open', UNPROVED_CLIENTS_PER_NETWORK: 1000 } as const
  const app = await build(t, settings, { bcryptRounds })
  const site = await createSite(app)
  const settled: number[] = []
  const registrations = Array.from({ length: 30 }, async () => {
    const answer = await register(app)
    settled.push(answer.statusCode)
    return answer
  })
  // Those without room are refused at once: all others wait by then.
  const refused = await Promise.any(
    registrations.map(async (registration) => {
      const answer = await registration
      if (answer.statusCode !== 503) throw new Error(answer.body)
      return answer
    }),
  )
  t.equal(refused.headers['retry-after'], '5')
  t.equal(refused.json().error, 'temporarily_unavailable')
  t.equal((await post(app, '/introspect', site, { token: 'x' })).statusCode, 200)
  const made = settled.filter((status) => status === 201).length
  t.ok(made < 10, `${made} of 30 were registered before the check was done`)
  t.ok(settled.filter((status) => status === 503).length >= 5)
})
