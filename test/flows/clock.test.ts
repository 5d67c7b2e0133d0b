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
  TestClock,
} from '../harness.ts'

t.test('a used refresh token stays used, whatever is done to the clock', async (t) => {
  const rows: [name: string, grace: number, seconds: number, status: number][] = [
    ['no grace, at once', 0, 0, 400],
    ['no grace, a second back', 0, -1, 400],
    ['no grace, two hours back', 0, -7200, 400],
    ['no grace, a second later', 0, 1, 400],
    ['within the grace', 10, 9, 200],
    ['after the grace', 10, 10, 400],
    ['before the rotation', 10, -1, 400],
    ['long before the rotation', 10, -7200, 400],
  ]
  for (const graceOfAll of [0, 10]) {
    const clock = new TestClock()
    const app = await build(t, { REFRESH_REUSE_GRACE: graceOfAll }, { clock })
    const site = await createSite(app)
    const agent = await createAgent(app)
    for (const [name, grace, seconds, status] of rows) {
      if (grace !== graceOfAll) continue
      const { refresh_token } = await signIn(app, site, agent)
      const rotated = (await refresh(app, site, refresh_token)).json()
      clock.jump(seconds)
      t.equal((await refresh(app, site, refresh_token)).statusCode, status, name)
      const next = await refresh(app, site, rotated.refresh_token)
      t.equal(next.statusCode, status, `${name}: reuse ends the sign-in`)
      clock.jump(-seconds)
    }
  }
})

t.test(
  'a used code stays used after the clock went back, and its second use is seen',
  async (t) => {
    const clock = new TestClock()
    const app = await build(t, {}, { clock })
    const site = await createSite(app)
    const agent = await createAgent(app)
    for (const seconds of [-1, -60, -7200]) {
      const code = await getCode(app, site, agent)
      const { access_token } = (await redeem(app, site, code)).json()
      clock.jump(seconds)
      t.equal((await redeem(app, site, code)).statusCode, 400)
      clock.jump(-seconds)
      t.equal((await post(app, '/introspect', site, { token: access_token })).json().active, false)
    }
  },
)

t.test('what was revoked stays revoked after the clock went back', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const site = await createSite(app)
  const agent = await createAgent(app)
  const [one, other] = [await signIn(app, site, agent), await signIn(app, site, agent)]
  await post(app, '/revoke', site, { token: one.access_token })
  await post(app, '/revoke', site, { token: other.refresh_token })
  clock.jump(-3600)
  for (const token of [one.access_token, other.access_token]) {
    t.equal((await post(app, '/introspect', site, { token })).json().active, false)
  }
  t.equal((await refresh(app, site, other.refresh_token)).statusCode, 400)
})
