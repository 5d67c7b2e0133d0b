import { join } from 'node:path'
import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { buildApp } from '../../plugins/app.ts'
import { authenticate, type Credentials, open, type Site } from '../harness.ts'
import { createMailbox } from '../mailbox.ts'
import { makeFolder, register, startServer } from '../processes.ts'

interface Scene {
  servers: [FastifyInstance, FastifyInstance]
  site: Site
  agent: Credentials
  mails: string[]
  /** The database of both, as the command line opens it. */
  core: FastifyInstance
}

async function createScene(t: Test): Promise<Scene> {
  const folder = makeFolder(t)
  const { url, mails } = await createMailbox(t)
  const environment = { SMTP_URL: url, MAIL_FROM: 'a@auth.example', THROTTLE_FAILURES: '1000000' }
  const [one, two] = await Promise.all([
    startServer(t, folder, environment),
    startServer(t, folder, environment),
  ])
  const { site, agents } = await register(folder)
  const [agent] = agents
  if (agent === undefined) throw new Error('no agent')
  const core = await buildApp(
    { DATABASE_URL: `sqlite:${join(folder, 'data/auth-agent.db')}`, LOG_LEVEL: 'silent' },
    { endpoints: [] },
  )
  t.teardown(() => core.close())
  await core.policies.changeAgent(agent.agent_id, { sites: 'ask' })
  return { servers: [one.app, two.app], site, agent, mails, core }
}

const count = (answers: LightMyRequestResponse[], status: number) =>
  answers.filter(({ statusCode }) => statusCode === status).length

t.test('askings and guesses that race on two processes are counted one by one', async (t) => {
  const { servers, site, agent, mails, core } = await createScene(t)
  const { agent_id } = agent
  const server = (i: number) => servers[i % 2] ?? servers[0]
  const race = (act: (app: FastifyInstance, i: number) => Promise<LightMyRequestResponse>) =>
    Promise.all(Array.from({ length: 50 }, (_, i) => act(server(i), i)))
  const guess = (app: FastifyInstance, request_id: string, approval_code: string) =>
    authenticate(app, request_id, agent, { approval_code })
  /** Digits that are not those of any mail. */
  const wrong = (i: number) => {
    const codes = mails.map((mail) => mail.match(/^ {2}(\d{6})\r$/m)?.[1])
    const free = Array.from({ length: 100 }, (_, n) => String(n).padStart(6, '0'))
    return free.filter((code) => !codes.includes(code))[i] ?? ''
  }

  const opened = await Promise.all(Array.from({ length: 50 }, (_, i) => open(server(i), site)))
  const asked = await race((app, i) => authenticate(app, opened[i]?.request_id ?? '', agent))
  t.equal(count(asked, 200), 5, 'five are asked')
  t.equal(count(asked, 429), 45)
  t.equal(mails.length, 5)
  const [first = '', second = '', ...rest] = opened
    .map(({ request_id }) => request_id)
    .filter((_, i) => asked[i]?.statusCode === 200)

  const guessed = await race((app, i) => guess(app, first, wrong(i)))
  t.equal(count(guessed, 400), 4, 'four are told how many tries are left')
  t.equal(count(guessed, 403), 46)
  t.match(await core.approvals.find(first, agent_id), { tries_left: 0, unproved_tries_left: 5 })

  const unproved = await race((app, i) => {
    const payload = { request_id: second, model: 'test-model', code: wrong(i) }
    return app.inject({ method: 'POST', url: '/api/agent/verify-2fa', payload })
  })
  t.equal(count(unproved, 400), 4)
  t.match(await core.approvals.find(second, agent_id), { tries_left: 5, unproved_tries_left: 0 })

  const all = [second, ...rest]
  const daily = await race((app, i) => guess(app, all[i % all.length] ?? '', wrong(i)))
  t.equal(count(daily, 400) + count(daily, 403), 50)
  let left = 0
  for (const each of all) left += (await core.approvals.find(each, agent_id))?.tries_left ?? 0
  t.equal(all.length * 5 - left, 15, 'twenty in all are looked at')
  const events = await core.store.events.list({ agent_id, limit: 1000 })
  const recorded = events.filter(({ outcome }) => outcome === 'invalid_grant')
  t.equal(recorded.length, 25, 'and each of them is on the trail')
})

t.test('of two processes that are asked again, one sends the mail', async (t) => {
  const { servers, site, agent, mails, core } = await createScene(t)
  const { request_id } = await open(servers[0], site)
  await authenticate(servers[0], request_id, agent)
  const approval = await core.approvals.find(request_id, agent.agent_id)
  if (approval === undefined) throw new Error('no approval')
  await core.store.approvals.recordMail(approval, null)
  const answers = await Promise.all(
    Array.from({ length: 10 }, (_, i) =>
      authenticate(servers[i % 2] ?? servers[0], request_id, agent),
    ),
  )
  t.equal(count(answers, 200), 10)
  t.equal(mails.length, 2)
})
