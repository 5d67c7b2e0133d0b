import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import t, { type Test } from 'tap'
import type { Settings } from '../../../plugins/core/settings.ts'
import { authenticate, build, createAgent, createSite, open, signIn } from '../../harness.ts'

const MAIL_FROM = 'Auth Agent <auth@auth.example>'

/** A mail server that tells what it was given, and whether that came over TLS. */
async function listen(t: Test, options: SMTPServerOptions = {}) {
  const mails: { to: string[]; from: string; text: string; secure: boolean }[] = []
  const passwords: { password: string | null | undefined; secure: boolean }[] = []
  const server = new SMTPServer({
    allowInsecureAuth: true,
    onAuth: ({ username, password }, session, done) => {
      passwords.push({ password, secure: session.secure })
      done(null, { user: username ?? '' })
    },
    onData: (stream, { envelope, secure }, done) => {
      const to = envelope.rcptTo.map(({ address }) => address)
      const from = envelope.mailFrom === false ? '' : envelope.mailFrom.address
      text(stream).then((mail) => {
        mails.push({ to, from, text: mail, secure })
        done()
      }, done)
    },
    ...options,
  })
  server.on('error', () => {})
  server.listen(0, '0.0.0.0')
  await once(server.server, 'listening')
  t.teardown(() => new Promise<void>((resolve) => server.close(() => resolve())))
  return { port: (server.server.address() as AddressInfo).port, mails, passwords }
}

/** What an agent is answered whose owner has to be asked by this mail server. */
async function ask(t: Test, settings: Partial<Settings>, stored?: string) {
  const app = await build(t, { MAIL_FROM, ...settings })
  const agent = await createAgent(app, undefined, { sites: 'ask' })
  if (stored !== undefined) {
    await app.store.agents.update(agent.agent_id, { email: stored }, app.clock.now())
  }
  const { request_id } = await open(app, await createSite(app))
  return await authenticate(app, request_id, agent)
}

t.test('a mail server without STARTTLS gets no password and no code', async (t) => {
  const { port, mails, passwords } = await listen(t, { disabledCommands: ['STARTTLS'] })
  // This is the loopback as well, but not one by name: it stands for any other machine.
  for (const more of ['', '?requireTLS=true', '?ignoreTLS=true', '?opportunisticTLS=true']) {
    const refused = await ask(t, { SMTP_URL: `smtp://user:pass@0.0.0.0:${port}${more}` })
    t.equal(refused.statusCode, 503, more)
    t.match(refused.json(), { error: 'temporarily_unavailable' }, more)
  }
  t.same(passwords, [])
  t.same(mails, [])

  t.test('unless it is on this machine, or the operator says so', async (t) => {
    for (const place of [`127.0.0.1:${port}`, `0.0.0.0:${port}?requireTLS=false`]) {
      const asked = await ask(t, { SMTP_URL: `smtp://user:pass@${place}` })
      t.match(asked.json(), { requires_2fa: true }, place)
    }
    t.match(passwords, [{ password: 'pass' }, { password: 'pass' }])
    t.equal(mails.length, 2)
  })
})

t.test('a mail server with STARTTLS gets both over TLS', async (t) => {
  const { port, mails, passwords } = await listen(t)
  // The server's certificate is its own.
  const SMTP_URL = `smtp://user:pass@0.0.0.0:${port}?tls.rejectUnauthorized=false`
  t.match((await ask(t, { SMTP_URL })).json(), { requires_2fa: true })
  t.match(passwords, [{ password: 'pass', secure: true }])
  t.match(mails, [{ to: ['owner@example.com'], from: 'auth@auth.example', secure: true }])

  const untrusted = await ask(t, { SMTP_URL: `smtp://user:pass@0.0.0.0:${port}` })
  t.equal(untrusted.statusCode, 503, 'a certificate that nobody vouches for is refused')
  t.equal(mails.length, 1)
})

/** What a mail program could read as no address, another one, or several. */
const NO_MAILBOXES: [name: string, email: string][] = [
  ['a comma', 'a,b@x.example'],
  ['a comma and a space', 'a, b@x.example'],
  ['two addresses', 'a@x.example,b@x.example'],
  ['two addresses and a space', 'a@x.example b@x.example'],
  ['a semicolon', 'a;b@x.example'],
  ['a group', 'group:a@x.example;'],
  ['a colon', 'a:b@x.example'],
  ['a comment', 'a(comment)@x.example'],
  ['a comment after it', 'a@x.example(b@y.example)'],
  ['a name', 'Name <a@x.example>'],
  ['angle brackets', '<a@x.example>'],
  ['a source route', '@relay.example:a@x.example'],
  ['a quoted local part', '"a b"@x.example'],
  ['a quote', 'a"b@x.example'],
  ['a backslash', 'a\\,b@x.example'],
  ['a newline', 'a@x.example\nBcc: b@x.example'],
  ['a carriage return', 'a\r@x.example'],
  ['a NUL', 'a\0@x.example'],
  ['a C1 control', 'a\x85@x.example'],
  ['a space before', ' a@x.example'],
  ['a space after', 'a@x.example '],
  ['a tab', 'a\t@x.example'],
  ['a leading dot', '.a@x.example'],
  ['a trailing dot', 'a.@x.example'],
  ['two dots', 'a..b@x.example'],
  ['letters beyond ASCII before the @', 'b\u00fccher@x.example'],
  ['a direction override', 'a\u202eb@x.example'],
  ['a zero-width space', 'a\u200b@x.example'],
  ['no local part', '@x.example'],
  ['no domain', 'a@'],
  ['no @', 'a.x.example'],
  ['two @', 'a@b@x.example'],
  ['a root dot', 'a@x.example.'],
  ['an empty label', 'a@x..example'],
  ['a label that begins with a hyphen', 'a@-x.example'],
  ['a label that is too long', `a@${'x'.repeat(64)}.example`],
  ['an underscore in the domain', 'a@x_y.example'],
  ['a port', 'a@x.example:25'],
  ['a path', 'a@x.example/y'],
  ['percent-encoding in the domain', 'a@x%2eexample'],
  ['an ideographic full stop', 'a@x\u3002example'],
  ['broken punycode', 'a@xn--zzzz--.example'],
  ['an IPv4 address', 'a@127.0.0.1'],
  ['an IPv4 address in another form', 'a@0x7f.1'],
  ['an address literal', 'a@[127.0.0.1]'],
  ['an IPv6 literal', 'a@[IPv6:::1]'],
  ['a local part that is too long', `${'a'.repeat(65)}@x.example`],
  ['too long in all', `a@${'x'.repeat(60)}.${'y'.repeat(60)}.${'z'.repeat(60)}.${'w'.repeat(70)}`],
  ['too long in all, in good labels', `a@${`${'x'.repeat(62)}.`.repeat(4)}example`],
  ['nothing', ''],
]

t.test('RFC 5321 section 4.1.2: the address of an owner is one mailbox', async (t) => {
  const app = await build(t)
  const { agent_id } = await createAgent(app)
  for (const [name, email] of NO_MAILBOXES) {
    const refused = { code: 'invalid_request' }
    await t.rejects(app.registration.createAgent({ email }), refused, name)
    await t.rejects(app.registration.updateAgent(agent_id, { email }), refused, `update: ${name}`)
  }
  t.match(await app.store.agents.find(agent_id), { email: 'owner@example.com' })
  const good: [given: string, normal: string][] = [
    ['owner@example.com', 'owner@example.com'],
    ['Owner.Name+tag@EXAMPLE.com', 'Owner.Name+tag@example.com'],
    ["o'neil!#$%&*/=?^_`{|}~-@example.com", "o'neil!#$%&*/=?^_`{|}~-@example.com"],
    ['a@b\u00fccher.example', 'a@xn--bcher-kva.example'],
    ['a@xn--bcher-kva.example', 'a@xn--bcher-kva.example'],
    ['a@localhost', 'a@localhost'],
    [`${'a'.repeat(64)}@x-y.example`, `${'a'.repeat(64)}@x-y.example`],
  ]
  for (const [given, email] of good) {
    t.match(await app.registration.updateAgent(agent_id, { email: given }), { email }, given)
  }
  const { agent } = await app.registration.createAgent({ email: 'A@B.EXAMPLE' })
  t.equal(agent.email, 'A@b.example')
})

t.test('an address that an older version took is mailed to nobody', async (t) => {
  const { port, mails } = await listen(t, { authOptional: true, disabledCommands: ['STARTTLS'] })
  const SMTP_URL = `smtp://127.0.0.1:${port}`
  for (const email of [
    'a,b@x.example',
    'group:a@x.example;',
    'Name <a@x.example>',
    'a(b)@x.example',
  ]) {
    const refused = await ask(t, { SMTP_URL }, email)
    t.equal(refused.statusCode, 403, email)
    t.match(refused.json(), { error: 'access_denied', error_description: /e-mail address/ }, email)
  }
  t.same(mails, [])
  t.match((await ask(t, { SMTP_URL }, 'Owner@EXAMPLE.com')).json(), { requires_2fa: true })
  t.match(mails, [{ to: ['Owner@example.com'], from: 'auth@auth.example' }])
  t.match(mails[0]?.text, /^From: Auth Agent <auth@auth\.example>\r$/m)
  t.match(mails[0]?.text, /^To: Owner@example\.com\r$/m)
})

t.test('mail settings that cannot work stop the start', async (t) => {
  const bad: [name: string, settings: Partial<Settings>, named: string][] = [
    ['no host', { SMTP_URL: 'smtp://', MAIL_FROM }, 'SMTP_URL'],
    ['a path alone', { SMTP_URL: 'smtp:///x', MAIL_FROM }, 'SMTP_URL'],
    ['no slashes', { SMTP_URL: 'smtp:mail.example', MAIL_FROM }, 'SMTP_URL'],
    ['a host that is none', { SMTP_URL: 'smtp://mail..example', MAIL_FROM }, 'SMTP_URL'],
    ['two hosts', { SMTP_URL: 'smtp://127.0.0.1\\@mail.example', MAIL_FROM }, 'SMTP_URL'],
    ['a user without a password', { SMTP_URL: 'smtp://u@mail.example', MAIL_FROM }, 'SMTP_URL'],
    ['an empty password', { SMTP_URL: 'smtp://u:@mail.example', MAIL_FROM }, 'SMTP_URL'],
    ['a password without a user', { SMTP_URL: 'smtp://:p@mail.example', MAIL_FROM }, 'SMTP_URL'],
    ['bad encoding', { SMTP_URL: 'smtp://u:%zz@mail.example', MAIL_FROM }, 'SMTP_URL'],
    ['another scheme', { SMTP_URL: 'http://mail.example', MAIL_FROM }, 'SMTP_URL'],
    ['no sender', { SMTP_URL: 'smtp://mail.example' }, 'MAIL_FROM'],
    ['no mail server', { MAIL_FROM }, 'SMTP_URL'],
    ...[
      '@',
      'a@',
      'a',
      'a,b@x.example',
      'a@x.example, b@x.example',
      'Name <a@x.example>, b@x.example',
      'Name, Other <a@x.example>',
      'Name <a@x.example',
      '<a@x.example>',
      'Name <a@x.example>\r\nBcc: b@x.example',
      'Na\nme <a@x.example>',
    ].map((MAIL_FROM): [string, Partial<Settings>, string] => [
      MAIL_FROM,
      { SMTP_URL: 'smtp://mail.example', MAIL_FROM },
      'MAIL_FROM',
    ]),
  ]
  for (const [name, settings, named] of bad) {
    const message = new RegExp(`^Invalid settings:\\n  ${named}[:=]`)
    await t.rejects(build(t, settings), { name: 'SettingsError', message }, name)
  }
  const good: [SMTP_URL: string, MAIL_FROM: string][] = [
    ['smtp://mail.example', 'auth@auth.example'],
    ['smtps://u:p%40ss@mail.example:465', '"Auth, Agent" <auth@auth.example>'],
    ['smtp://[::1]:25', 'J\u00fcrgen <auth@b\u00fccher.example>'],
  ]
  for (const [SMTP_URL, MAIL_FROM] of good) t.ok(await build(t, { SMTP_URL, MAIL_FROM }), SMTP_URL)
  const app = await build(t)
  t.ok(await signIn(app, await createSite(app), await createAgent(app)), 'and none is needed')
})
