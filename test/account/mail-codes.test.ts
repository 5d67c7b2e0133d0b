import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { SoftwarePasskey } from '../authenticator.ts'
import { build, createAgent, TestClock } from '../harness.ts'
import { createMailbox, type Mailbox } from '../mailbox.ts'
import { cookieOf, invite, send, tokenOf } from './owner.ts'

interface World {
  app: FastifyInstance
  mailbox: Mailbox
  clock: TestClock
}

async function setUp(t: Test, settings = {}): Promise<World> {
  const clock = new TestClock()
  const mailbox = await createMailbox(t)
  const app = await build(
    t,
    { SMTP_URL: mailbox.url, MAIL_FROM: 'auth@example.com', ...settings },
    { clock },
  )
  return { app, mailbox, clock }
}

/** Asks for a code to sign in; gives the browser's cookie and the code that was mailed. */
async function ask({ app, mailbox }: World, email = 'owner@example.com', address = '127.0.0.1') {
  const before = mailbox.mails.length
  const answer = await send(
    app,
    '/account/sign-in/mail',
    { email, next: 'account/security' },
    {},
    address,
  )
  await app.mailCodes.settle()
  const code = mailbox.mails[before]?.match(/^ {2}(\d{6})\r?$/m)?.[1]
  return { answer, cookie: cookieOf(answer), code }
}

const wrong = (code = '') => (code === '000000' ? '111111' : '000000')

t.test('a mailed code signs in, once, in the browser that asked, within ten minutes', async (t) => {
  const world = await setUp(t)
  const { app, mailbox, clock } = world
  await createAgent(app)
  const { owner_id } = await invite(app)
  const { answer, cookie, code } = await ask(world)
  t.match(mailbox.mails[0], 'To: owner@example.com')
  t.notMatch(mailbox.mails[0], 'no account')
  t.match(answer.headers.location, '/account/sign-in/code?next=account%2Fsecurity')
  const elsewhere = await ask(world, 'nobody@example.com')
  const refusals: [string, string | undefined, string][] = [
    ['in another browser', code, elsewhere.cookie],
    ['without the cookie', code, ''],
    ['a wrong code', wrong(code), cookie],
    ['no digits', 'abcdef', cookie],
  ]
  for (const [title, tried, with_] of refusals) {
    const refused = await send(app, '/account/sign-in/code', { code: tried }, { cookie: with_ })
    t.equal(refused.statusCode, 403, title)
  }
  const signedIn = await send(
    app,
    '/account/sign-in/code',
    { code, next: 'account/security' },
    { cookie },
  )
  t.equal(signedIn.statusCode, 303)
  t.match(signedIn.headers.location, /\/account\/security$/)
  t.equal((await app.store.owners.find(owner_id))?.email_verified, true, 'the mail was answered')
  t.equal((await app.store.agents.listOfOwner(owner_id)).length, 1)
  const again = await send(app, '/account/sign-in/code', { code }, { cookie })
  t.equal(again.statusCode, 403, 'used')

  const late = await ask(world)
  clock.advance(600)
  const expired = await send(
    app,
    '/account/sign-in/code',
    { code: late.code },
    { cookie: late.cookie },
  )
  t.equal(expired.statusCode, 403, 'expired')
})

t.test('tries, askings and wrong codes are bounded', async (t) => {
  const world = await setUp(t)
  const { app, clock } = world
  await invite(app)
  const { cookie, code } = await ask(world)
  const tries = await Promise.all(
    Array.from({ length: 8 }, () =>
      send(app, '/account/sign-in/code', { code: wrong(code) }, { cookie }),
    ),
  )
  t.ok(tries.every(({ statusCode }) => statusCode === 403))
  const right = await send(app, '/account/sign-in/code', { code }, { cookie })
  t.equal(right.statusCode, 403, 'after five wrong ones the right one is wrong too')
  for (let count = 0; count < 4; count += 1) t.equal((await ask(world)).answer.statusCode, 303)
  const refused = await ask(world)
  t.equal(refused.answer.statusCode, 429)
  t.match(refused.answer.headers, { 'retry-after': '3600' })
  clock.advance(3600)
  t.equal((await ask(world)).answer.statusCode, 303, 'an hour later it goes on')
})

t.test('nobody learns from an answer whether an address has an account', async (t) => {
  const world = await setUp(t)
  const { app, mailbox } = world
  await invite(app)
  const off = await invite(app, 'off@example.com')
  await app.owners.setMailSignIn(off.owner_id, false)
  const disabled = await invite(app, 'disabled@example.com')
  await app.owners.disable(disabled.owner_id)
  const shapes = []
  for (const [index, email] of ['owner@', 'off@', 'disabled@', 'nobody@'].entries()) {
    // Each from a network of its own, whose bound is another matter.
    const address = `192.0.${index}.1`
    const shape = []
    for (let count = 0; count < 6; count += 1) {
      const { answer, cookie } = await ask(world, `${email}example.com`, address)
      const code = await send(app, '/account/sign-in/code', { code: 'x' }, { cookie }, address)
      for (const { statusCode, body, headers } of [answer, code]) {
        const { date, 'set-cookie': cookies, ...rest } = headers
        const nonce = /nonce(-|=")[\w+/=]+|<code>[\da-f-]{36}<\/code>/g
        shape.push({
          statusCode,
          body: body.replace(nonce, ''),
          headers: JSON.stringify(rest).replace(nonce, ''),
          cookies: String(cookies).replace(/mb_[\w-]+/, 'mb_'),
        })
      }
    }
    shapes.push(shape)
  }
  for (const shape of shapes) t.same(shape, shapes[0])
  t.ok(mailbox.mails.length > 0)
  t.ok(mailbox.mails.every((mail) => mail.includes('To: owner@example.com')))
})

t.test('one network gets its share of codes', async (t) => {
  const world = await setUp(t)
  const asked: number[] = []
  for (let count = 0; count < 21; count += 1) {
    asked.push((await ask(world, `person-${count}@example.com`)).answer.statusCode)
  }
  t.same(asked.slice(0, 20), Array(20).fill(303))
  t.equal(asked[20], 429)
  const elsewhere = await ask(world, 'person@example.com', '192.0.2.1')
  t.equal(elsewhere.answer.statusCode, 303)
})

t.test('anybody whose mailbox answers has an account where registration is open', async (t) => {
  const world = await setUp(t, { OWNER_REGISTRATION: 'open' })
  const { app, mailbox } = world
  await createAgent(app, 'new@example.com')
  t.match((await app.inject('/account/sign-in')).body, 'this makes one')
  const { cookie, code } = await ask(world, 'new@example.com')
  t.match(mailbox.mails[0], 'no account for this address yet')
  t.same(await app.store.owners.list(), [], 'nobody is stored before the mail is answered')
  const signedIn = await send(app, '/account/sign-in/code', { code }, { cookie })
  t.equal(signedIn.statusCode, 303)
  const [owner] = await app.store.owners.list()
  t.match(owner, { email: 'new@example.com', email_verified: true, operator: false })
  t.equal((await app.store.agents.listOfOwner(owner?.owner_id ?? '')).length, 1)
  await t.rejects(build(t, { OWNER_REGISTRATION: 'open' }), /needs SMTP_URL/)
})

t.test('an issuer that is an address works with mailed codes alone', async (t) => {
  const world = await setUp(t, { ISSUER: 'http://127.0.0.1:8080' })
  const { app } = world
  const { invitation_url } = await app.owners.invite('owner@example.com', { operator: true })
  const token = tokenOf(invitation_url)
  const page = await app.inject(`/account/invitation?token=${token}`)
  t.notMatch(page.body, 'data-action="create-passkey"')
  const accepted = await send(app, '/account/invitation', { token, way: 'mail' })
  t.equal(accepted.statusCode, 303)
  const { cookie, code } = await ask(world)
  const signedIn = await send(app, '/account/sign-in/code', { code }, { cookie })
  t.equal(signedIn.statusCode, 303)
  world.clock.advance(300)
  const session =
    cookieOf(signedIn)
      .split('; ')
      .find((each) => each.includes('os_')) ?? ''
  const mailPage = { url: '/account/security/mail', headers: { cookie: session } }
  t.match((await app.inject(mailPage)).headers.location, '/account/confirm?')
  const form = await app.inject({ url: '/account/confirm', headers: { cookie: session } })
  t.match(form.body, 'data-action="mail-code"')
  const before = world.mailbox.mails.length
  const asked = await send(app, '/account/confirm/mail', {}, { cookie: session })
  await app.mailCodes.settle()
  const confirm = world.mailbox.mails[before]?.match(/^ {2}(\d{6})\r?$/m)?.[1]
  const both = { cookie: `${session}; ${cookieOf(asked)}` }
  const signIn = await send(app, '/account/sign-in/code', { code: confirm }, both)
  t.equal(signIn.statusCode, 403, 'a code to confirm signs nobody in')
  const confirmed = await send(app, '/account/confirm/code', { code: confirm }, both)
  t.equal(confirmed.statusCode, 303)
  t.equal((await app.inject(mailPage)).statusCode, 200)
})

t.test(
  'a mailed invitation verifies the address, and no link is given to anybody else',
  async (t) => {
    const { app, mailbox } = await setUp(t)
    await createAgent(app)
    const { owner } = await app.owners.invite('owner@example.com', { mail: true })
    const token = mailbox.mails[0]
      ?.match(/token=3D(inv_[\w-]+)|token=(inv_[\w-]+)/)
      ?.slice(1)
      .join('')
    const passkey = new SoftwarePasskey(app.settings.ISSUER)
    const options = (await send(app, '/account/invitation/options', { token })).json()
    const accepted = await send(app, '/account/invitation', {
      token,
      name: 'Key',
      passkey: JSON.stringify(passkey.create(options)),
    })
    t.equal(accepted.statusCode, 303)
    t.equal((await app.store.owners.find(owner.owner_id))?.email_verified, true)
    t.equal((await app.store.agents.listOfOwner(owner.owner_id)).length, 1)
  },
)

t.test('the owner verifies the address from the account', async (t) => {
  const { app, mailbox } = await setUp(t)
  const { owner_id, cookie } = await invite(app)
  const asked = await send(app, '/account/security/address', {}, { cookie })
  await app.mailCodes.settle()
  const code = mailbox.mails[0]?.match(/^ {2}(\d{6})\r?$/m)?.[1]
  const both = { cookie: `${cookie}; ${cookieOf(asked)}` }
  t.equal(
    (await send(app, '/account/security/address/code', { code: wrong(code) }, both)).statusCode,
    403,
  )
  t.equal((await send(app, '/account/security/address/code', { code }, both)).statusCode, 303)
  t.equal((await app.store.owners.find(owner_id))?.email_verified, true)
})
