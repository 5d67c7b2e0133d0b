import type { FastifyInstance } from 'fastify'
import { exportJWK, generateKeyPair } from 'jose'
import t, { type Test } from 'tap'
import type { Settings } from '../../plugins/core/settings.ts'
import {
  authorize,
  authorizeQuery,
  build,
  createAgent,
  pkce,
  post,
  signIn,
  TestClock,
} from '../harness.ts'

const REDIRECT = 'https://tool.example/callback'

function register(
  app: FastifyInstance,
  metadata: Record<string, unknown>,
  headers: Record<string, string> = {},
) {
  return app.inject({ method: 'POST', url: '/register', headers, payload: metadata })
}

/** The methods that look after a registration. */
function manage(app: FastifyInstance, client_id: string, token: string) {
  const headers = { authorization: `Bearer ${token}` }
  const url = `/register/${client_id}`
  return {
    get: () => app.inject({ url, headers }),
    put: (payload: Record<string, unknown>) => app.inject({ method: 'PUT', url, headers, payload }),
    delete: () => app.inject({ method: 'DELETE', url, headers }),
  }
}

async function open(t: Test, settings: Partial<Settings> = {}, clock = new TestClock()) {
  return await build(t, { DYNAMIC_REGISTRATION: 'open', ...settings }, { clock })
}

t.test('by default there is no registration endpoint', async (t) => {
  const app = await build(t)
  t.equal((await register(app, { redirect_uris: [REDIRECT] })).statusCode, 404)
  const metadata = await app.inject({ url: '/.well-known/oauth-authorization-server' })
  t.notOk('registration_endpoint' in metadata.json())
})

t.test('RFC 7591 section 3.2.1: a client registers itself and signs agents in', async (t) => {
  const app = await open(t)
  const metadata = (await app.inject({ url: '/.well-known/oauth-authorization-server' })).json()
  t.equal(metadata.registration_endpoint, `${app.settings.ISSUER}/register`)

  const answer = await register(app, {
    client_name: 'The Tool',
    redirect_uris: [REDIRECT],
    grant_types: ['authorization_code', 'refresh_token', 'urn:example:unknown'],
    response_types: ['code'],
    application_type: 'web',
    scope: 'email',
    logo_uri: 'https://tool.example/logo.png',
    foo: 'bar',
  })
  t.equal(answer.statusCode, 201, answer.body)
  t.equal(answer.headers['cache-control'], 'no-store')
  const client = answer.json()
  t.match(client, {
    client_id: /^client_/,
    client_name: 'The Tool',
    redirect_uris: [REDIRECT],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_basic',
    application_type: 'web',
    client_secret: /^cs_/,
    client_secret_expires_at: 0,
    client_id_issued_at: Number,
    registration_access_token: /^rat_/,
    registration_client_uri: `${app.settings.ISSUER}/register/${client.client_id}`,
  })
  t.notOk('foo' in client, 'section 2: unknown metadata is ignored')
  t.notOk('logo_uri' in client)

  const tokens = await signIn(
    app,
    { ...client, redirect_uri: REDIRECT },
    await createAgent(app, undefined, { sites: 'any' }),
  )
  t.ok(tokens.refresh_token)
})

t.test('RFC 7591 section 2: what is not said has its default', async (t) => {
  const app = await open(t)
  const site = { redirect_uris: [REDIRECT] }
  const plain = (await register(app, site)).json()
  t.match(plain, { grant_types: ['authorization_code'], client_name: 'tool.example' })
  const tokens = await signIn(
    app,
    { ...plain, redirect_uri: REDIRECT },
    await createAgent(app, undefined, { sites: 'any' }),
  )
  t.notOk(tokens.refresh_token, 'a client without the grant type gets no refresh token')

  const guest = (await register(app, { ...site, token_endpoint_auth_method: 'none' })).json()
  t.notOk('client_secret' in guest || 'client_secret_expires_at' in guest)

  const { publicKey } = await generateKeyPair('ES256')
  const jwks = { keys: [await exportJWK(publicKey)] }
  const keyed = await register(app, {
    ...site,
    token_endpoint_auth_method: 'private_key_jwt',
    jwks,
  })
  t.same(keyed.json().jwks, jwks)
  t.notOk('client_secret' in keyed.json())
})

t.test('RFC 7591 section 3.2.2: metadata that is refused', async (t) => {
  const app = await open(t)
  const refusals: [string, Record<string, unknown>, string][] = [
    ['no redirect URI', { redirect_uris: undefined }, 'invalid_redirect_uri'],
    ['an empty list', { redirect_uris: [] }, 'invalid_redirect_uri'],
    ['not a list', { redirect_uris: REDIRECT }, 'invalid_redirect_uri'],
    ['http', { redirect_uris: ['http://tool.example/cb'] }, 'invalid_redirect_uri'],
    ['a scheme of its own', { redirect_uris: ['tool://callback'] }, 'invalid_redirect_uri'],
    ['a script', { redirect_uris: ['javascript:alert(1)'] }, 'invalid_redirect_uri'],
    ['a fragment', { redirect_uris: [`${REDIRECT}#x`] }, 'invalid_redirect_uri'],
    ['a wildcard', { redirect_uris: ['https://*.tool.example'] }, 'invalid_redirect_uri'],
    ['a relative URI', { redirect_uris: ['/cb'] }, 'invalid_redirect_uri'],
    ['no usable grant', { grant_types: ['client_credentials'] }, 'invalid_client_metadata'],
    ['no usable response', { response_types: ['token'] }, 'invalid_client_metadata'],
    ['an unknown method', { token_endpoint_auth_method: 'tls' }, 'invalid_client_metadata'],
    [
      'keys that are missing',
      { token_endpoint_auth_method: 'private_key_jwt' },
      'invalid_client_metadata',
    ],
    ['an unknown type', { application_type: 'other' }, 'invalid_client_metadata'],
    ['a name that is no text', { client_name: 7 }, 'invalid_client_metadata'],
    ['a name with control characters', { client_name: 'a\nb' }, 'invalid_client_metadata'],
  ]
  for (const [name, change, error] of refusals) {
    const answer = await register(app, { redirect_uris: [REDIRECT], ...change })
    t.match([answer.statusCode, answer.json().error], [400, error], name)
  }
  t.equal((await app.store.clients.list()).length, 0, 'nothing was registered')
  const local = { redirect_uris: ['http://127.0.0.1/cb', 'http://localhost/cb'] }
  t.equal((await register(app, local)).statusCode, 201, 'but http on the loopback is fine')
})

t.test(
  'RFC 7591 section 2: an empty list is as if it were left out, as generated clients send it',
  async (t) => {
    const app = await open(t)
    const given = { redirect_uris: [REDIRECT], grant_types: [], response_types: [] }
    const answer = await register(app, given)
    t.match(answer.json(), { grant_types: ['authorization_code'], response_types: ['code'] })
    t.equal(answer.statusCode, 201)

    const { client_id, registration_access_token } = answer.json()
    const changed = await app.inject({
      method: 'PUT',
      url: `/register/${client_id}`,
      headers: { authorization: `Bearer ${registration_access_token}` },
      payload: { client_id, ...given, client_name: 'Renamed' },
    })
    t.match(changed.json(), { client_name: 'Renamed', grant_types: ['authorization_code'] })
  },
)

t.test('RFC 7591 section 3: registration with an initial access token', async (t) => {
  const clock = new TestClock()
  const app = await open(t, { DYNAMIC_REGISTRATION: 'token' }, clock)
  const attempt = async (token?: string) => {
    const metadata = { redirect_uris: [REDIRECT], token_endpoint_auth_method: 'none' }
    return token === undefined
      ? await register(app, metadata)
      : await register(app, metadata, { authorization: `Bearer ${token}` })
  }
  for (const token of [undefined, 'iat_guess']) {
    const answer = await attempt(token)
    t.equal(answer.statusCode, 401)
    t.match(answer.headers['www-authenticate'], /^Bearer /)
  }
  const short = await app.registration.createInitialAccessToken('a friend', 60)
  const long = await app.registration.createInitialAccessToken()
  t.equal((await attempt(short.initial_access_token)).statusCode, 201)
  t.equal((await attempt(short.initial_access_token)).statusCode, 201, 'again')
  clock.advance(60)
  t.equal((await attempt(short.initial_access_token)).statusCode, 401, 'expired')
  t.equal((await attempt(long.initial_access_token)).statusCode, 201)
  await app.store.initialAccessTokens.delete(long.token_id)
  t.equal((await attempt(long.initial_access_token)).statusCode, 401, 'deleted')
})

t.test('RFC 7592: a client looks after its registration', async (t) => {
  const app = await open(t)
  const metadata = { client_name: 'The Tool', redirect_uris: [REDIRECT] }
  const { client_id, client_secret, registration_access_token } = (
    await register(app, metadata)
  ).json()
  const own = manage(app, client_id, registration_access_token)

  t.test('section 2.1: reads it', async (t) => {
    const answer = await own.get()
    t.equal(answer.statusCode, 200)
    t.equal(answer.headers['cache-control'], 'no-store')
    t.match(answer.json(), { client_id, ...metadata, registration_access_token })
  })

  t.test('section 2.2: replaces it', async (t) => {
    const redirect_uris = ['https://tool.example/other']
    const changed = await own.put({ client_id, client_secret, client_name: 'Tool', redirect_uris })
    t.equal(changed.statusCode, 200, changed.body)
    t.match((await own.get()).json(), { client_name: 'Tool', redirect_uris })

    const site = { client_id, client_secret, redirect_uri: REDIRECT }
    const page = await authorize(app, authorizeQuery(site, pkce().code_challenge))
    t.equal(page.statusCode, 400, 'the old redirect URI is gone')
  })

  t.test('section 2.2: but not with what does not fit', async (t) => {
    const refusals: [string, Record<string, unknown>, string][] = [
      ['another client_id', { client_id: 'client_other' }, 'invalid_client_metadata'],
      ['no client_id', { client_id: undefined }, 'invalid_client_metadata'],
      ['another secret', { client_secret: 'cs_own_choice' }, 'invalid_client_metadata'],
      ['another method', { token_endpoint_auth_method: 'none' }, 'invalid_client_metadata'],
      ['a bad redirect URI', { redirect_uris: ['http://x.example'] }, 'invalid_redirect_uri'],
    ]
    for (const [name, change, error] of refusals) {
      const answer = await own.put({ client_id, ...metadata, ...change })
      t.match([answer.statusCode, answer.json().error], [400, error], name)
    }
  })

  t.test('section 2: and nobody else does', async (t) => {
    const other = (await register(app, metadata)).json()
    for (const [id, token] of [
      [client_id, other.registration_access_token],
      [client_id, 'rat_guess'],
      [client_id, ''],
      ['client_unknown', registration_access_token],
    ]) {
      const stranger = manage(app, id, token)
      const answers = [
        await stranger.get(),
        await stranger.put({ client_id: id, ...metadata }),
        await stranger.delete(),
      ]
      for (const { statusCode } of answers) t.equal(statusCode, 401)
    }
  })

  t.test('section 2.3: removes it, with all tokens', async (t) => {
    const site = { client_id, client_secret, redirect_uri: 'https://tool.example/other' }
    const { access_token } = await signIn(
      app,
      site,
      await createAgent(app, undefined, { sites: 'any' }),
    )
    t.equal((await own.delete()).statusCode, 204)
    t.equal((await own.get()).statusCode, 401)
    t.equal((await post(app, '/introspect', site, { token: access_token })).statusCode, 401)
    const authorization = `Bearer ${access_token}`
    t.equal((await app.inject({ url: '/userinfo', headers: { authorization } })).statusCode, 401)
  })
})

t.test('a client of the operator has no registration token', async (t) => {
  const app = await open(t)
  const { client } = await app.registration.createClient({
    client_name: 'Site',
    redirect_uris: [REDIRECT],
  })
  t.equal((await manage(app, client.client_id, '').get()).statusCode, 401)
  t.equal((await manage(app, client.client_id, 'rat_guess').get()).statusCode, 401)
})

t.test('a registration that nobody uses goes away, one in use stays', async (t) => {
  const clock = new TestClock()
  const app = await open(t, { UNUSED_CLIENT_TTL: 100, REFRESH_TOKEN_TTL: 1000 }, clock)
  const agent = await createAgent(app, undefined, { sites: 'any' })
  const metadata = {
    redirect_uris: [REDIRECT],
    grant_types: ['authorization_code', 'refresh_token'],
  }
  const [used, unused, disabled] = (
    await Promise.all([1, 2, 3].map(() => register(app, metadata)))
  ).map((answer) => ({ ...answer.json(), redirect_uri: REDIRECT }))
  const operators = await app.registration.createClient({ client_name: 'Site', ...metadata })
  await app.registration.updateClient(disabled.client_id, { disabled_at: clock.now() })
  await signIn(app, used, agent)

  const sweep = async () => {
    const now = clock.now()
    const before = now - app.settings.UNUSED_CLIENT_TTL
    while (await app.store.clients.removeUnused({ origin: 'dynamic', before, now }));
    return (await app.store.clients.list()).map(({ client_id }) => client_id)
  }
  t.equal((await sweep()).length, 4, 'none before its time')
  clock.advance(101)
  const left = [used.client_id, disabled.client_id, operators.client.client_id]
  t.strictSame((await sweep()).sort(), left.sort())
  t.equal((await post(app, '/introspect', unused, { token: 'any' })).statusCode, 401)

  clock.advance(1000)
  t.strictSame(
    (await sweep()).sort(),
    [disabled.client_id, operators.client.client_id].sort(),
    'nor when its last sign-in has ended; what the operator decided stays',
  )
})

t.test('RFC 7591 section 2: redirect URIs with a scheme of their own are left out', async (t) => {
  const app = await open(t)
  const kept = ['http://localhost:8787/callback', 'https://tool.example/callback']
  const schemes = [
    'cursor://anysphere.cursor-mcp/oauth/callback',
    'com.example.app:/callback',
    'javascript:alert(1)',
  ]
  for (const custom of schemes) {
    const answer = await register(app, { redirect_uris: [custom, ...kept] })
    t.equal(answer.statusCode, 201, custom)
    t.same(answer.json().redirect_uris, kept, 'section 3.2.1: the answer tells what is registered')
    const { client_id } = answer.json()
    const query = authorizeQuery(
      { client_id, client_secret: undefined, redirect_uri: custom },
      pkce().code_challenge,
    )
    t.equal((await authorize(app, query)).statusCode, 400, 'and nothing leads there')

    const { put } = manage(app, client_id, answer.json().registration_access_token)
    const changed = await put({ client_id, redirect_uris: [kept[1], custom] })
    t.match([changed.statusCode, changed.json().redirect_uris], [200, [kept[1]]])
    const nothing = await put({ client_id, redirect_uris: [custom] })
    t.match([nothing.statusCode, nothing.json().error], [400, 'invalid_redirect_uri'])
  }
  const refusals: [name: string, metadata: Record<string, unknown>, error: string][] = [
    ['nothing left', { redirect_uris: schemes }, 'invalid_redirect_uri'],
    [
      'plain http beside a good one',
      { redirect_uris: ['http://tool.example/', ...kept] },
      'invalid_redirect_uri',
    ],
    ['no URI beside a good one', { redirect_uris: ['tool', ...kept] }, 'invalid_redirect_uri'],
    [
      'refresh_token alone',
      { redirect_uris: kept, grant_types: ['refresh_token'] },
      'invalid_client_metadata',
    ],
    [
      'refresh_token and one we do not have',
      { redirect_uris: kept, grant_types: ['refresh_token', 'urn:x'] },
      'invalid_client_metadata',
    ],
  ]
  for (const [name, metadata, error] of refusals) {
    const refused = await register(app, metadata)
    t.match([refused.statusCode, refused.json().error], [400, error], name)
  }
})

t.test('RFC 7592 section 2.2: what a registration answered can be sent back', async (t) => {
  const app = await open(t)
  const { publicKey } = await generateKeyPair('ES256')
  const jwks = { keys: [await exportJWK(publicKey)] }
  const registrations: [name: string, metadata: Record<string, unknown>][] = [
    ['the least', {}],
    ['a public client', { token_endpoint_auth_method: 'none', application_type: 'native' }],
    [
      'a secret in the body',
      { token_endpoint_auth_method: 'client_secret_post', client_name: 'The “Tool”' },
    ],
    ['keys', { token_endpoint_auth_method: 'private_key_jwt', jwks }],
    [
      'a URL of keys',
      { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: 'https://tool.example/jwks' },
    ],
    [
      'more than we have',
      {
        grant_types: ['authorization_code', 'refresh_token', 'implicit'],
        response_types: ['code', 'token'],
        scope: 'openid x',
      },
    ],
    ['a scheme of its own', { redirect_uris: ['cursor://x/y', REDIRECT] }],
    ['nulls', { client_name: null, jwks: null, jwks_uri: null, contacts: null }],
  ]
  for (const [name, metadata] of registrations) {
    const first = await register(app, { redirect_uris: [REDIRECT], ...metadata })
    t.equal(first.statusCode, 201, name)
    const {
      client_id,
      registration_access_token,
      client_secret,
      client_secret_expires_at,
      ...said
    } = first.json()
    const { get, put } = manage(app, client_id, registration_access_token)
    t.strictSame((await put(first.json())).json(), (await get()).json(), `${name}: all of it`)
    t.match((await get()).json(), said, `${name}: nothing changed`)
    t.equal((await put((await get()).json())).statusCode, 200, `${name}: as it is read`)
    t.equal(
      (await put({ client_id, redirect_uris: [REDIRECT], ...metadata })).statusCode,
      200,
      `${name}: as it was registered`,
    )
  }
})

t.test('what the operator changed on a client that registered itself stays', async (t) => {
  const clock = new TestClock()
  const app = await open(t, {}, clock)
  const { client_id, registration_access_token } = (
    await register(app, { client_name: 'Tool', redirect_uris: [REDIRECT] })
  ).json()
  await app.registration.updateClient(client_id, {
    scope: 'openid',
    client_name: 'The operator’s name',
  })
  await app.registration.updateClient(client_id, { refresh_reuse_grace: 30 })
  const { put } = manage(app, client_id, registration_access_token)
  const answer = await put({
    client_id,
    client_name: 'Another',
    redirect_uris: [`${REDIRECT}/new`],
  })
  t.match(answer.json(), { client_name: 'The operator’s name', redirect_uris: [`${REDIRECT}/new`] })
  t.match(await app.store.clients.find(client_id), { scope: 'openid', refresh_reuse_grace: 30 })

  clock.advance(10_000_000)
  const now = clock.now()
  while (await app.store.clients.removeUnused({ origin: 'dynamic', before: now, now }));
  t.ok(await app.store.clients.find(client_id), 'and the client is kept')
})
