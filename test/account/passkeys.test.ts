import t from 'tap'
import { type Deviation, SoftwarePasskey } from '../authenticator.ts'
import { build, TestClock } from '../harness.ts'
import { cookieOf, invite, send, signInWithPasskey } from './owner.ts'

t.test(
  'an assertion signs in when all of it is right (WebAuthn Level 3 section 7.2)',
  async (t) => {
    const app = await build(t)
    const { owner_id, passkey } = await invite(app)
    const other = await invite(app, 'other@example.com')
    const refusals: [string, Deviation][] = [
      ['of another origin', { origin: 'https://evil.example' }],
      ['of another port', { origin: 'http://localhost:1' }],
      ['of a subdomain', { origin: 'http://sub.localhost:8080' }],
      ['for another relying party', { rp_id: 'evil.example' }],
      ['made in a frame of another site', { crossOrigin: true }],
      ['made in a frame, with its top', { crossOrigin: true, topOrigin: 'https://evil.example' }],
      ['with a top origin alone', { topOrigin: 'http://localhost:8080' }],
      ['without user verification', { userVerified: false }],
      ['without user presence', { userPresent: false }],
      ['with neither', { userVerified: false, userPresent: false }],
      ['of a registration', { type: 'webauthn.create' }],
      ['with a wrong signature', { garble: true }],
      ['with a challenge of somebody else', { challenge: 'A'.repeat(43) }],
      ['with the credential of another owner', { id: other.passkey.id }],
      ['with an unknown credential', { id: 'A'.repeat(43) }],
      [
        'with the user handle of another owner',
        { userHandle: Buffer.from(other.owner_id).toString('base64url') },
      ],
      ['without a user handle', { userHandle: null }],
    ]
    for (const [title, change] of refusals) {
      const answer = await signInWithPasskey(app, passkey, change)
      t.equal(answer.statusCode, 403, title)
      t.equal(answer.headers['set-cookie'], undefined, title)
    }
    const good = await signInWithPasskey(app, passkey)
    t.equal(good.statusCode, 303, 'the good assertion still works')
    const page = await app.inject({ url: '/account', headers: { cookie: cookieOf(good) } })
    t.match(page.body, 'owner@example.com')
    t.notMatch(page.body, 'other@example.com')
    const [stored] = await app.store.passkeys.listOfOwner(owner_id)
    t.type(stored?.last_used_at, 'number')
  },
)

t.test('an assertion and its challenge are good once, in time, for one purpose', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const { owner_id, passkey, cookie } = await invite(app)
  const options = (await send(app, '/account/sign-in/options')).json()
  const answer = JSON.stringify(passkey.get(options))
  const both = await Promise.all(
    [1, 2].map(() => send(app, '/account/sign-in', { passkey: answer })),
  )
  t.same(both.map(({ statusCode }) => statusCode).sort(), [303, 403], 'of two at once, one')
  t.equal((await send(app, '/account/sign-in', { passkey: answer })).statusCode, 403, 'replayed')

  const late = (await send(app, '/account/sign-in/options')).json()
  clock.advance(300)
  const old = JSON.stringify(passkey.get(late))
  t.equal((await send(app, '/account/sign-in', { passkey: old })).statusCode, 403, 'expired')

  const confirm = (await send(app, '/account/confirm/options', {}, { cookie })).json()
  const confirmed = JSON.stringify(passkey.get(confirm))
  t.equal((await send(app, '/account/sign-in', { passkey: confirmed })).statusCode, 403, 'purpose')

  const again = (await send(app, '/account/sign-in/options')).json()
  const cloned = JSON.stringify(passkey.get(again, { counter: 1 }))
  const copied = await send(app, '/account/sign-in', { passkey: cloned })
  t.equal(copied.statusCode, 403, 'a counter that does not grow (section 7.2 step 22)')
  t.equal((await signInWithPasskey(app, passkey)).statusCode, 303)

  const subject = JSON.stringify({ site: 'a' })
  const asked = await app.passkeys.requestOptions('approve', { owner_id, subject })
  const approval = passkey.get(asked)
  await t.rejects(
    app.passkeys.verify('approve', approval, { owner_id, subject: JSON.stringify({ site: 'b' }) }),
    { code: 'access_denied' },
    'what was shown was something else',
  )
  const once = await app.passkeys.requestOptions('approve', { owner_id, subject })
  const proof = await app.passkeys.verify('approve', passkey.get(once), { owner_id, subject })
  t.equal(JSON.parse(proof.proof).credential_id, passkey.id)
})

t.test('a registration is refused when anything of it is wrong (section 7.1)', async (t) => {
  const app = await build(t)
  const { passkey: former, cookie } = await invite(app)
  const url = '/account/security/passkeys'
  const add = async (change: Deviation, passkey = new SoftwarePasskey(app.settings.ISSUER)) => {
    const options = (await send(app, `${url}/options`, {}, { cookie })).json()
    const answer = JSON.stringify(passkey.create(options, change))
    return await send(app, url, { name: 'Phone', passkey: answer }, { cookie })
  }
  const refusals: [string, Deviation][] = [
    ['of another origin', { origin: 'https://evil.example' }],
    ['for another relying party', { rp_id: 'evil.example' }],
    ['without user verification', { userVerified: false }],
    ['without user presence', { userPresent: false }],
    ['made in a frame of another site', { crossOrigin: true }],
    ['of an assertion', { type: 'webauthn.get' }],
    ['with a challenge of somebody else', { challenge: 'A'.repeat(43) }],
  ]
  for (const [title, change] of refusals) t.equal((await add(change)).statusCode, 403, title)
  t.equal((await add({}, former)).statusCode, 403, 'a credential that is registered')
  for (const passkey of [undefined, '', '{}', '[]', 'x', '{"id":1}', 'null']) {
    const answer = await send(app, url, { name: 'Phone', passkey }, { cookie })
    t.equal(answer.statusCode, 400, `the answer ${passkey}`)
  }
  t.equal((await add({})).statusCode, 303, 'a good one is added')
  const page = await app.inject({ url: '/account/security', headers: { cookie } })
  t.match(page.body, 'Phone')
})

t.test('a disabled or deleted owner is out at once, and stays out', async (t) => {
  const app = await build(t)
  const { owner_id, passkey, cookie } = await invite(app)
  await app.owners.disable(owner_id)
  t.equal((await app.inject({ url: '/account', headers: { cookie } })).statusCode, 303)
  t.equal((await signInWithPasskey(app, passkey)).statusCode, 403)
  await app.owners.enable(owner_id)
  t.equal((await app.inject({ url: '/account', headers: { cookie } })).statusCode, 303)
  const again = await signInWithPasskey(app, passkey)
  t.equal(again.statusCode, 303)
  await app.owners.delete(owner_id)
  const headers = { cookie: cookieOf(again) }
  t.equal((await app.inject({ url: '/account', headers })).statusCode, 303)
  t.equal((await signInWithPasskey(app, passkey)).statusCode, 403)
})

t.test('an issuer that is an address has no passkeys, and says so', async (t) => {
  const app = await build(t, { ISSUER: 'http://127.0.0.1:8080' })
  t.equal(app.passkeys.works, false)
  const page = await app.inject('/account/sign-in')
  t.match(page.body, 'can have no passkeys')
  t.notMatch(page.body, 'sign-in-with-passkey')
  t.equal((await send(app, '/account/sign-in/options')).statusCode, 403)
  const { invitation_url } = await app.owners.invite('owner@example.com')
  const path = new URL(invitation_url)
  t.match((await app.inject(path.pathname + path.search)).body, 'Set ISSUER to a name')
  const token = path.searchParams.get('token') ?? ''
  t.equal((await send(app, '/account/invitation', { token, way: 'mail' })).statusCode, 403)
  t.equal((await app.inject(path.pathname + path.search)).statusCode, 200, 'it is not spent')
})
