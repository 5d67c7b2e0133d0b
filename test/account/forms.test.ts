import t from 'tap'
import { readNext } from '../../plugins/pages/person-errors.ts'
import { build, signInOwner } from '../harness.ts'
import { listRoutes } from './forms.ts'
import { invite, send, signInWithPasskey } from './owner.ts'

const concrete = (url: string) => url.replace(/:\w+/g, 'some')

t.test('no form is taken from another origin (cross-site request forgery)', async (t) => {
  const routes = await listRoutes('POST')
  t.ok(routes.length > 12)
  const app = await build(t)
  const { headers } = await signInOwner(app, { operator: true })
  const { cookie, origin } = headers
  const refused: Record<string, string>[] = [
    {},
    { origin: 'null' },
    { origin: 'https://evil.example' },
    { origin: `${origin}.evil.example` },
    { origin, 'sec-fetch-site': 'cross-site' },
    { origin, 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'none' },
    { 'sec-fetch-site': 'cross-site' },
  ]
  for (const url of routes) {
    for (const change of refused) {
      // A body that each of the forms accepts: a new form adds its fields.
      const answer = await app.inject({
        method: 'POST',
        url: concrete(url),
        headers: { cookie, 'content-type': 'application/x-www-form-urlencoded', ...change },
        payload:
          'email=a@b.example&code=000000&token=x&name=x&mail_sign_in=on&next=account' +
          '&agent_id=x&client_id=x&kid=x&jwk=x&shown=x&agents=delete&everything=yes&request_id=x&agent=x&lasts=once',
      })
      t.equal(answer.statusCode, 403, `${url} ${JSON.stringify(change)}`)
      t.match(answer.body, 'was not sent from a page of this server', url)
    }
  }
  t.equal((await app.inject({ url: '/account', headers })).statusCode, 200, 'nothing was done')
})

t.test(
  'no page can be framed, cached or loaded with scripts of others (clickjacking)',
  async (t) => {
    const app = await build(t)
    const { headers } = await signInOwner(app, { operator: true })
    const pages = (await listRoutes('GET')).filter((url) => !/\.js$/.test(url))
    t.ok(pages.length > 8)
    for (const url of pages) {
      const answer = await app.inject({ url: concrete(url), headers })
      if (answer.statusCode === 303 || !/html/.test(String(answer.headers['content-type'])))
        continue
      t.match(answer.headers, {
        'x-frame-options': 'DENY',
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'content-security-policy': /default-src 'none'.*form-action 'self'; frame-ancestors 'none'/,
      })
      t.notMatch(answer.headers['content-security-policy'], /unsafe|https?:/, url)
    }
  },
)

t.test('a sign-in leads nowhere but to pages of this server (open redirect)', async (t) => {
  const refused = [
    'https://evil.example',
    '//evil.example',
    '/\\evil.example',
    'account//evil.example',
    'account/../../evil',
    'accountevil.example',
    'account@evil.example',
    'account:80@evil.example',
    'account\\evil',
    'account\r\nlocation: x',
    'javascript:alert(1)',
    'authorize',
    'consoles',
    '',
    ['account', 'console'],
    undefined,
  ]
  for (const next of refused) t.equal(readNext(next), 'account', String(next))
  for (const next of ['account', 'console', 'account/agents?x=1', 'console/owners/owner_1']) {
    t.equal(readNext(next), next)
  }
  const app = await build(t)
  const { passkey } = await invite(app)
  for (const next of refused) {
    if (next === undefined || Array.isArray(next)) continue
    const answer = await signInWithPasskey(app, passkey, {}, { next })
    t.equal(answer.headers.location, `${app.settings.ISSUER}/account`, next)
  }
})

t.test(
  'a sign-in gives the browser a new session and ends the former (session fixation)',
  async (t) => {
    const app = await build(t)
    const { cookie, passkey } = await invite(app)
    const again = await signInWithPasskey(app, passkey)
    t.match(again.headers['set-cookie'], /HttpOnly; SameSite=Lax/)
    t.notMatch(again.headers['set-cookie'], cookie)
    const planted = { cookie: `auth-agent-owner=os_${'A'.repeat(43)}` }
    t.equal((await app.inject({ url: '/account', headers: planted })).statusCode, 303)
  },
)

t.test('the cookie is tied to its host over https', async (t) => {
  const app = await build(t, { ISSUER: 'https://auth.example.com' })
  const { passkey } = await invite(app)
  const answer = await signInWithPasskey(app, passkey)
  t.match(answer.headers['set-cookie'], /^__Host-auth-agent-owner=os_.*; Path=\/; HttpOnly; Secure/)
})

t.test('a script reads in JSON why its page cannot go on', async (t) => {
  const app = await build(t)
  const accept = 'application/json'
  const signedOut = await send(app, '/account/confirm/options', {}, { accept })
  t.equal(signedOut.statusCode, 403)
  t.match(signedOut.json(), { error: 'access_denied', error_description: /signed out/ })
  const { headers } = await signInOwner(app)
  const none = await send(app, '/account/confirm/options', {}, { ...headers, accept })
  t.match(none.json(), { error_description: /You have no passkey here yet/ })
  const other = { ...headers, accept, origin: 'https://evil.example' }
  const refused = await send(app, '/account/confirm/options', {}, other)
  t.match(refused.json(), { error: 'access_denied' })
})

t.test('the pages work below the path of an issuer', async (t) => {
  const app = await build(t, { ISSUER: 'https://example.com/auth' })
  const { invitation_url } = await app.owners.invite('other@example.com')
  t.match(invitation_url, 'https://example.com/auth/account/invitation?token=inv_')
  const page = await app.inject(invitation_url.replace('https://example.com', ''))
  t.match(page.body, '<base href="/auth/">')
  const { passkey } = await invite(app)
  const answer = await signInWithPasskey(app, passkey, {}, { next: 'account/security' })
  t.equal(answer.headers.location, 'https://example.com/auth/account/security')
  t.match(
    answer.headers['set-cookie'],
    /^__Secure-auth-agent-owner=.*; Path=\/auth; HttpOnly; Secure/,
  )
  const stranger = await app.inject('/auth/account/security')
  t.equal(
    stranger.headers.location,
    'https://example.com/auth/account/sign-in?next=account%2Fsecurity',
  )
})
