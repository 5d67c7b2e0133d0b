import type { FastifyInstance } from 'fastify'
import t from 'tap'
import type { NewClient } from '../../../plugins/core/registry/registration.ts'
import type { Settings } from '../../../plugins/core/settings.ts'
import { post } from '../../harness.ts'
import { simulateHosts, simulateThieves } from './host-simulation.ts'
import { ask, ELSEWHERE, HOME, HOME_IPV6, next, OFFICE, type Scene, setUp } from './reuse-scene.ts'

t.test(
  'callers at the same moment all get the same successor and tokens of their own',
  async (t) => {
    const scene = await setUp(t)
    const { refresh_token = '' } = await scene.signIn()
    const parameters = { grant_type: 'refresh_token', refresh_token }
    const answers = await Promise.all(
      [0, 1, 0, 1, 0, 1].map((server) =>
        ask(scene.apps[server] as FastifyInstance, scene.site, HOME, parameters),
      ),
    )
    t.same([...new Set(answers.map(({ statusCode }) => statusCode))], [200])
    t.equal(new Set(answers.map((answer) => answer.json().refresh_token)).size, 1)
    t.equal(new Set(answers.map((answer) => answer.json().access_token)).size, 6)
    const [app] = scene.apps as [FastifyInstance]
    for (const answer of answers) {
      const headers = { authorization: `Bearer ${answer.json().access_token}` }
      t.equal((await app.inject({ url: '/userinfo', headers })).statusCode, 200)
    }
    const events = await app.store.events.list({ client_id: scene.site.client_id, limit: 10 })
    const copies = events.filter(({ outcome }) => outcome === 'several_copies')
    t.equal(copies.length, 1, 'the audit trail tells it once')
  },
)

t.test('the token before the newest gets it at any time, older ones for a while', async (t) => {
  const scene = await setUp(t, { PUBLIC_REFRESH_REUSE_GRACE: 60 })
  const first = (await scene.signIn()).refresh_token
  const second = await next(scene, first)
  scene.clock.advance(1_000_000)
  t.equal(await next(scene, first), second, 'while the newest has not been used')
  const third = await next(scene, second)
  scene.clock.advance(59)
  t.equal(await next(scene, first), third, 'an older one, in the last second')
  t.equal(await next(scene, second), third)
  scene.clock.advance(1)
  t.equal(await next(scene, second), third, 'the token before the newest')
  t.equal(await next(scene, first), 'invalid_grant', 'an older one, later')
  t.equal(await next(scene, third), 'invalid_grant', 'which ends the sign-in')
})

t.test('a network is known where the code was redeemed or a token was used', async (t) => {
  const scene = await setUp(t)
  const first = (await scene.signIn()).refresh_token
  const second = await next(scene, first)
  const third = await next(scene, second, OFFICE)
  const fourth = await next(scene, third, OFFICE)
  t.equal(await next(scene, third, OFFICE), fourth, 'the office, after it was seen')
  const fifth = await next(scene, fourth, HOME)
  for (const from of [HOME, OFFICE]) {
    for (const token of [first, second, third, fourth]) {
      t.equal(
        await next(scene, token, from),
        fifth,
        'every older one, after home has met the office',
      )
    }
  }
  t.equal(await next(scene, fourth, '198.51.100.8'), 'invalid_grant', 'another address')
})

t.test(
  'an IPv6 network is its /64, and an IPv4 address is itself however it is written',
  async (t) => {
    const scene = await setUp(t)
    const first = (await scene.signIn()).refresh_token
    const second = await next(scene, first, HOME_IPV6)
    const third = await next(scene, second, '::ffff:203.0.113.8')
    for (const from of [HOME, '2001:db8:1:2:ffff::1', '::ffff:203.0.113.8']) {
      t.equal(await next(scene, second, from), third, from)
    }
    t.equal(await next(scene, second, '2001:db8:1:3::8'), 'invalid_grant', 'the next /64')
  },
)

t.test('a thief elsewhere ends the sign-in at the next use, whoever is first', async (t) => {
  const thefts: [name: string, (scene: Scene, tokens: string[]) => Promise<void>][] = [
    [
      'the thief uses the newest token, then the host',
      async (scene, [newest]) => {
        t.match(await next(scene, newest, ELSEWHERE), /^rt_/)
        t.equal(await next(scene, newest), 'invalid_grant')
      },
    ],
    [
      'the thief uses several, from several networks, then the host',
      async (scene, [newest]) => {
        let stolen = newest
        for (let times = 0; times < 12; times += 1) {
          stolen = await next(scene, stolen, times % 2 ? ELSEWHERE : `2001:db8:bad:${times}::1`)
          t.match(stolen, /^rt_/)
        }
        t.equal(await next(scene, newest), 'invalid_grant')
        t.equal(await next(scene, stolen, ELSEWHERE), 'invalid_grant')
      },
    ],
    [
      'the thief uses the newest token, then an idle process of the host an older one',
      async (scene, [newest, older]) => {
        t.match(await next(scene, newest, ELSEWHERE), /^rt_/)
        t.equal(await next(scene, older), 'invalid_grant')
      },
    ],
    [
      'the host uses the token first, then the thief',
      async (scene, [newest]) => {
        const successor = await next(scene, newest)
        t.equal(await next(scene, newest, ELSEWHERE), 'invalid_grant')
        t.equal(await next(scene, successor), 'invalid_grant')
      },
    ],
    [
      'both at once',
      async (scene, [newest]) => {
        const answers = await Promise.all([
          next(scene, newest, ELSEWHERE, 0),
          next(scene, newest, HOME, 1),
        ])
        const [successor] = answers.filter((answer) => answer.startsWith('rt_'))
        t.equal(await next(scene, successor), 'invalid_grant')
        t.equal(await next(scene, successor, ELSEWHERE), 'invalid_grant')
      },
    ],
  ]
  for (const [name, steal] of thefts) {
    const scene = await setUp(t)
    const first = (await scene.signIn()).refresh_token ?? ''
    const second = await next(scene, first)
    await steal(scene, [second, first])
    const events = await scene.apps[0]?.store.events.list({
      client_id: scene.site.client_id,
      limit: 10,
    })
    t.ok(
      events?.some(
        ({ event, detail }) => event === 'revocation' && /used twice/.test(detail ?? ''),
      ),
      name,
    )
  }
})

t.test('who is a host, and who is not', async (t) => {
  const none = { token_endpoint_auth_method: 'none' }
  const rules: [name: string, Partial<Settings>, Partial<NewClient> | undefined, boolean][] = [
    ['a public client that registered itself', {}, undefined, true],
    ['the same with a grace of 0', { PUBLIC_REFRESH_REUSE_GRACE: 0 }, undefined, false],
    ['a public client of the operator', {}, none, false],
    ['one that he marked', {}, { ...none, refresh_reuse: 'known-networks' }, true],
    ['a confidential client', {}, {}, false],
    ['one that he marked, too', {}, { refresh_reuse: 'known-networks' }, true],
    ['marked strict', {}, { ...none, refresh_reuse: 'strict' }, false],
  ]
  for (const [name, settings, registered, isHost] of rules) {
    const scene = await setUp(t, settings, registered)
    const { refresh_token } = await scene.signIn()
    const successor = await next(scene, refresh_token)
    t.equal(await next(scene, refresh_token), isHost ? successor : 'invalid_grant', name)
  }
  const scene = await setUp(t)
  const [app] = scene.apps as [FastifyInstance]
  await app.registration.updateClient(scene.site.client_id, { refresh_reuse: 'strict' })
  const { refresh_token } = await scene.signIn()
  await next(scene, refresh_token)
  t.equal(await next(scene, refresh_token), 'invalid_grant', 'registered itself and marked strict')
})

t.test('a sign-in that was revoked or has expired stays so for every copy', async (t) => {
  const scene = await setUp(t, { REFRESH_TOKEN_TTL: 1000 })
  const first = (await scene.signIn()).refresh_token ?? ''
  const second = await next(scene, first)
  const [app] = scene.apps as [FastifyInstance]
  await post(app, '/revoke', scene.site, { token: first })
  for (const token of [first, second]) t.equal(await next(scene, token), 'invalid_grant')

  const old = (await scene.signIn()).refresh_token
  await next(scene, old)
  scene.clock.advance(1000)
  t.equal(await next(scene, old), 'invalid_grant')
})

/** How many hosts are simulated here; `npm run test:faults` simulates many more. */
const SEEDS = 6

t.test('a host on networks that it is known by is never signed out', (t) => simulateHosts(t, SEEDS))

t.test('a thief elsewhere is noticed at the host’s next use, whatever happened before', (t) =>
  simulateThieves(t, SEEDS),
)
