import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { IDENTITY_GIVES, IDENTITY_RULE, IDENTITY_SCOPES } from '../../schemas/scope.ts'
import {
  authorize,
  authorizeQuery,
  build,
  createAgent,
  createSite,
  encode,
  pkce,
  post,
  signIn,
  TestClock,
} from '../harness.ts'

t.test(
  'OpenID Connect Core section 5.3: sub and e-mail, and nothing else of a person',
  async (t) => {
    const app = await build(t)
    const site = await createSite(app)
    const agent = await createAgent(app, 'ada@example.com')
    const expected = { sub: agent.agent_id, email: 'ada@example.com', email_verified: false }
    for (const scope of ['email', 'openid', 'profile', 'openid profile email']) {
      const { access_token } = await signIn(app, site, agent, { scope })
      const headers = { authorization: `Bearer ${access_token}` }
      const answers = [
        await app.inject({ url: '/userinfo', headers }),
        await app.inject({
          url: '/userinfo',
          headers: { authorization: `bearer ${access_token}` },
        }),
        await app.inject({ method: 'POST', url: '/userinfo', headers }),
        await app.inject({
          method: 'POST',
          url: '/userinfo',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          payload: encode({ access_token }),
        }),
      ]
      for (const answer of answers) {
        t.equal(answer.statusCode, 200)
        t.strictSame(answer.json(), expected)
        t.equal(answer.headers['cache-control'], 'no-store')
      }
    }
  },
)

t.test('RFC 6750 section 3: every refusal carries a challenge', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const site = await createSite(app)
  const agent = await createAgent(app)
  const old = await signIn(app, site, agent)
  clock.advance(app.settings.ACCESS_TOKEN_TTL)
  const revoked = await signIn(app, site, agent)
  await post(app, '/revoke', site, { token: revoked.refresh_token })
  const good = await signIn(app, site, agent)
  const bearer = (token: string | undefined) => ({ authorization: `Bearer ${token}` })

  const invalid = /^Bearer realm="[^"]+", error="invalid_token", error_description="[^"]+"$/
  const bare = /^Bearer realm="[^"]+"$/
  const refusals: [
    name: string,
    headers: Record<string, string>,
    challenge: RegExp,
    query?: string,
  ][] = [
    ['section 3.1: nothing', {}, bare],
    ['another scheme', { authorization: 'Basic eDp5' }, bare],
    ['nothing after the scheme', { authorization: 'Bearer ' }, bare],
    ['OAuth 2.1 section 5.1.1: in the query', {}, bare, `?access_token=${good.access_token}`],
    ['nonsense', bearer('nonsense'), invalid],
    ['an expired one', bearer(old.access_token), invalid],
    ['a revoked one', bearer(revoked.access_token), invalid],
    ['a refresh token', bearer(good.refresh_token), invalid],
    ['one cut short', bearer(good.access_token.slice(0, -2)), invalid],
    ['one with more', bearer(`${good.access_token}.x`), invalid],
  ]
  for (const [name, headers, challenge, query = ''] of refusals) {
    const response = await app.inject({ url: `/userinfo${query}`, headers })
    t.equal(response.statusCode, 401, name)
    t.equal(response.json().error, 'invalid_token', name)
    t.match(response.headers['www-authenticate'], challenge, name)
    t.equal(response.headers['cache-control'], 'no-store', name)
  }
  const twice = await app.inject({
    method: 'POST',
    url: '/userinfo',
    headers: { ...bearer(good.access_token), 'content-type': 'application/x-www-form-urlencoded' },
    payload: encode({ access_token: good.access_token }),
  })
  t.equal(twice.statusCode, 400, 'section 2: a token in two places')
  t.equal(twice.json().error, 'invalid_request')
  const works = await app.inject({ url: '/userinfo', headers: bearer(good.access_token) })
  t.equal(works.statusCode, 200, 'the good request still works')
})

t.test(
  'RFC 6750 section 3.1: a token without an identity scope is 403 insufficient_scope',
  async (t) => {
    const app = await build(t)
    const site = await createSite(app)
    const agent = await createAgent(app)
    const tokens = await signIn(app, site, agent)
    const claims = JSON.parse(
      Buffer.from(tokens.access_token.split('.')[1] ?? '', 'base64url').toString(),
    )
    const grant = await app.store.grants.find(claims.grant_id)
    if (grant === undefined) throw new Error('no grant')
    const { client_id } = site
    const token = await app.tokens.signAccessToken({ client_id, grant, scope: 'other' })
    const headers = { authorization: `Bearer ${token}` }
    const response = await app.inject({ url: '/userinfo', headers })
    t.equal(response.statusCode, 403)
    t.equal(response.json().error, 'insufficient_scope')
    t.match(response.headers['www-authenticate'], /error="insufficient_scope"/)
  },
)

t.test(
  'docs, page, API document and /llms.txt say in the same words what identity scopes give',
  async (t) => {
    const app = await build(t)
    const site = await createSite(app)
    const agent = await createAgent(app)
    const plain = (text: string) => text.replace(/&#39;/g, "'").replace(/\s+/g, ' ')
    const readme = readFileSync(join(import.meta.dirname, '../../plugins/oauth/README.md'), 'utf8')
    t.match(plain(readme), IDENTITY_RULE)
    t.match(plain((await app.inject('/llms.txt')).body), IDENTITY_RULE)
    const { paths } = (await app.inject('/openapi.json')).json()
    t.match(paths['/userinfo'].get.description, IDENTITY_RULE)
    const [, scopes = ''] = IDENTITY_RULE.match(/the scopes (.*), also alone/) ?? []
    t.strictSame(scopes.split(/, | and /), IDENTITY_SCOPES)
    for (const scope of IDENTITY_SCOPES) {
      const page = await authorize(app, authorizeQuery(site, pkce().code_challenge, { scope }))
      t.match(plain(page.body), `<dd>${IDENTITY_GIVES}</dd>`, scope)
      const { access_token } = await signIn(app, site, agent, { scope })
      const headers = { authorization: `Bearer ${access_token}` }
      t.match((await app.inject({ url: '/userinfo', headers })).json(), { email: /@/ }, scope)
    }
  },
)
