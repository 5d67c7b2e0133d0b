import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import type { NewClient } from '../../../plugins/core/registry/registration.ts'
import type { Settings } from '../../../plugins/core/settings.ts'
import type { TokenResponse } from '../../../schemas/token.ts'
import {
  build,
  createAgent,
  createSite,
  encode,
  getCode,
  post,
  type Site,
  TestClock,
} from '../../harness.ts'
import { makeFolder } from '../../processes.ts'

const HOME = '203.0.113.8'
const HOME_IPV6 = '2001:db8:1:2::8'
const OFFICE = '198.51.100.7'
const ELSEWHERE = '192.0.2.66'
const ELSEWHERE_TOO = '2001:db8:bad::1'

interface Scene {
  /** Servers on one database. */
  apps: FastifyInstance[]
  clock: TestClock
  site: Site
  /** A sign-in whose code was redeemed at home. */
  signIn(): Promise<TokenResponse>
}

/** A host that registered itself, at two servers on one database. */
async function setUp(
  t: Test,
  settings: Partial<Settings> = {},
  registered?: Partial<NewClient>,
): Promise<Scene> {
  const clock = new TestClock()
  const DATABASE_URL = `sqlite:${join(makeFolder(t), 'data.db')}`
  const given = { DATABASE_URL, DYNAMIC_REGISTRATION: 'open', ...settings } as const
  const apps = [await build(t, given, { clock }), await build(t, given, { clock })]
  const [app] = apps as [FastifyInstance]
  const site = registered ? await createSite(app, registered) : await registerHost(app)
  const agent = await createAgent(app, undefined, { sites: 'any' })
  return { apps, clock, site, signIn }

  async function signIn(): Promise<TokenResponse> {
    const code = await getCode(app, site, agent)
    const answer = await ask(app, site, HOME, { grant_type: 'authorization_code', ...code })
    return answer.json()
  }
}

async function registerHost(app: FastifyInstance): Promise<Site> {
  const redirect_uri = 'http://127.0.0.1/callback'
  const answer = await app.inject({
    method: 'POST',
    url: '/register',
    payload: {
      redirect_uris: [redirect_uri],
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
    },
  })
  return { client_id: answer.json().client_id, client_secret: undefined, redirect_uri }
}

function ask(
  app: FastifyInstance,
  { client_id, client_secret }: Site,
  remoteAddress: string,
  parameters: Record<string, string>,
) {
  return app.inject({
    method: 'POST',
    url: '/token',
    remoteAddress,
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    payload: encode({ client_id, client_secret, ...parameters }),
  })
}

/** What a refresh from an address answers: the next refresh token, or the error. */
async function next(
  { apps, site }: Scene,
  refresh_token: string | undefined,
  from = HOME,
  server = 0,
): Promise<string> {
  const app = apps[server % apps.length] as FastifyInstance
  const parameters = { grant_type: 'refresh_token', refresh_token: refresh_token ?? '' }
  const answer = (await ask(app, site, from, parameters)).json()
  return answer.refresh_token ?? answer.error
}

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

/** A sequence that is the same in every run with the same seed. */
function random(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** The processes of one host, which share a file of credentials. */
class Host {
  readonly #scene: Scene
  readonly #pick: (below: number) => number
  readonly #habits: { processes: number; rereads: boolean; saves: boolean }
  readonly #memory: string[]
  #file: string
  /** All tokens that it ever held: what a thief may have copied. */
  readonly held: string[]

  constructor(
    scene: Scene,
    first: string,
    pick: (below: number) => number,
    habits: { processes: number; rereads: boolean; saves: boolean },
  ) {
    this.#scene = scene
    this.#pick = pick
    this.#habits = habits
    this.#file = first
    this.#memory = Array(habits.processes).fill(first)
    this.held = [first]
  }

  /** Some processes refresh at once from some of these networks; tells what any was refused with. */
  async act(networks: string[]): Promise<string[]> {
    const many = 1 + this.#pick(Math.min(3, this.#habits.processes))
    const refused: string[] = []
    await Promise.all(
      Array.from({ length: many }, async () => {
        const process = this.#pick(this.#habits.processes)
        if (this.#habits.rereads) this.#memory[process] = this.#file
        const from = networks[this.#pick(networks.length)] ?? HOME
        const fate = this.#pick(8)
        const answer = await next(this.#scene, this.#memory[process], from, this.#pick(2))
        if (!answer.startsWith('rt_')) refused.push(answer)
        // The answer is lost.
        else if (fate === 0) return
        // The process dies between the answer and the file, and starts again from the file.
        else if (fate === 1) this.#memory[process] = this.#file
        else {
          this.held.push(answer)
          this.#memory[process] = answer
          if (this.#habits.saves) this.#file = answer
        }
      }),
    )
    return refused
  }
}

t.test('a host on networks that it is known by is never signed out', async (t) => {
  const scene = await setUp(t)
  for (let seed = 1; seed <= 24; seed += 1) {
    const pick = random(seed)
    const habits = {
      processes: 2 + pick(7),
      rereads: pick(2) === 0,
      saves: pick(4) !== 0,
    }
    let token = (await scene.signIn()).refresh_token ?? ''
    // Each network was seen: a token was used there, and home has met it.
    for (const from of [HOME, HOME_IPV6, HOME, OFFICE, HOME]) token = await next(scene, token, from)
    const host = new Host(scene, token, pick, habits)
    for (let step = 0; step < 25; step += 1) {
      const refused = await host.act([HOME, HOME_IPV6, OFFICE])
      t.same(refused, [], `seed ${seed}, step ${step}: ${JSON.stringify(habits)}`)
      if (refused.length > 0) break
      // Days go by only for those who look at the file: what others hold may be old by then.
      scene.clock.advance(pick(habits.rereads && habits.saves ? 200_000 : 100))
    }
  }
})

t.test(
  'a thief elsewhere is noticed at the host’s next use, whatever happened before',
  async (t) => {
    for (let seed = 1; seed <= 24; seed += 1) {
      const pick = random(seed)
      const habits = { processes: 2 + pick(4), rereads: pick(2) === 0, saves: pick(4) !== 0 }
      const scene = await setUp(t)
      let token = (await scene.signIn()).refresh_token ?? ''
      for (const from of [HOME_IPV6, HOME]) token = await next(scene, token, from)
      const host = new Host(scene, token, pick, habits)
      for (let step = pick(8); step > 0; step -= 1) {
        await host.act([HOME, HOME_IPV6])
        scene.clock.advance(pick(60))
      }
      const { held } = host
      let stolen = held[pick(held.length)] ?? token
      for (let uses = 1 + pick(4); uses > 0; uses -= 1) {
        const answer = await next(scene, stolen, pick(2) ? ELSEWHERE : ELSEWHERE_TOO, pick(2))
        if (answer.startsWith('rt_')) stolen = answer
        scene.clock.advance(pick(4000))
      }
      const refused = await host.act([HOME, HOME_IPV6])
      t.not(refused.length, 0, `seed ${seed}: the host notices`)
      t.equal(
        await next(scene, stolen, ELSEWHERE),
        'invalid_grant',
        `seed ${seed}: and the thief too`,
      )
      t.equal(await next(scene, held.at(-1)), 'invalid_grant', `seed ${seed}: all of it has ended`)
    }
  },
)
