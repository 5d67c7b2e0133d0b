import { randomUUID } from 'node:crypto'
import Database from 'better-sqlite3'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'
import t, { type Test } from 'tap'
import {
  CLIENT_ASSERTION_ALGORITHMS,
  CLIENT_ASSERTION_TYPE,
} from '../../../plugins/core/callers/client-assertion.ts'
import type { NewClient } from '../../../plugins/core/registry/registration.ts'
import {
  build,
  createAgent,
  createApi,
  createSite,
  getCode,
  type Parameters,
  post,
  redeem,
  refresh,
  startWeb,
  TestClock,
} from '../../harness.ts'

const clock = new TestClock()

async function makeKey(kid: string, alg = 'ES256') {
  const { publicKey, privateKey } = await generateKeyPair(alg)
  const jwk = { ...(await exportJWK(publicKey)), kid }
  const sign = (claims: JWTPayload, header: { alg?: string; kid?: string } = {}) =>
    new SignJWT(claims).setProtectedHeader({ alg, kid, ...header }).sign(privateKey)
  return { jwk, sign }
}
type Key = Awaited<ReturnType<typeof makeKey>>

const goodClaims = (client_id: string, aud: string): JWTPayload => ({
  iss: client_id,
  sub: client_id,
  aud,
  jti: randomUUID(),
  iat: clock.now(),
  exp: clock.now() + 60,
})

/** A client with this key that may act for itself. */
async function setUp(t: Test, key: Key) {
  const app = await build(t, {}, { clock })
  await createApi(app, { uri: 'https://api.example', scopes: ['read'] })
  const site = await createSite(app, {
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [key.jwk] },
    grant_types: ['authorization_code', 'refresh_token', 'client_credentials'],
    scope: 'email read',
  })
  const claims = () => goodClaims(site.client_id, app.settings.ISSUER)
  const assert = async (client_assertion: string, change: Parameters = {}) =>
    await post(app, '/token', undefined, {
      grant_type: 'client_credentials',
      client_assertion_type: CLIENT_ASSERTION_TYPE,
      client_assertion,
      ...change,
    })
  return { app, site, claims, assert }
}

t.test('RFC 7523 section 2.2: a client proves itself with its key', async (t) => {
  const key = await makeKey('one')
  const { app, site, claims, assert } = await setUp(t, key)

  t.test('at every endpoint, and without a client_id', async (t) => {
    const credentials = async () => ({
      client_assertion_type: CLIENT_ASSERTION_TYPE,
      client_assertion: await key.sign(claims()),
    })
    const code = await getCode(app, site, await createAgent(app))
    const redeemed = await redeem(app, site, code, await credentials())
    t.equal(redeemed.statusCode, 200, redeemed.body)
    const { refresh_token } = redeemed.json()
    const refreshed = await refresh(app, site, refresh_token, await credentials())
    const token = refreshed.json().access_token
    const introspected = await post(app, '/introspect', undefined, {
      ...(await credentials()),
      token,
    })
    t.equal(introspected.json().active, true)
    const revoked = await post(app, '/revoke', undefined, { ...(await credentials()), token })
    t.equal(revoked.statusCode, 200)
  })

  t.test('for the issuer or the token endpoint as the audience', async (t) => {
    const aud = `${app.settings.ISSUER}/token`
    for (const audience of [aud, [aud], [aud, app.settings.ISSUER]]) {
      const answer = await assert(await key.sign({ ...claims(), aud: audience }))
      t.equal(answer.statusCode, 200, answer.body)
    }
  })

  t.test('once, of many at the same time', async (t) => {
    const assertion = await key.sign(claims())
    const answers = await Promise.all(Array.from({ length: 20 }, () => assert(assertion)))
    t.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 1)
    t.equal(answers.filter(({ statusCode }) => statusCode === 401).length, 19)
  })

  t.test('and not with a secret or nothing', async (t) => {
    for (const change of [{}, { client_secret: 'cs_guess' }]) {
      const answer = await post(app, '/token', site, {
        grant_type: 'client_credentials',
        ...change,
      })
      t.match([answer.statusCode, answer.json().error], [401, 'invalid_client'])
    }
  })

  t.test('with a clock that is a little wrong', async (t) => {
    const now = clock.now()
    const late = await assert(await key.sign({ ...claims(), exp: now - 20 }))
    t.equal(late.statusCode, 200, late.body)
    const early = await assert(await key.sign({ ...claims(), nbf: now + 20, iat: now + 20 }))
    t.equal(early.statusCode, 200, early.body)
  })
})

t.test('RFC 7523 section 3: which assertions are refused', async (t) => {
  const [key, stranger] = await Promise.all([makeKey('one'), makeKey('one')])
  const { app, site, claims, assert } = await setUp(t, key)
  const other = await createSite(app)
  const now = clock.now()

  const bad: [string, JWTPayload][] = [
    ['no iss', { iss: undefined }],
    ['another iss', { iss: other.client_id }],
    ['another client as sub', { sub: other.client_id, iss: other.client_id }],
    ['an unknown client', { sub: 'client_unknown', iss: 'client_unknown' }],
    ['no aud', { aud: undefined }],
    ['this issuer as its aud', { aud: 'https://other.example' }],
    ['this issuer as its aud as well', { aud: [app.settings.ISSUER, 'https://other.example'] }],
    ['no exp', { exp: undefined }],
    ['expired', { exp: now - 60 }],
    ['an exp too far away', { exp: now + 3600 }],
    ['not valid yet', { nbf: now + 120 }],
    ['no jti', { jti: undefined }],
    ['an empty jti', { jti: '' }],
    ['a jti that is too long', { jti: 'x'.repeat(256) }],
  ]
  for (const [name, change] of bad) {
    const answer = await assert(await key.sign({ ...claims(), ...change }))
    t.match([answer.statusCode, answer.json().error], [401, 'invalid_client'], name)
    t.ok(answer.headers['www-authenticate'], name)
  }

  t.test('another key, another algorithm, no signature, no JWT', async (t) => {
    const good = await key.sign(claims())
    const [header, payload] = good.split('.')
    const none = Buffer.from('{"alg":"none"}').toString('base64url')
    for (const assertion of [
      await stranger.sign(claims()),
      await (await makeKey('two')).sign(claims()),
      `${none}.${payload}.`,
      `${header}.${payload}.AAAA`,
      'no.jwt.at-all',
      'nothing',
    ]) {
      const answer = await assert(assertion)
      t.match([answer.statusCode, answer.json().error], [401, 'invalid_client'], assertion)
    }
  })

  t.test('RFC 6749 section 2.3: beside other credentials, or incomplete', async (t) => {
    const refusals: [string, Parameters, number, string][] = [
      ['a secret', { client_secret: 'x' }, 400, 'invalid_request'],
      ['no type', { client_assertion_type: undefined }, 400, 'invalid_request'],
      ['another type', { client_assertion_type: 'saml' }, 400, 'invalid_request'],
      ['no assertion', { client_assertion: undefined }, 400, 'invalid_request'],
      ['another client_id', { client_id: other.client_id }, 401, 'invalid_client'],
    ]
    for (const [name, change, status, error] of refusals) {
      const answer = await assert(await key.sign(claims()), change)
      t.match([answer.statusCode, answer.json().error], [status, error], name)
    }
    t.equal((await assert(await key.sign(claims()), { client_id: site.client_id })).statusCode, 200)
  })

  t.test('of a disabled client', async (t) => {
    await app.registration.updateClient(site.client_id, { disabled_at: now })
    t.equal((await assert(await key.sign(claims()))).statusCode, 401)
  })
})

t.test('every advertised algorithm works', async (t) => {
  const keys = await Promise.all(
    CLIENT_ASSERTION_ALGORITHMS.map(async (alg) => ({ alg, key: await makeKey(alg, alg) })),
  )
  const [first] = keys
  if (first === undefined) return t.fail('there is none')
  const { app, site, claims, assert } = await setUp(t, first.key)
  await app.registration.updateClient(site.client_id, {
    jwks: { keys: keys.map(({ key }) => key.jwk) },
  })
  for (const { alg, key } of keys) {
    t.equal((await assert(await key.sign(claims()))).statusCode, 200, alg)
  }
  const metadata = (await app.inject({ url: '/.well-known/oauth-authorization-server' })).json()
  for (const endpoint of ['token', 'introspection', 'revocation']) {
    t.ok(metadata[`${endpoint}_endpoint_auth_methods_supported`].includes('private_key_jwt'))
    t.ok(metadata[`${endpoint}_endpoint_auth_signing_alg_values_supported`].includes('RS256'))
  }
})

t.test('RFC 7591 section 2: keys at jwks_uri, which may rotate', async (t) => {
  const web = await startWeb(t)
  const app = await build(t, {}, { clock, network: web.network })
  await createApi(app, { uri: 'https://api.example', scopes: ['read'] })
  const [old, next] = await Promise.all([makeKey('old'), makeKey('next')])
  web.serveJson('/jwks', { keys: [old.jwk] }, { 'cache-control': 'max-age=3600' })
  const { client_id } = await createSite(app, {
    token_endpoint_auth_method: 'private_key_jwt',
    jwks_uri: web.url('site.example', '/jwks'),
    grant_types: ['client_credentials'],
    redirect_uris: [],
    scope: 'read',
  })
  const assert = async (key: Key) =>
    await post(app, '/token', undefined, {
      grant_type: 'client_credentials',
      client_assertion_type: CLIENT_ASSERTION_TYPE,
      client_assertion: await key.sign(goodClaims(client_id, app.settings.ISSUER)),
    })

  t.equal((await assert(old)).statusCode, 200)
  t.equal((await assert(old)).statusCode, 200)
  t.equal(web.requests('/jwks'), 1, 'is kept')
  t.equal((await assert(next)).statusCode, 401)
  t.equal(web.requests('/jwks'), 1, 'is not fetched for every unknown key')

  clock.advance(31)
  web.serveJson('/jwks', { keys: [next.jwk] })
  t.equal((await assert(next)).statusCode, 200, 'is fetched again for an unknown key')
  t.equal(web.requests('/jwks'), 2)

  clock.advance(100_000)
  web.serve('/jwks', (_request, response) => response.writeHead(503).end())
  t.equal((await assert(next)).statusCode, 200, 'stands in while its host fails')
  web.serveJson('/jwks', 'no key set')
  clock.advance(61)
  t.equal((await assert(next)).statusCode, 401)
})

t.test('RFC 7591 section 2: keys that cannot be registered', async (t) => {
  const app = await build(t)
  const { jwk } = await makeKey('one')
  const method = 'private_key_jwt'
  const refusals: [string, Partial<NewClient>][] = [
    ['no keys', {}],
    ['both', { jwks: { keys: [jwk] }, jwks_uri: 'https://site.example/jwks' }],
    ['a private key', { jwks: { keys: [{ ...jwk, d: 'secret' }] } }],
    ['a symmetric key', { jwks: { keys: [{ kty: 'oct', k: 'secret' }] } }],
    ['http', { jwks_uri: 'http://site.example/jwks' }],
    ['no URL', { jwks_uri: '/jwks' }],
  ]
  for (const [name, given] of refusals) {
    const creation = createSite(app, { token_endpoint_auth_method: method, ...given })
    await t.rejects(creation, { code: 'invalid_client_metadata' }, name)
  }
})

t.test('RFC 7523 section 3: a key that cannot be used is the client’s fault', async (t) => {
  const key = await makeKey('one')
  const { app, site, claims, assert } = await setUp(t, key)
  const { x } = key.jwk
  const weak = { kty: 'RSA', kid: 'one', n: 'AQAB', e: 'AQAB' }
  for (const jwk of [
    { kty: 'EC', kid: 'one', crv: 'P-256', x },
    { kty: 'EC', kid: 'one', crv: 'P-256', x: 'AAAA', y: 'AAAA' },
    { kty: 'EC', kid: 'one', crv: 'P-999', x, y: x },
    { kty: 'nothing', kid: 'one' },
    { ...key.jwk, key_ops: ['sign'] },
    { ...key.jwk, ext: 'x', use: 'enc' },
    { ...key.jwk, kid: 7 },
    weak,
  ] as Record<string, unknown>[]) {
    await app.store.clients.update(site.client_id, { jwks: { keys: [jwk] } }, 0)
    const alg = jwk === weak ? 'RS256' : 'ES256'
    const [, ...rest] = (await key.sign(claims())).split('.')
    const header = Buffer.from(JSON.stringify({ alg, kid: 'one' })).toString('base64url')
    const answer = await assert([header, ...rest].join('.'))
    t.match([answer.statusCode, answer.json().error], [401, 'invalid_client'], JSON.stringify(jwk))
  }
})

t.test('RFC 6749 section 5.2: a database that is locked is no fault of the client', async (t) => {
  const DATABASE_URL = `sqlite:${t.testdir()}/auth-agent.db`
  const key = await makeKey('one')
  const web = await startWeb(t)
  const app = await build(t, { DATABASE_URL }, { clock, network: web.network })
  web.serveJson('/jwks', { keys: [key.jwk] })
  const given = { token_endpoint_auth_method: 'private_key_jwt' }
  const sites = [
    await createSite(app, { ...given, jwks_uri: web.url('site.example', '/jwks') }),
    await createSite(app, { ...given, jwks: { keys: [key.jwk] } }),
  ]
  const other = new Database(DATABASE_URL.slice('sqlite:'.length))
  other.exec('BEGIN IMMEDIATE')
  for (const { client_id } of sites) {
    const answers = await Promise.all(
      ['/token', '/introspect', '/revoke'].map(async (url) =>
        post(app, url, undefined, {
          token: 'x',
          grant_type: 'refresh_token',
          refresh_token: 'x',
          client_assertion_type: CLIENT_ASSERTION_TYPE,
          client_assertion: await key.sign(goodClaims(client_id, app.settings.ISSUER)),
        }),
      ),
    )
    for (const answer of answers) {
      t.match([answer.statusCode, answer.json().error], [503, 'temporarily_unavailable'])
      t.ok(answer.headers['retry-after'])
    }
  }
  other.exec('ROLLBACK')
  other.close()
})

for (const url of ['/token', '/introspect', '/revoke']) {
  t.test(`RFC 7523 section 5: failed assertions are slowed down at ${url}`, async (t) => {
    const [key, stranger] = await Promise.all([makeKey('one'), makeKey('one')])
    const settings = { THROTTLE_FAILURES: 3, THROTTLE_WINDOW: 60 }
    const app = await build(t, settings, { clock })
    const site = await createSite(app, {
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [key.jwk] },
    })
    const secretive = await createSite(app)
    const attempt = async (client_assertion: string, client_id?: string) =>
      await post(app, url, undefined, {
        token: 'x',
        grant_type: 'refresh_token',
        refresh_token: 'x',
        client_assertion_type: CLIENT_ASSERTION_TYPE,
        client_assertion,
        client_id,
      })
    const claims = (change: JWTPayload = {}) => ({
      ...goodClaims(site.client_id, app.settings.ISSUER),
      ...change,
    })
    const failures: [string, () => Promise<string>, string?][] = [
      ['another key', () => stranger.sign(claims()), site.client_id],
      ['an expired one', () => key.sign(claims({ exp: clock.now() - 60 })), site.client_id],
      ['no JWT', async () => 'nothing', site.client_id],
      ['no sub', () => key.sign(claims({ sub: undefined })), site.client_id],
      ['an unknown client', () => key.sign(claims({ sub: 'client_x' })), 'client_x'],
      ['a client without keys', () => key.sign(claims({ sub: secretive.client_id }))],
      ['nobody', async () => 'nothing'],
    ]
    for (const [name, make, client_id] of failures) {
      clock.advance(60)
      for (let times = 0; times < 3; times += 1) {
        t.equal((await attempt(await make(), client_id)).statusCode, 401, name)
      }
      const throttled = await attempt(await make(), client_id)
      t.equal(throttled.statusCode, 429, name)
      t.equal(throttled.headers['retry-after'], '60', name)
      const good = await attempt(await key.sign(claims()))
      t.notOk([401, 429].includes(good.statusCode), `${name}: the client itself is let through`)
    }
  })
}

t.test('RFC 7591 section 2: keys at jwks_uri may start with a byte order mark', async (t) => {
  const web = await startWeb(t)
  const app = await build(t, {}, { clock, network: web.network })
  const key = await makeKey('one')
  web.serve('/jwks', (_request, response) => {
    response.writeHead(200, { 'content-type': 'Application/JWK-Set+JSON ; charset=utf-8' })
    response.end(`\ufeff${JSON.stringify({ keys: [key.jwk] })}`)
  })
  const { client_id } = await createSite(app, {
    token_endpoint_auth_method: 'private_key_jwt',
    jwks_uri: web.url('site.example', '/jwks'),
  })
  const answer = await post(app, '/revoke', undefined, {
    token: 'x',
    client_assertion_type: CLIENT_ASSERTION_TYPE,
    client_assertion: await key.sign(goodClaims(client_id, app.settings.ISSUER)),
  })
  t.equal(answer.statusCode, 200, answer.body)
})

t.test('a clock that was set back does not hide the keys that a client rotated', async (t) => {
  const clock = new TestClock()
  const web = await startWeb(t)
  const app = await build(t, {}, { clock, network: web.network })
  const [old, next] = await Promise.all([makeKey('old'), makeKey('next')])
  const { client_id } = await createSite(app, {
    token_endpoint_auth_method: 'private_key_jwt',
    jwks_uri: web.url('site.example', '/jwks'),
  })
  const attempt = async (key: Key) => {
    const now = clock.now()
    const claims = { ...goodClaims(client_id, app.settings.ISSUER), iat: now, exp: now + 60 }
    return await post(app, '/revoke', undefined, {
      token: 'x',
      client_assertion_type: CLIENT_ASSERTION_TYPE,
      client_assertion: await key.sign(claims),
    })
  }
  web.serveJson('/jwks', { keys: [old.jwk] }, { 'cache-control': 'max-age=86400' })
  t.equal((await attempt(old)).statusCode, 200)
  clock.goBack(7200)
  web.serveJson('/jwks', { keys: [next.jwk] }, { 'cache-control': 'max-age=86400' })
  t.equal((await attempt(next)).statusCode, 200, 'the new key is seen')
  t.equal((await attempt(old)).statusCode, 401, 'and the old one is gone')
  t.equal(web.requests('/jwks'), 2, 'after one fetch')
})
