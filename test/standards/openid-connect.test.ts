import { createHash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import { createLocalJWKSet, decodeProtectedHeader, type JWTPayload, jwtVerify } from 'jose'
import t from 'tap'
import {
  authenticate,
  authorize,
  authorizeQuery,
  createAgent,
  createSite,
  getCode,
  open,
  type Parameters,
  pkce,
  redeem,
  refresh,
  setUp,
  signIn,
} from '../harness.ts'

async function verify(
  app: FastifyInstance,
  id_token: string | undefined,
  audience: string,
): Promise<JWTPayload> {
  const keys = createLocalJWKSet((await app.inject('/.well-known/jwks.json')).json())
  const { payload } = await jwtVerify(id_token ?? '', keys, {
    issuer: app.settings.ISSUER,
    audience,
    currentDate: new Date(app.clock.now() * 1000),
  })
  return payload
}

t.test('OpenID Connect Core section 2: what an ID Token says, and nothing else', async (t) => {
  const { app, clock, site, agent } = await setUp(t)
  const code = await getCode(app, site, agent, { scope: 'openid email', nonce: 'n-0S6' })
  const auth_time = clock.now()
  clock.advance(20)
  const { id_token, access_token } = (await redeem(app, site, code)).json()

  t.match(decodeProtectedHeader(id_token), { alg: 'RS256', typ: 'JWT', kid: /^[\w-]{43}$/ })
  const [grant] = await app.store.grants.list({ client_id: site.client_id })
  const hash = createHash('sha256').update(access_token).digest()
  t.same(await verify(app, id_token, site.client_id), {
    iss: app.settings.ISSUER,
    sub: agent.agent_id,
    aud: site.client_id,
    iat: auth_time + 20,
    exp: auth_time + 20 + 3600,
    auth_time,
    nonce: 'n-0S6',
    at_hash: hash.subarray(0, 16).toString('base64url'),
    acr: 'urn:auth-agent:acr:agent',
    amr: ['agent_secret'],
    sid: grant?.grant_id,
    email: 'owner@example.com',
    email_verified: false,
  })
})

t.test('OpenID Connect Core section 5.4: the e-mail comes with its scope alone', async (t) => {
  const { app, site, agent } = await setUp(t)
  const { id_token } = await signIn(app, site, agent, { scope: 'openid profile' })
  const claims = await verify(app, id_token, site.client_id)
  t.notHas(claims, { email: String })
  t.notHas(claims, { email_verified: Boolean })
  t.notHas(claims, { nonce: String })
})

t.test('OpenID Connect Core section 3.1.2.1: no ID Token without the scope openid', async (t) => {
  const { app, site, agent } = await setUp(t)
  t.notHas(await signIn(app, site, agent, { scope: 'email profile', nonce: 'n' }), {
    id_token: String,
  })
})

t.test(
  'OpenID Connect Registration section 2: ES256 for the client that asked for it',
  async (t) => {
    const { app, agent } = await setUp(t)
    const site = await createSite(app, { id_token_signed_response_alg: 'ES256' })
    const { id_token } = await signIn(app, site, agent, { scope: 'openid' })
    t.equal(decodeProtectedHeader(id_token ?? '').alg, 'ES256')
    t.equal((await verify(app, id_token, site.client_id)).sub, agent.agent_id)

    await app.registration.updateClient(site.client_id, { id_token_signed_response_alg: 'RS256' })
    const again = await signIn(app, site, agent, { scope: 'openid' })
    t.equal(decodeProtectedHeader(again.id_token ?? '').alg, 'RS256')

    for (const id_token_signed_response_alg of ['none', 'HS256', 'rs256']) {
      await t.rejects(createSite(app, { id_token_signed_response_alg }), {
        code: 'invalid_client_metadata',
      })
    }
  },
)

t.test('OpenID Connect Core section 12.2: the ID Token of a refresh', async (t) => {
  const { app, clock, site, agent } = await setUp(t)
  const first = await signIn(app, site, agent, { scope: 'openid email', nonce: 'n' })
  const before = await verify(app, first.id_token, site.client_id)
  clock.advance(1000)
  const second = (await refresh(app, site, first.refresh_token)).json()
  const after = await verify(app, second.id_token, site.client_id)

  const { nonce: _, ...kept } = before
  const at_hash = createHash('sha256').update(second.access_token).digest().subarray(0, 16)
  t.same(after, {
    ...kept,
    iat: clock.now(),
    exp: clock.now() + 3600,
    at_hash: at_hash.toString('base64url'),
  })
  t.equal(after.auth_time, clock.now() - 1000)

  const third = (await refresh(app, site, second.refresh_token, { scope: 'email' })).json()
  t.notHas(third, { id_token: String }, 'a scope narrowed to less than openid has no ID Token')
})

t.test('RFC 9068 section 4: an ID Token is no access token', async (t) => {
  const { app, site, agent } = await setUp(t)
  const { id_token } = await signIn(app, site, agent, { scope: 'openid email' })
  const headers = { authorization: `Bearer ${id_token}` }
  t.equal((await app.inject({ url: '/userinfo', headers })).statusCode, 401)
})

t.test('OpenID Connect Core section 5.3.2: userinfo has the sub of the ID Token', async (t) => {
  const { app, site, agent } = await setUp(t)
  const { id_token, access_token } = await signIn(app, site, agent, { scope: 'openid email' })
  const headers = { authorization: `Bearer ${access_token}` }
  const { sub } = await verify(app, id_token, site.client_id)
  const userinfo = await app.inject({ url: '/userinfo', headers })
  t.same(userinfo.json(), { sub, email: 'owner@example.com', email_verified: false })
})

t.test('requests that are refused, at the redirect URI', async (t) => {
  const { app, site } = await setUp(t)
  const refusals: [string, Parameters, string][] = [
    ['OpenID Connect Core section 3.1.2.6: prompt=none', { prompt: 'none' }, 'login_required'],
    [
      'OpenID Connect Core section 3.1.2.1: none and more',
      { prompt: 'none login' },
      'invalid_request',
    ],
    ['an unknown prompt', { prompt: 'create' }, 'invalid_request'],
    ['prompt twice', { prompt: ['login', 'consent'] }, 'invalid_request'],
    [
      'OpenID Connect Core section 3.1.2.6: request',
      { request: 'e30.e30.' },
      'request_not_supported',
    ],
    [
      'OpenID Connect Core section 3.1.2.6: request_uri',
      { request_uri: 'https://site.example/r' },
      'request_uri_not_supported',
    ],
    [
      'OpenID Connect Core section 3.1.2.6: registration',
      { registration: '{}' },
      'registration_not_supported',
    ],
    ['response_mode=fragment', { response_mode: 'fragment' }, 'invalid_request'],
    ['max_age that is no number', { max_age: '-1' }, 'invalid_request'],
    ['an id_token_hint that is none', { id_token_hint: 'nonsense' }, 'invalid_request'],
    [
      'response_type=code id_token',
      { response_type: 'code id_token' },
      'unsupported_response_type',
    ],
  ]
  for (const [name, change, error] of refusals) {
    const query = authorizeQuery(site, pkce().code_challenge, { scope: 'openid', ...change })
    const response = await authorize(app, query)
    t.equal(response.statusCode, 303, name)
    const location = new URL(String(response.headers.location))
    t.equal(location.origin + location.pathname, site.redirect_uri, name)
    t.match(
      Object.fromEntries(location.searchParams),
      { error, state: 'the state', iss: app.settings.ISSUER },
      name,
    )
  }
})

t.test(
  'OAuth 2.1 section 3.1: nothing but an error is redirected before an agent acts',
  async (t) => {
    const { app, site } = await setUp(t)
    const { code_challenge } = pkce()
    const good = await authorize(app, authorizeQuery(site, code_challenge, { scope: 'openid' }))
    t.equal(good.statusCode, 200)
    t.notOk(good.headers.location)
    const none = { prompt: 'none' }
    for (const change of [{ client_id: 'client_x' }, { redirect_uri: 'https://evil.example/' }]) {
      const response = await authorize(
        app,
        authorizeQuery(site, code_challenge, { ...none, ...change }),
      )
      t.equal(response.statusCode, 400)
      t.notOk(response.headers.location)
    }
  },
)

t.test('OpenID Connect Core section 3.1.2.1: what is met or ignored opens a request', async (t) => {
  const { app, clock, site, agent } = await setUp(t)
  const accepted: Parameters[] = [
    { prompt: 'login' },
    { prompt: 'consent' },
    { prompt: 'select_account' },
    { prompt: 'login consent' },
    { max_age: '0' },
    { max_age: '3600' },
    { login_hint: 'owner@example.com' },
    { display: 'popup' },
    { ui_locales: 'fr-CA fr' },
    { acr_values: 'urn:x' },
    { claims: '{"id_token":{"email":{"essential":true}}}' },
    { response_mode: 'query' },
  ]
  for (const change of accepted) {
    const { id_token } = await signIn(app, site, agent, { scope: 'openid', ...change })
    const { auth_time } = await verify(app, id_token, site.client_id)
    t.equal(auth_time, clock.now(), JSON.stringify(change))
  }
})

t.test('OpenID Connect Core section 3.1.2.1: only the agent of an id_token_hint', async (t) => {
  const { app, clock, site, agent } = await setUp(t)
  const other = await createAgent(app, 'other@example.com')
  const { id_token } = await signIn(app, site, agent, { scope: 'openid' })
  clock.advance(86_400)

  const hinted = { scope: 'openid', id_token_hint: id_token }
  const { request_id } = await open(app, site, hinted)
  const refused = await authenticate(app, request_id, other)
  t.equal(refused.statusCode, 403)
  t.match(refused.json(), { error: 'access_denied', success: false })
  t.equal((await authenticate(app, request_id, agent)).statusCode, 200, 'it stayed pending')

  const another = await createSite(app)
  const query = authorizeQuery(another, pkce().code_challenge, hinted)
  t.match((await authorize(app, query)).headers.location, /error=invalid_request/)
  const { access_token } = await signIn(app, site, agent)
  const wrong = authorizeQuery(site, pkce().code_challenge, { id_token_hint: access_token })
  t.match((await authorize(app, wrong)).headers.location, /error=invalid_request/)
})
