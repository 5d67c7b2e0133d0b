import t from 'tap'
import { SoftwarePasskey } from '../authenticator.ts'
import { build, createAgent, createSite, signIn, TestClock } from '../harness.ts'
import { makeFolder } from '../processes.ts'
import { cookieOf, invite, send, signInWithPasskey, tokenOf } from './owner.ts'

t.test('an invitation works once, within a day, and looking at it spends nothing', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const { invitation_url, owner } = await app.owners.invite('owner@example.com')
  const token = tokenOf(invitation_url)
  const url = `/account/invitation?token=${token}`
  for (let count = 0; count < 3; count += 1) {
    const page = await app.inject(url)
    t.equal(page.statusCode, 200)
    t.match(page.body, 'owner@example.com')
    t.match(page.headers, { 'cache-control': 'no-store', 'referrer-policy': 'same-origin' })
    t.equal(page.headers['set-cookie'], undefined)
  }
  const passkeys = [1, 2, 3].map(() => new SoftwarePasskey(app.settings.ISSUER))
  const answers = await Promise.all(
    passkeys.map(async (passkey) => {
      const options = (await send(app, '/account/invitation/options', { token })).json()
      return JSON.stringify(passkey.create(options))
    }),
  )
  const broken = await send(app, '/account/invitation', { token, name: 'x', passkey: '{}' })
  t.equal(broken.statusCode, 400)
  t.equal((await app.inject(url)).statusCode, 200, 'a passkey that is refused spends nothing')
  const accepted = await Promise.all(
    answers.map((passkey) => send(app, '/account/invitation', { token, name: 'Key', passkey })),
  )
  t.same(accepted.map(({ statusCode }) => statusCode).sort(), [303, 404, 404], 'of three, one')
  t.equal((await app.store.passkeys.listOfOwner(owner.owner_id)).length, 1)
  t.equal((await app.inject(url)).statusCode, 404)

  const late = tokenOf((await app.owners.invite('late@example.com')).invitation_url)
  clock.advance(86_400)
  t.equal((await app.inject(`/account/invitation?token=${late}`)).statusCode, 404, 'expired')
})

t.test('an invitation is for its owner alone, and only the newest is good', async (t) => {
  const app = await build(t)
  const first = tokenOf((await app.owners.invite('one@example.com')).invitation_url)
  const second = tokenOf((await app.owners.invite('two@example.com')).invitation_url)
  const options = (await send(app, '/account/invitation/options', { token: first })).json()
  const answer = JSON.stringify(new SoftwarePasskey(app.settings.ISSUER).create(options))
  const crossed = await send(app, '/account/invitation', { token: second, passkey: answer })
  t.equal(crossed.statusCode, 403, 'a passkey for another invitation')
  const newest = tokenOf((await app.owners.invite('one@example.com')).invitation_url)
  t.equal((await app.inject(`/account/invitation?token=${first}`)).statusCode, 404)
  t.equal((await app.inject(`/account/invitation?token=${newest}`)).statusCode, 200)
  for (const token of ['inv_unknown', 'x', 'x'.repeat(100)]) {
    t.equal((await app.inject(`/account/invitation?token=${token}`)).statusCode, 404)
  }
  for (const query of ['', '?token=', '?token=a&token=b']) {
    t.equal((await app.inject(`/account/invitation${query}`)).statusCode, 400)
  }
})

t.test('for an owner who exists it is the way back in', async (t) => {
  const app = await build(t)
  const { owner_id, passkey } = await invite(app)
  const again = await app.owners.invite('owner@example.com', { operator: true })
  t.match(again, { created: false, owner: { owner_id, operator: true } })
  const token = tokenOf(again.invitation_url)
  const fresh = new SoftwarePasskey(app.settings.ISSUER)
  const options = (await send(app, '/account/invitation/options', { token })).json()
  const accepted = await send(app, '/account/invitation', {
    token,
    name: 'New',
    passkey: JSON.stringify(fresh.create(options)),
  })
  t.equal(accepted.statusCode, 303)
  for (const each of [passkey, fresh]) {
    t.equal((await signInWithPasskey(app, each)).statusCode, 303)
  }
  await app.owners.disable(owner_id, { even_if_last: true })
  await t.rejects(app.owners.invite('owner@example.com'), { code: 'access_denied' })
})

t.test('a printed link verifies no address, and a verified one brings its agents', async (t) => {
  const app = await build(t)
  const { agent_id } = await createAgent(app)
  const ownerOf = async (id: string) => (await app.store.agents.find(id))?.owner_id
  const { owner_id, cookie } = await invite(app)
  t.equal(await ownerOf(agent_id), null)
  const page = await app.inject({ url: '/account/security', headers: { cookie } })
  t.match(page.body, 'not verified')
  await app.owners.vouch(owner_id)
  t.equal(await ownerOf(agent_id), owner_id)
  const later = await createAgent(app)
  t.equal(await ownerOf(later.agent_id), owner_id, 'what is made later too')
  await app.registration.updateAgent(later.agent_id, { email: 'other@example.com' })
  t.equal(await ownerOf(later.agent_id), null, 'a changed address takes it away')
  await app.registration.updateAgent(later.agent_id, { email: 'owner@example.com' })
  t.equal(await ownerOf(later.agent_id), owner_id)
  const verified = await app.owners.invite('third@example.com', { verified: true })
  const third = await createAgent(app, 'third@example.com')
  t.equal(await ownerOf(third.agent_id), verified.owner.owner_id)
  await app.owners.delete(owner_id)
  t.equal(await ownerOf(agent_id), null)
})

t.test('an invitation begins a session of its own (session fixation)', async (t) => {
  const app = await build(t)
  const attacker = await invite(app, 'attacker@example.com')
  const token = tokenOf((await app.owners.invite('victim@example.com')).invitation_url)
  const passkey = new SoftwarePasskey(app.settings.ISSUER)
  const options = (await send(app, '/account/invitation/options', { token })).json()
  const accepted = await send(
    app,
    '/account/invitation',
    { token, name: 'Key', passkey: JSON.stringify(passkey.create(options)) },
    { cookie: attacker.cookie },
  )
  t.not(cookieOf(accepted), attacker.cookie)
  const page = await app.inject({ url: '/account', headers: { cookie: attacker.cookie } })
  t.equal(page.statusCode, 303, 'the session that the browser had has ended')
})

t.test('websites are told that an address is verified once a person has proved it', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createAgent(app)
  const claims = async () => {
    const { access_token, id_token } = await signIn(app, site, agent, { scope: 'openid email' })
    const authorization = `Bearer ${access_token}`
    const userinfo = (await app.inject({ url: '/userinfo', headers: { authorization } })).json()
    const payload = Buffer.from(id_token?.split('.')[1] ?? '', 'base64url').toString()
    return [userinfo.email_verified, JSON.parse(payload).email_verified]
  }
  const { owner_id } = await invite(app)
  t.same(await claims(), [false, false])
  await app.owners.vouch(owner_id)
  t.same(await claims(), [true, true])
  await app.owners.delete(owner_id)
  t.same(await claims(), [false, false])
})

t.test('of two processes that are given one invitation, one accepts it', async (t) => {
  const folder = makeFolder(t)
  const settings = { DATABASE_URL: `sqlite:${folder}/auth-agent.db` }
  const [one, two] = [await build(t, settings), await build(t, settings)]
  for (let round = 0; round < 5; round += 1) {
    const email = `owner-${round}@example.com`
    const token = tokenOf((await one.owners.invite(email)).invitation_url)
    const answers = await Promise.all(
      [one, two].map(async (app) => {
        const options = (await send(app, '/account/invitation/options', { token })).json()
        return JSON.stringify(new SoftwarePasskey(app.settings.ISSUER).create(options))
      }),
    )
    const accepted = await Promise.all(
      [one, two].map((app, index) =>
        send(app, '/account/invitation', { token, name: 'Key', passkey: answers[index] }),
      ),
    )
    t.same(accepted.map(({ statusCode }) => statusCode).sort(), [303, 404])
  }
})
