import t from 'tap'
import { toDigits } from '../../../schemas/authenticate.ts'
import {
  authenticate,
  createAgent,
  createKeyedAgent,
  open,
  signAssertion,
  statusOf,
} from '../../harness.ts'
import { createWorld, registerStranger, wrong } from './approval-world.ts'

t.test('a code is guessed five times and no more', async (t) => {
  const { app, agent, site, code, guess } = await createWorld(t)
  const { request_id } = await open(app, site)
  await authenticate(app, request_id, agent)
  for (const left of ['4 tries are', '3 tries are', '2 tries are', '1 try is']) {
    const refused = await guess(request_id, wrong(code()))
    t.equal(refused.statusCode, 400)
    t.match(refused.json(), {
      success: false,
      error: 'invalid_grant',
      error_description: `The code is wrong, ${left} left`,
    })
  }
  for (const given of [wrong(code()), code()]) {
    const refused = await guess(request_id, given)
    t.equal(refused.statusCode, 403)
    t.match(refused.json(), { error: 'access_denied', error_description: /Too many wrong codes/ })
  }
  t.equal((await authenticate(app, request_id, agent)).statusCode, 403)
  t.equal(await statusOf(app, request_id), 'pending')
  t.same(await app.store.grants.list({}), [], 'nothing is left behind')
  t.same(await app.policies.remembered(agent.agent_id), [])
})

t.test('who guesses without proof takes no try from the agent that proves itself', async (t) => {
  const { app, agent, site, code, verify, guess } = await createWorld(t)
  const { request_id } = await open(app, site)
  await authenticate(app, request_id, agent)
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, n) => verify(request_id, wrong(code(), n + 1))),
  )
  t.equal(answers.filter(({ statusCode }) => statusCode === 400).length, 4)
  const refused = answers.filter(({ statusCode }) => statusCode === 403)
  t.equal(refused.length, 16)
  t.match(refused.at(-1)?.json().error_description, /Too many wrong codes without proof/)
  t.equal((await verify(request_id, code())).statusCode, 403, 'not even the right one any more')
  t.match((await guess(request_id, wrong(code()))).json().error_description, /4 tries/)
  t.equal((await guess(request_id, code())).statusCode, 200)
})

t.test('a code without proof is not looked at after too many failures', async (t) => {
  const { app, agent, site, code, verify, guess } = await createWorld(t, { THROTTLE_FAILURES: 2 })
  const { request_id } = await open(app, site)
  await authenticate(app, request_id, agent)
  const statuses: number[] = []
  for (const by of [1, 2, 3]) {
    statuses.push((await verify(request_id, wrong(code(), by))).statusCode)
  }
  t.same(statuses, [400, 400, 429])
  t.equal((await verify(request_id, code())).statusCode, 429, 'the right one neither')
  t.match(await app.approvals.find(request_id, agent.agent_id), {
    unproved_tries_left: 3,
    tries_left: 5,
  })
  t.equal((await guess(request_id, code())).statusCode, 200, 'the proved agent is let through')
})

t.test('good codes without proof are no failures', async (t) => {
  const { app, agent, site, code, verify } = await createWorld(t, { THROTTLE_FAILURES: 2 })
  await app.policies.changeAgent(agent.agent_id, { remember_sites: false })
  for (const times of [1, 2, 3, 4, 5, 6]) {
    const { request_id } = await open(app, site)
    await authenticate(app, request_id, agent)
    t.equal((await verify(request_id, code())).statusCode, 200, `${times}`)
  }
})

t.test('an approval is answered once', async (t) => {
  const { app, agent, site, code, verify } = await createWorld(t)
  const { request_id } = await open(app, site)
  await authenticate(app, request_id, agent)
  const answers = await Promise.all([1, 2, 3].map(() => verify(request_id, code())))
  const good = answers.filter(({ statusCode }) => statusCode === 200)
  t.equal(good.length, 1)
  const late = await verify(request_id, code())
  t.equal(late.statusCode, 409)
  t.match(late.json(), { error: 'invalid_request', error_description: /authenticated already/ })
  t.equal((await app.store.grants.list({ agent_id: agent.agent_id })).length, 1)
})

t.test('past twenty wrong codes a day only the operator can approve', async (t) => {
  const { app, clock, agent, site, mails, code, guess, verify } = await createWorld(t)
  const ask = async () => {
    const { request_id } = await open(app, site)
    await authenticate(app, request_id, agent)
    return request_id
  }
  const request_ids = [await ask()]
  for (let each = 0; each < 4; each += 1) {
    const request_id = request_ids.at(-1) ?? ''
    for (let by = 1; by <= 5; by += 1) await guess(request_id, wrong(code(), by))
    if (each < 3) request_ids.push(await ask())
  }
  const fifth = await ask()
  t.equal(mails.length, 4, 'no code is mailed that could not be used')
  t.match((await authenticate(app, fifth, agent)).json(), {
    requires_2fa: true,
    mailed_at: null,
    message: /until 2027-01-16 08:00 UTC only the operator/,
  })
  const events = await app.store.events.list({ agent_id: agent.agent_id, limit: 100 })
  t.equal(events.filter(({ outcome }) => outcome === 'invalid_grant').length, 20)
  t.equal((await app.inject('/healthz')).statusCode, 200)

  await app.approvals.approve(fifth)
  t.equal((await authenticate(app, fifth, agent)).statusCode, 200)
  await app.policies.forget(agent.agent_id, site.client_id)

  clock.advance(-3600)
  t.equal(
    (await verify(await ask(), '123456')).statusCode,
    400,
    'the clock going back frees nobody',
  )
  t.equal(mails.length, 4)
  clock.advance(3600 + 86_400)
  const tomorrow = await ask()
  t.equal(mails.length, 5)
  t.equal((await guess(tomorrow, code())).statusCode, 200)
})

t.test('a code that waits is not looked at when the day has had its wrong ones', async (t) => {
  const { app, agent, site, code, guess } = await createWorld(t)
  const [first, ...rest] = await Promise.all([1, 2, 3, 4, 5].map(() => open(app, site)))
  const codes = new Map<string, string>()
  for (const { request_id } of [...rest, first ?? { request_id: '' }]) {
    await authenticate(app, request_id, agent)
    codes.set(request_id, code())
  }
  for (const { request_id } of rest) {
    for (let by = 1; by <= 5; by += 1)
      await guess(request_id, wrong(codes.get(request_id) ?? '', by))
  }
  const right = await guess(first?.request_id ?? '', codes.get(first?.request_id ?? ''))
  t.equal(right.statusCode, 403)
  t.match(right.json(), {
    error: 'access_denied',
    error_description: /Too many wrong codes for this agent: until .* only the operator/,
  })
})

t.test('without proof ten wrong codes a day are looked at', async (t) => {
  const { app, agent, site, code, guess, verify } = await createWorld(t)
  const answers: number[] = []
  let last = ''
  for (let each = 0; each < 3; each += 1) {
    const { request_id } = await open(app, site)
    last = request_id
    await authenticate(app, request_id, agent)
    for (let by = 1; by <= 4; by += 1) {
      answers.push((await verify(request_id, wrong(code(), by))).statusCode)
    }
  }
  t.same(answers, [400, 400, 400, 400, 400, 400, 400, 400, 400, 400, 403, 403])
  t.equal((await verify(last, code())).statusCode, 403, 'the right one neither')
  t.equal((await guess(last, code())).statusCode, 200, 'with proof it is')
})

t.test('a clock that was ahead blocks nobody for longer than a day', async (t) => {
  const { app, clock, agent, site, code, guess } = await createWorld(t)
  const ask = async () => {
    const { request_id } = await open(app, site)
    const answer = await authenticate(app, request_id, agent)
    return { request_id, answer }
  }
  clock.advance(365 * 86_400)
  for (let each = 0; each < 4; each += 1) {
    const { request_id } = await ask()
    for (let by = 1; by <= 5; by += 1) await guess(request_id, wrong(code(), by))
  }
  clock.advance(-365 * 86_400)
  t.match((await ask()).answer.json(), { mailed_at: null }, 'still blocked, and asked five times')
  t.equal((await ask()).answer.statusCode, 429)
  clock.advance(3600)
  t.match((await ask()).answer.json(), { mailed_at: null, message: /only the operator/ })
  clock.advance(86_400)
  t.match((await ask()).answer.json(), { mailed_at: clock.now() })
})

t.test(
  'what counts askings and wrong codes outlives the client that was asked about',
  async (t) => {
    const { app, agent, code, mails, guess } = await createWorld(t, {
      DYNAMIC_REGISTRATION: 'open',
    })
    let compared = 0
    for (let times = 0; times < 8; times += 1) {
      const { stranger, remove } = await registerStranger(app)
      const { request_id } = await open(app, stranger)
      await authenticate(app, request_id, agent)
      for (let by = 1; by <= 5; by += 1) {
        const { statusCode, json } = await guess(request_id, wrong(code(), by))
        if (statusCode === 400 || json().error_description?.includes('start the sign-in again')) {
          compared += 1
        }
      }
      t.equal((await remove()).statusCode, 204)
    }
    t.equal(compared, 20)
    t.equal(mails.length, 4)
  },
)

t.test('approval_code is read as people and models write it', async (t) => {
  const { app, agent, site, mails, code, guess } = await createWorld(t)
  await app.policies.changeAgent(agent.agent_id, { remember_sites: false })
  const spellings: [name: string, spell: (code: string) => unknown, status: number][] = [
    ['a string', (code) => code, 200],
    ['a number', (code) => Number(code), 200],
    ['spaces', (code) => ` ${code.slice(0, 3)} ${code.slice(3)}\n`, 200],
    ['five digits', (code) => code.slice(1), 400],
    ['seven digits', (code) => `${code}0`, 400],
    ['a word', () => 'abcdef', 400],
    ['a number that is too long', () => 1_000_000, 400],
    ['a negative number', () => -1, 400],
    ['a fraction', () => 1.5, 400],
    ['true', () => true, 400],
    ['a list', (code) => [code], 400],
    ['null is nothing', () => null, 200],
    ['an empty string is nothing', () => '', 200],
  ]
  for (const [name, spell, status] of spellings) {
    const { request_id } = await open(app, site)
    await authenticate(app, request_id, agent)
    const answer = await guess(request_id, spell(code()))
    t.equal(answer.statusCode, status, name)
    if (status === 400) t.match(answer.json(), { error: 'invalid_request' }, name)
    else t.match(answer.json(), { requires_2fa: / nothing$/.test(name) || undefined }, name)
    t.equal(
      (await guess(request_id, code())).statusCode,
      /nothing|[45]/.test(name) || status === 400 ? 200 : 409,
    )
  }
  t.equal(mails.length, spellings.length)
})

t.test('a number stands for its six digits, with zeros in front', async (t) => {
  t.equal(toDigits(42), '000042')
  t.equal(toDigits(0), '000000')
  t.equal(toDigits('000 042'), '000042')
  t.equal(toDigits(''), undefined)
  t.equal(toDigits(null), undefined)
})

t.test('approval_code is ignored where no approval was asked', async (t) => {
  const { app, agent, site, mails, guess } = await createWorld(t)
  const { request_id } = await open(app, site)
  t.match((await guess(request_id, '123456')).json(), { requires_2fa: true, mailed_at: Number })
  t.equal(mails.length, 1, 'the owner is asked as if it were left out')
  t.match(await app.approvals.find(request_id, agent.agent_id), { tries_left: 5 })
  await app.policies.changeAgent(agent.agent_id, { sites: 'any' })
  t.match((await guess(request_id, '123456')).json(), { status: 'authenticated' })
})

interface ProofCase {
  name: string
  /** What the agent asks with, beside its proof. */
  asks?: Record<string, unknown>
  keyed?: boolean
  proof: 'none' | 'right' | 'wrong' | 'another agent' | 'assertion'
  status: number
}

const proofCases: ProofCase[] = [
  { name: 'a secret', proof: 'right', status: 200 },
  { name: 'no proof', proof: 'none', status: 200 },
  { name: 'a wrong secret', proof: 'wrong', status: 401 },
  { name: 'another agent’s secret', proof: 'another agent', status: 400 },
  { name: 'deliver and a secret', asks: { deliver: 'agent' }, proof: 'right', status: 200 },
  { name: 'deliver and no proof', asks: { deliver: 'agent' }, proof: 'none', status: 401 },
  { name: 'a key and no proof', keyed: true, proof: 'none', status: 401 },
  { name: 'a key and a wrong secret', keyed: true, proof: 'wrong', status: 401 },
  { name: 'a key and the secret', keyed: true, proof: 'right', status: 200 },
  { name: 'an assertion', keyed: true, proof: 'assertion', status: 200 },
]

for (const { name, asks, keyed, proof, status } of proofCases) {
  t.test(`verify-2fa with ${name} is answered ${status}`, async (t) => {
    const { app, site, code, verify } = await createWorld(t)
    const agent = await createKeyedAgent(app)
    if (keyed !== true) await app.agentKeys.remove(agent.agent_id, agent.kid)
    await app.policies.changeAgent(agent.agent_id, { sites: 'ask' })
    const { agent_id, agent_secret } = agent
    const { request_id } = await open(app, site)
    t.match((await authenticate(app, request_id, agent, asks)).json(), { requires_2fa: true })
    const proofs = {
      none: async () => ({}),
      right: async () => ({ agent_id, agent_secret }),
      wrong: async () => ({ agent_id, agent_secret: 'ags_wrong' }),
      'another agent': async () => await createAgent(app),
      assertion: async () => ({
        agent_assertion: await signAssertion(app, agent, { request_id, ...site }),
      }),
    }
    const answer = await verify(request_id, code(), undefined, await proofs[proof]())
    t.equal(answer.statusCode, status)
    if (status === 401) t.match(answer.json(), { success: false, error: 'invalid_credentials' })
    t.match(await app.approvals.find(request_id, agent_id), {
      tries_left: status === 200 && proof !== 'none' ? 4 : 5,
      status: status === 200 ? 'used' : 'pending',
    })
  })
}

t.test('neither the database nor the trail holds a code', async (t) => {
  const { app, agent, site, code, verify } = await createWorld(t)
  const { request_id } = await open(app, site)
  await authenticate(app, request_id, agent)
  const approval = await app.approvals.find(request_id, agent.agent_id)
  t.notOk(JSON.stringify(approval).includes(code()))
  await verify(request_id, wrong(code()))
  await verify(request_id, code())
  const events = (await app.store.events.list({ agent_id: agent.agent_id, limit: 10 })).reverse()
  t.match(events, [
    { event: 'policy' },
    { event: 'approval', outcome: 'asked', client_id: site.client_id, model: 'test-model' },
    { event: 'approval', outcome: 'invalid_grant', method: 'agent_secret' },
    { event: 'sign_in', outcome: 'granted', method: 'agent_secret approval' },
  ])
  t.notOk(JSON.stringify(events).includes(code()))
})
