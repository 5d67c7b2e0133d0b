import type { FastifyInstance, LightMyRequestResponse } from 'fastify'
import { decodeProtectedHeader } from 'jose'
import t, { type Test } from 'tap'
import {
  authenticate,
  build,
  createAgent,
  createSite,
  encode,
  getCode,
  open,
  type Parameters,
  pkce,
  post,
  redeem,
  refresh,
  type Site,
  setUp,
  signIn,
  TestClock,
} from '../harness.ts'

function basic(client_id: string, client_secret = ''): Record<string, string> {
  return {
    authorization: `Basic ${Buffer.from(`${client_id}:${client_secret}`).toString('base64')}`,
  }
}

async function isActive(app: FastifyInstance, site: Site, token: string): Promise<boolean> {
  return (await post(app, '/introspect', site, { token })).json().active
}

function assertRefused(
  t: Test,
  response: LightMyRequestResponse,
  status: number,
  error: string,
  name: string,
) {
  t.equal(response.statusCode, status, `${name}: the status`)
  t.equal(response.headers['cache-control'], 'no-store', `${name}: not cached`)
  const body = response.json()
  const { error_uri, ...members } = body
  t.same(Object.keys(members), ['error', 'error_description'], `${name}: the members`)
  if (error_uri !== undefined) t.match(error_uri, /\/docs\/errors#[a-z-]+$/, `${name}: error_uri`)
  t.equal(body.error, error, `${name}: the error`)
  t.match(
    body.error_description,
    /^[\x20\x21\x23-\x5b\x5d-\x7e]{1,300}$/,
    `${name}: RFC 6749 section 5.2: the characters of error_description`,
  )
}

t.test(
  'RFC 6749 section 4.1.3: a redemption that is refused leaves the code as it was',
  async (t) => {
    const { app, site, agent } = await setUp(t)
    const other = await createSite(app)
    const open = await createSite(app, { token_endpoint_auth_method: 'none' })
    const code = await getCode(app, site, agent)
    const { client_id, client_secret = '' } = site
    const nameless = { client_id: undefined, client_secret: undefined }

    const refusals: [
      name: string,
      change: Parameters,
      status: number,
      error: string,
      more?: { as?: Site; headers?: Record<string, string> },
    ][] = [
      ['no grant_type', { grant_type: undefined }, 400, 'invalid_request'],
      ['an empty grant_type', { grant_type: '' }, 400, 'invalid_request'],
      [
        'grant_type twice',
        { grant_type: ['authorization_code', 'authorization_code'] },
        400,
        'invalid_request',
      ],
      ['an unknown grant_type', { grant_type: 'fish' }, 400, 'unsupported_grant_type'],
      ['a grant_type of quotes', { grant_type: '"\\\u00e9\r\n' }, 400, 'unsupported_grant_type'],
      ['a huge grant_type', { grant_type: 'x'.repeat(20_000) }, 400, 'unsupported_grant_type'],
      ['RFC 9700 section 2.4: password', { grant_type: 'password' }, 400, 'unsupported_grant_type'],
      ['no code', { code: undefined }, 400, 'invalid_request'],
      ['an empty code', { code: '' }, 400, 'invalid_request'],
      ['OAuth 2.1 section 3.2: code twice', { code: [code.code, 'x'] }, 400, 'invalid_request'],
      ['an unknown code', { code: 'ac_unknown' }, 400, 'invalid_grant'],
      ['a code cut short', { code: code.code.slice(0, -1) }, 400, 'invalid_grant'],
      ['a code with more', { code: `${code.code}A` }, 400, 'invalid_grant'],
      ['a code with padding', { code: `${code.code}=` }, 400, 'invalid_grant'],
      ['a code with a space', { code: `${code.code} ` }, 400, 'invalid_grant'],
      [
        'a code with another prefix',
        { code: code.code.replace('ac_', 'rt_') },
        400,
        'invalid_grant',
      ],
      ['a code with a NUL byte', { code: `${code.code}\0` }, 400, 'invalid_grant'],
      ['a code too long', { code: 'x'.repeat(10_000) }, 400, 'invalid_grant'],
      [
        'a code of ours with much more',
        { code: code.code + 'A'.repeat(50_000) },
        400,
        'invalid_grant',
      ],
      [
        'a redirect_uri too long',
        { redirect_uri: `https://a.example/${'x'.repeat(9000)}` },
        400,
        'invalid_grant',
      ],
      [
        'a resource too long',
        { resource: `https://a.example/${'x'.repeat(9000)}` },
        400,
        'invalid_target',
      ],
      ['a client_id too long', { client_id: 'c'.repeat(9000) }, 401, 'invalid_client'],
      ['OAuth 2.1 section 4.1.3: no verifier', { code_verifier: undefined }, 400, 'invalid_grant'],
      [
        'RFC 7636 section 4.6: another verifier',
        { code_verifier: pkce().code_verifier },
        400,
        'invalid_grant',
      ],
      [
        'RFC 7636 section 4.1: a short verifier',
        { code_verifier: 'short' },
        400,
        'invalid_request',
      ],
      [
        'RFC 7636 section 4.1: a long verifier',
        { code_verifier: 'x'.repeat(129) },
        400,
        'invalid_request',
      ],
      ['the verifier twice', { code_verifier: [code.code_verifier, 'x'] }, 400, 'invalid_request'],
      [
        'OAuth 2.1 section 10.2: another redirect_uri',
        { redirect_uri: 'https://site.example/other' },
        400,
        'invalid_grant',
      ],
      [
        'redirect_uri twice',
        { redirect_uri: [site.redirect_uri, site.redirect_uri] },
        400,
        'invalid_request',
      ],
      ['OAuth 2.1 section 4.1.3: another client', {}, 400, 'invalid_grant', { as: other }],
      ['a public client', {}, 400, 'invalid_grant', { as: open }],
      ['OAuth 2.1 section 3.2.1: no client', nameless, 401, 'invalid_client'],
      ['no secret', { client_secret: undefined }, 401, 'invalid_client'],
      ['an empty secret', { client_secret: '' }, 401, 'invalid_client'],
      ['a wrong secret', { client_secret: 'cs_wrong' }, 401, 'invalid_client'],
      ['a secret with more', { client_secret: `${client_secret}x` }, 401, 'invalid_client'],
      ['a secret with a NUL byte', { client_secret: `${client_secret}\0x` }, 401, 'invalid_client'],
      ['a huge secret', { client_secret: 'x'.repeat(50_000) }, 401, 'invalid_client'],
      ['the secret twice', { client_secret: [client_secret, 'x'] }, 400, 'invalid_request'],
      ['an unknown client', { client_id: 'client_unknown' }, 401, 'invalid_client'],
      ['client_id twice', { client_id: [client_id, client_id] }, 400, 'invalid_request'],
      [
        'a secret of another client',
        { client_secret: other.client_secret ?? '' },
        401,
        'invalid_client',
      ],
      ['a secret for a public client', { client_id: open.client_id }, 401, 'invalid_client'],
      [
        'OAuth 2.1 section 2.4: Basic and a secret in the body',
        {},
        400,
        'invalid_request',
        { headers: basic(client_id, client_secret) },
      ],
      [
        'Basic of another client than client_id',
        { client_secret: undefined, client_id: other.client_id },
        400,
        'invalid_request',
        { headers: basic(client_id, client_secret) },
      ],
      ...[
        ['a wrong secret in Basic', basic(client_id, 'wrong')],
        ['an unknown client in Basic', basic('client_unknown', client_secret)],
        ['no secret in Basic', basic(client_id)],
        ['no client in Basic', basic('', client_secret)],
        ['Basic that is not base64', { authorization: 'Basic ????' }],
        ['Basic without a colon', { authorization: `Basic ${btoa('nonsense')}` }],
        ['Basic with bad percent-encoding', basic('%ZZ', '%')],
        ['Basic with invalid UTF-8', { authorization: 'Basic //86//8=' }],
        ['Basic alone', { authorization: 'Basic' }],
        ['another scheme', { authorization: 'Bearer x' }],
        ['an empty header', { authorization: '' }],
      ].map(([name, headers]): (typeof refusals)[number] => [
        String(name),
        nameless,
        401,
        'invalid_client',
        { headers: headers as Record<string, string> },
      ]),
    ]
    for (const [name, change, status, error, { as = site, headers = {} } = {}] of refusals) {
      const parameters = { grant_type: 'authorization_code', ...code, ...change }
      const response = await post(app, '/token', as, parameters, headers)
      assertRefused(t, response, status, error, name)
      if (status === 401) {
        t.match(
          response.headers['www-authenticate'],
          /^Basic realm="/,
          `${name}: OAuth 2.1 section 3.2.4: a challenge`,
        )
      }
    }
    const { client_id: id, client_secret: secret, ...rest } = { ...site, ...code }
    const inQuery = await app.inject({
      method: 'POST',
      url: `/token?${encode({ client_id: id, client_secret: secret })}`,
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload: encode({ grant_type: 'authorization_code', ...rest }),
    })
    assertRefused(t, inQuery, 401, 'invalid_client', 'OAuth 2.1 section 2.4.1: secrets in the URI')

    t.equal((await redeem(app, site, code)).statusCode, 200, 'the good request still works')
  },
)

t.test('RFC 6749 section 5.1: the token answer', async (t) => {
  const { app, site, agent } = await setUp(t)
  const code = await getCode(app, site, agent)
  const response = await redeem(app, site, code, { redirect_uri: site.redirect_uri, foo: '1' })
  t.equal(response.statusCode, 200)
  t.match(response.headers['content-type'], 'application/json')
  t.equal(response.headers['cache-control'], 'no-store', 'OAuth 2.1 section 3.2.3')
  t.match(response.json(), {
    access_token: /^[\w-]+\.[\w-]+\.[\w-]+$/,
    token_type: 'Bearer',
    expires_in: 3600,
    refresh_token: /^rt_/,
    scope: 'email',
  })
})

t.test('OAuth 2.1 section 2.4.1: a client may authenticate in the body or by Basic', async (t) => {
  const { app, site, agent } = await setUp(t)
  const { client_id, client_secret = '' } = site
  const nameless = { client_id: undefined, client_secret: undefined }
  const encoded = (text: string) =>
    encodeURIComponent(text).replace(/[-_.~]/g, (c) => `%${c.charCodeAt(0).toString(16)}`)
  const ways: [name: string, change: Parameters, headers: Record<string, string>][] = [
    ['client_secret_post', {}, {}],
    ['client_secret_basic', nameless, basic(client_id, client_secret)],
    ['basic, form-urlencoded', nameless, basic(encoded(client_id), encoded(client_secret))],
    ['basic and the same client_id', { client_secret: undefined }, basic(client_id, client_secret)],
    [
      'the scheme in another case (RFC 9110 section 11.1)',
      nameless,
      {
        authorization:
          basic(client_id, client_secret).authorization?.replace('Basic', 'bAsIc') ?? '',
      },
    ],
  ]
  for (const [name, change, headers] of ways) {
    const code = await getCode(app, site, agent)
    const parameters = { grant_type: 'authorization_code', ...code, ...change }
    t.equal((await post(app, '/token', site, parameters, headers)).statusCode, 200, name)
  }
})

t.test('JSON bodies say the same as forms, and empty members count as absent', async (t) => {
  const { app, site, agent } = await setUp(t)
  const { client_id, client_secret } = site
  const change = { redirect_uri: '', scope: '' }
  const redeemed = await app.inject({
    method: 'POST',
    url: '/token',
    payload: {
      grant_type: 'authorization_code',
      ...(await getCode(app, site, agent)),
      client_id,
      client_secret,
      ...change,
    },
  })
  t.equal(redeemed.statusCode, 200)
  const { refresh_token } = redeemed.json()
  const payload = {
    grant_type: 'refresh_token',
    refresh_token,
    client_id,
    client_secret,
    ...change,
  }
  t.equal((await app.inject({ method: 'POST', url: '/token', payload })).statusCode, 200)
})

t.test('OAuth 2.1 section 8.1: a public client signs in by PKCE alone and refreshes', async (t) => {
  const app = await build(t)
  const site = await createSite(app, { token_endpoint_auth_method: 'none' })
  const { refresh_token } = await signIn(app, site, await createAgent(app))
  t.equal((await refresh(app, site, refresh_token)).statusCode, 200)
})

t.test('OAuth 2.1 section 3.2.1: the id of a confidential client alone is nothing', async (t) => {
  const { app, site, agent } = await setUp(t)
  const { refresh_token } = await signIn(app, site, agent)
  const asPublic = { ...site, client_secret: undefined }
  assertRefused(t, await refresh(app, asPublic, refresh_token), 401, 'invalid_client', 'no secret')
  t.equal((await refresh(app, site, refresh_token)).statusCode, 200)
})

t.test('OAuth 2.1 section 3.2: the endpoint is POST only', async (t) => {
  const app = await build(t)
  for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE'] as const) {
    const response = await app.inject({ method, url: '/token' })
    t.equal(response.statusCode, 405, method)
    t.equal(response.headers.allow, 'POST', method)
  }
})

t.test('OAuth 2.1 section 4.1.2: a code dies after AUTHORIZATION_CODE_TTL', async (t) => {
  const { app, clock, site, agent } = await setUp(t)
  const last = await getCode(app, site, agent)
  clock.advance(app.settings.AUTHORIZATION_CODE_TTL - 1)
  t.equal((await redeem(app, site, last)).statusCode, 200, 'in its last second')
  const late = await getCode(app, site, agent)
  clock.advance(app.settings.AUTHORIZATION_CODE_TTL)
  assertRefused(t, await redeem(app, site, late), 400, 'invalid_grant', 'after it')
})

t.test(
  'OAuth 2.1 section 4.1.3: a second use of a code is refused and revokes its tokens',
  async (t) => {
    const { app, site, agent } = await setUp(t)
    const code = await getCode(app, site, agent)
    const first = (await redeem(app, site, code)).json()
    const refreshed = (await refresh(app, site, first.refresh_token)).json()
    t.equal(await isActive(app, site, first.access_token), true)

    for (const change of [
      { code_verifier: pkce().code_verifier },
      { redirect_uri: 'https://x/' },
    ]) {
      assertRefused(t, await redeem(app, site, code, change), 400, 'invalid_grant', 'not its owner')
      t.equal(await isActive(app, site, first.access_token), true, 'an invalid use revokes nothing')
    }

    assertRefused(t, await redeem(app, site, code), 400, 'invalid_grant', 'the replay')
    for (const token of [first.access_token, refreshed.access_token, refreshed.refresh_token]) {
      t.equal(await isActive(app, site, token), false)
    }
    assertRefused(
      t,
      await refresh(app, site, refreshed.refresh_token),
      400,
      'invalid_grant',
      'dead',
    )
  },
)

t.test('RFC 9068 section 2: the access token is a JWT that says who acts for whom', async (t) => {
  const { app, site, agent } = await setUp(t)
  const { access_token } = await signIn(app, site, agent, { scope: 'openid' })
  t.match(decodeProtectedHeader(access_token), { typ: 'at+jwt', alg: 'ES256', kid: /./ })
  const claims = JSON.parse(Buffer.from(access_token.split('.')[1] ?? '', 'base64url').toString())
  t.match(claims, {
    iss: app.settings.ISSUER,
    aud: app.settings.ISSUER,
    sub: agent.agent_id,
    client_id: site.client_id,
    scope: 'openid',
    model: 'test-model',
    jti: /^at_[\w-]{36}$/,
  })
  t.equal(claims.exp - claims.iat, 3600)
})

t.test('OAuth 2.1 section 4.3: a refresh that is refused leaves the token as it was', async (t) => {
  const { app, site, agent } = await setUp(t)
  const other = await createSite(app)
  const { refresh_token = '' } = await signIn(app, site, agent)

  const refusals: [name: string, change: Parameters, status: number, error: string, as?: Site][] = [
    ['no token', { refresh_token: undefined }, 400, 'invalid_request'],
    ['an empty token', { refresh_token: '' }, 400, 'invalid_request'],
    ['the token twice', { refresh_token: [refresh_token, 'x'] }, 400, 'invalid_request'],
    ['an unknown token', { refresh_token: 'rt_unknown' }, 400, 'invalid_grant'],
    ['a token cut short', { refresh_token: refresh_token.slice(0, -1) }, 400, 'invalid_grant'],
    ['a token with more', { refresh_token: `${refresh_token}A` }, 400, 'invalid_grant'],
    [
      'a token with another prefix',
      { refresh_token: refresh_token.replace('rt_', 'ac_') },
      400,
      'invalid_grant',
    ],
    ['another client (section 4.3.1)', {}, 400, 'invalid_grant', other],
    ['a wider scope (section 4.3.1)', { scope: 'email openid' }, 400, 'invalid_scope'],
    ['a scope of spaces', { scope: '  ' }, 400, 'invalid_scope'],
    ['scope twice', { scope: ['email', 'email'] }, 400, 'invalid_request'],
    ['a wrong secret', { client_secret: 'cs_wrong' }, 401, 'invalid_client'],
    ['no secret', { client_secret: undefined }, 401, 'invalid_client'],
  ]
  for (const [name, change, status, error, as = site] of refusals) {
    assertRefused(t, await refresh(app, as, refresh_token, change), status, error, name)
  }
  t.equal((await refresh(app, site, refresh_token)).statusCode, 200, 'the good request still works')
})

t.test(
  'OAuth 2.1 section 4.3.1: a refresh narrows the scope of the access token alone',
  async (t) => {
    const { app, site, agent } = await setUp(t)
    const tokens = await signIn(app, site, agent, { scope: 'openid email' })
    const narrow = (await refresh(app, site, tokens.refresh_token, { scope: 'email' })).json()
    t.equal(narrow.scope, 'email')
    const { scope } = (await post(app, '/introspect', site, { token: narrow.access_token })).json()
    t.equal(scope, 'email')
    const whole = (await refresh(app, site, narrow.refresh_token)).json()
    t.equal(whole.scope, 'openid email', 'OAuth 2.1 section 4.3.2: the refresh token keeps it all')
  },
)

t.test(
  'RFC 9700 section 4.14.2: use of a rotated refresh token ends the whole family',
  async (t) => {
    const { app, site, agent } = await setUp(t)
    const other = await createSite(app)
    const first = await signIn(app, site, agent)
    const second = (await refresh(app, site, first.refresh_token)).json()
    t.not(second.refresh_token, first.refresh_token)
    assertRefused(
      t,
      await refresh(app, other, first.refresh_token),
      400,
      'invalid_grant',
      'a stranger',
    )
    t.equal(await isActive(app, site, second.access_token), true, 'a stranger ends nothing')

    assertRefused(
      t,
      await refresh(app, site, first.refresh_token),
      400,
      'invalid_grant',
      'the reuse',
    )
    assertRefused(
      t,
      await refresh(app, site, second.refresh_token),
      400,
      'invalid_grant',
      'the heir',
    )
    t.equal(await isActive(app, site, first.access_token), false)
    t.equal(await isActive(app, site, second.access_token), false)
  },
)

t.test(
  'RFC 9700 section 4.14.2: a refresh token that is not used dies; use renews it',
  async (t) => {
    const clock = new TestClock()
    const app = await build(t, { REFRESH_TOKEN_TTL: 100 }, { clock })
    const site = await createSite(app)
    const first = await signIn(app, site, await createAgent(app))
    clock.advance(99)
    const second = (await refresh(app, site, first.refresh_token)).json()
    clock.advance(99)
    const third = (await refresh(app, site, second.refresh_token)).json()
    clock.advance(100)
    assertRefused(t, await refresh(app, site, third.refresh_token), 400, 'invalid_grant', 'unused')
  },
)

t.test('RFC 9700 section 4.14.2: a client without the grant gets no refresh token', async (t) => {
  const app = await build(t)
  const site = await createSite(app, { grant_types: ['authorization_code'] })
  const agent = await createAgent(app)
  t.equal((await signIn(app, site, agent)).refresh_token, undefined)

  const able = await createSite(app)
  const { refresh_token } = await signIn(app, able, agent)
  assertRefused(t, await refresh(app, site, refresh_token), 400, 'unauthorized_client', 'refresh')
})

t.test('two sign-ins of one agent at one client are independent', async (t) => {
  const { app, site, agent } = await setUp(t)
  const [one, two] = [await signIn(app, site, agent), await signIn(app, site, agent)]
  await post(app, '/revoke', site, { token: one.refresh_token })
  t.equal(await isActive(app, site, one.access_token), false)
  t.equal(await isActive(app, site, two.access_token), true)
})

t.test('OAuth 2.1 section 1.4: no token, code or request id repeats', async (t) => {
  const app = await build(t)
  const site = await createSite(app, { token_endpoint_auth_method: 'none' })
  const agent = await createAgent(app)
  const seen: string[] = []
  for (let i = 0; i < 100; i++) {
    const { request_id, code_verifier } = await open(app, site)
    const { redirect_to } = (await authenticate(app, request_id, agent)).json()
    const code = new URL(redirect_to).searchParams.get('code') ?? ''
    const { access_token, refresh_token } = (
      await redeem(app, site, { code, code_verifier })
    ).json()
    seen.push(request_id, code, access_token, refresh_token)
  }
  t.equal(new Set(seen).size, 400)
  for (const token of seen) t.ok(token.replace(/^\w+?_/, '').length * 6 >= 160, '160 bits')
})
