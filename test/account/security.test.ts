import t from 'tap'
import { SoftwarePasskey } from '../authenticator.ts'
import { build, createAgent, signInOwner, TestClock } from '../harness.ts'
import { cookieOf, invite, send, signInWithPasskey } from './owner.ts'

t.test('the dangerous needs a passkey of the last five minutes', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const { passkey, cookie } = await invite(app)
  const url = `/account/security/passkeys/${passkey.id}`
  const headers = { cookie }
  const pages = ['/account/security/passkeys/new', url, '/account/security/mail']
  for (const page of pages) t.equal((await app.inject({ url: page, headers })).statusCode, 200)
  clock.advance(300)
  for (const page of pages) {
    const answer = await app.inject({ url: page, headers })
    t.equal(answer.statusCode, 303, page)
    t.match(answer.headers.location, `/account/confirm?next=${encodeURIComponent(page.slice(1))}`)
  }
  const forms: [string, Record<string, string>][] = [
    ['/account/security/passkeys/options', {}],
    ['/account/security/passkeys', { name: 'x', passkey: '{}' }],
    [`${url}/rename`, { name: 'Other' }],
    [`${url}/remove`, { even_if_last: 'yes' }],
    ['/account/security/mail', { mail_sign_in: 'off', even_if_last: 'yes' }],
  ]
  for (const [form, fields] of forms) {
    const answer = await send(app, form, fields, headers)
    t.match(answer.headers.location, '/account/confirm', form)
  }
  const options = (await send(app, '/account/confirm/options', {}, headers)).json()
  const answer = JSON.stringify(passkey.get(options))
  const confirmed = await send(app, '/account/confirm', { passkey: answer }, headers)
  t.equal(confirmed.statusCode, 303)
  t.equal((await send(app, `${url}/rename`, { name: 'Other' }, headers)).statusCode, 303)
  clock.goBack(600)
  t.equal((await app.inject({ url, headers })).statusCode, 303, 'a time in the future is not fresh')
})

t.test('one owner confirms nothing with the passkey of another', async (t) => {
  const app = await build(t)
  const mine = await invite(app)
  const other = await invite(app, 'other@example.com')
  const options = (await send(app, '/account/confirm/options', {}, { cookie: mine.cookie })).json()
  t.same(
    options.allowCredentials.map(({ id }: { id: string }) => id),
    [mine.passkey.id],
  )
  const answer = JSON.stringify(other.passkey.get(options))
  t.equal(
    (await send(app, '/account/confirm', { passkey: answer }, { cookie: mine.cookie })).statusCode,
    403,
  )
})

t.test('the last way in goes only with a word that says so', async (t) => {
  const app = await build(t)
  const { owner_id, passkey, cookie } = await invite(app)
  const url = `/account/security/passkeys/${passkey.id}`
  t.match((await app.inject({ url, headers: { cookie } })).body, 'the last way in')
  const refused = await send(app, `${url}/remove`, {}, { cookie })
  t.equal(refused.statusCode, 403)
  t.match(refused.body, 'the last way in')
  const second = new SoftwarePasskey(app.settings.ISSUER)
  const options = (await send(app, '/account/security/passkeys/options', {}, { cookie })).json()
  const answer = JSON.stringify(second.create(options))
  await send(app, '/account/security/passkeys', { name: 'Second', passkey: answer }, { cookie })
  const both = await Promise.all(
    [passkey, second].map(({ id }) =>
      send(app, `/account/security/passkeys/${id}/remove`, {}, { cookie }),
    ),
  )
  t.same(both.map(({ statusCode }) => statusCode).sort(), [303, 403], 'of both at once, one')
  const [left] = await app.store.passkeys.listOfOwner(owner_id)
  const last = `/account/security/passkeys/${left?.credential_id}/remove`
  t.equal((await send(app, last, { even_if_last: 'yes' }, { cookie })).statusCode, 303)
  t.same(await app.store.passkeys.listOfOwner(owner_id), [])
})

t.test('the last operator who can sign in is not removed unknowingly', async (t) => {
  const app = await build(t)
  const { owner_id } = await invite(app, 'one@example.com', { operator: true })
  const acts = {
    disable: () => app.owners.disable(owner_id),
    delete: () => app.owners.delete(owner_id),
    demote: () => app.owners.setOperator(owner_id, false),
  }
  for (const [title, act] of Object.entries(acts)) {
    await t.rejects(act(), { code: 'access_denied', message: /last operator/ }, title)
  }
  await app.owners.invite('two@example.com', { operator: true })
  await t.rejects(
    acts.delete(),
    { code: 'access_denied' },
    'one who was invited cannot sign in yet',
  )
  const three = await invite(app, 'three@example.com', { operator: true })
  const results = await Promise.allSettled(
    [owner_id, three.owner_id].map((id) => app.owners.delete(id)),
  )
  t.same(results.map(({ status }) => status).sort(), ['fulfilled', 'rejected'], 'of both, one')
  for (const { owner_id: left } of await app.store.owners.list()) {
    await app.owners.delete(left, { even_if_last: true })
  }
  t.same(await app.store.owners.list(), [])
})

t.test('disabling an owner leaves the agents, unless it says otherwise', async (t) => {
  const app = await build(t)
  const { owner_id } = await invite(app, 'owner@example.com', { verified: true })
  const { agent_id } = await createAgent(app)
  await app.owners.disable(owner_id)
  t.equal((await app.store.agents.find(agent_id))?.disabled_at, null)
  await app.owners.disable(owner_id, { agents: true })
  t.type((await app.store.agents.find(agent_id))?.disabled_at, 'number')
})

t.test('sessions are listed and ended, one or all others, and only the own', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const { owner_id, passkey, cookie } = await invite(app)
  const other = await signInOwner(app, { email: 'other@example.com' })
  clock.advance(1)
  const seconds = [await signInWithPasskey(app, passkey), await signInWithPasskey(app, passkey)]
  const list = async () =>
    app.store.ownerSessions.listOfOwner(owner_id, app.clock.now(), app.sessions.limits)
  const sessions = await list()
  t.equal(sessions.length, 3)
  const page = await app.inject({ url: '/account/security', headers: { cookie } })
  for (const { session_id } of sessions) t.match(page.body, session_id)
  t.notMatch(page.body, sessions[0]?.session_hash ?? 'none')
  const [one] = sessions
  const url = `/account/security/sessions/${one?.session_id}/end`
  t.equal((await send(app, url, {}, { cookie: other.headers.cookie })).statusCode, 404)
  t.equal((await list()).length, 3)
  t.equal((await send(app, url, {}, { cookie })).statusCode, 303)
  t.equal((await list()).length, 2)
  const ended = await send(app, '/account/security/sessions/end-others', {}, { cookie })
  t.equal(ended.statusCode, 303)
  t.equal((await list()).length, 1)
  for (const each of seconds) {
    const headers = { cookie: cookieOf(each) }
    t.equal((await app.inject({ url: '/account', headers })).statusCode, 303)
  }
  const headers = { cookie: other.headers.cookie }
  t.equal((await app.inject({ url: '/account', headers })).statusCode, 200)
})

t.test("another owner's passkey is not there", async (t) => {
  const app = await build(t)
  const mine = await invite(app)
  const { passkey } = await invite(app, 'other@example.com')
  const url = `/account/security/passkeys/${passkey.id}`
  const { cookie } = mine
  t.equal((await app.inject({ url, headers: { cookie } })).statusCode, 404)
  t.equal((await send(app, `${url}/rename`, { name: 'x' }, { cookie })).statusCode, 404)
  t.equal((await send(app, `${url}/remove`, { even_if_last: 'yes' }, { cookie })).statusCode, 404)
})

t.test('a name is text, whatever is in it', async (t) => {
  const app = await build(t)
  const { passkey, cookie } = await invite(app)
  const url = `/account/security/passkeys/${passkey.id}/rename`
  const name = `<b>"x'&</b>`
  t.equal((await send(app, url, { name }, { cookie })).statusCode, 303)
  const page = await app.inject({ url: '/account/security', headers: { cookie } })
  t.notMatch(page.body, '<b>')
  for (const bad of ['\u202e', 'a\u0000', 'x'.repeat(81), ' ']) {
    t.equal((await send(app, url, { name: bad }, { cookie })).statusCode, 400)
  }
})

t.test('passkeys of the host where the issuer was before are shown as lost', async (t) => {
  const app = await build(t, { ISSUER: 'https://new.example.com' })
  const { owner_id, cookie } = await invite(app)
  await app.store.passkeys.add(
    {
      credential_id: 'former',
      owner_id,
      public_key: 'x',
      sign_count: 0,
      transports: '[]',
      rp_id: 'old.example.com',
      name: 'Old',
      created_at: 1,
      last_used_at: null,
    },
    5,
    app.audit.toRow({ event: 'owner', outcome: 'passkey_added' }),
  )
  const page = await app.inject({ url: '/account/security', headers: { cookie } })
  t.match(page.body, /Old<\/bdi> <span class="tag bad">lost/)
  const options = (await send(app, '/account/confirm/options', {}, { cookie })).json()
  t.equal(options.allowCredentials.length, 1)
  t.equal(await app.store.passkeys.countOfOtherHosts('new.example.com'), 1)
  const removed = await send(app, '/account/security/passkeys/former/remove', {}, { cookie })
  t.equal(removed.statusCode, 303, 'one that is lost is no way in')
})
