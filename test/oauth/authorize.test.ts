import type { FastifyInstance } from 'fastify'
import t from 'tap'
import {
  authenticate,
  authorize,
  authorizeQuery,
  build,
  createAgent,
  createSite,
  encode,
  getCode,
  open,
  type Parameters,
  pkce,
  redeem,
  type Site,
  setUp,
  signIn,
} from '../harness.ts'

const { code_challenge } = pkce()

function ask(app: FastifyInstance, site: Site, change: Parameters = {}, headers = {}) {
  return authorize(app, authorizeQuery(site, code_challenge, change), headers)
}

t.test(
  'RFC 6749 section 4.1.2.1: what is wrong with the client or redirect URI is never redirected',
  async (t) => {
    const app = await build(t)
    const site = await createSite(app, { redirect_uris: ['https://site.example/callback'] })
    const two = await createSite(app, {
      redirect_uris: ['https://site.example/a', 'https://site.example/b'],
    })
    const disabled = await createSite(app)
    await app.store.clients.update(disabled.client_id, { disabled_at: 1 }, app.clock.now())

    const refusals: [name: string, site: Site, change: Parameters][] = [
      ['no client_id', site, { client_id: undefined }],
      ['an empty client_id', site, { client_id: '' }],
      ['an unknown client_id', site, { client_id: 'client_unknown' }],
      ['a client_id twice', site, { client_id: [site.client_id, site.client_id] }],
      ['a client_id with a NUL byte', site, { client_id: `${site.client_id}\0` }],
      ['a client_id too long', site, { client_id: 'c'.repeat(4000) }],
      ['a disabled client', disabled, {}],
      ['a redirect_uri twice', site, { redirect_uri: [site.redirect_uri, site.redirect_uri] }],
      ['no redirect_uri of several (OAuth 2.1 section 2.3.2)', two, { redirect_uri: undefined }],
      ...[
        'https://evil.example/callback',
        'https://site.example/Callback',
        'https://SITE.example/callback',
        'https://site.example/callback/',
        'https://site.example/callback?x=1',
        'https://site.example/callback#x',
        'https://site.example/%63allback',
        'https://site.example/callback%2F',
        'https://site.example/x/../callback',
        'https://site.example:443/callback',
        'https://site.example:8443/callback',
        'https://user@site.example/callback',
        'https://site.example@evil.example/callback',
        'https://site.example.evil.example/callback',
        'http://site.example/callback',
        '//site.example/callback',
        '/callback',
        ' https://site.example/callback',
        'javascript:alert(1)',
        'data:text/html,x',
      ].map((redirect_uri): [string, Site, Parameters] => [redirect_uri, site, { redirect_uri }]),
    ]
    for (const [name, of, change] of refusals) {
      const response = await ask(app, of, change)
      t.equal(response.statusCode, 400, name)
      t.equal(response.headers.location, undefined, `${name}: no Location`)
      t.match(response.headers['content-type'], 'text/html', `${name}: a page`)
      t.notMatch(response.body, 'req_', `${name}: no request`)

      const json = await ask(app, of, change, { accept: 'application/json' })
      t.equal(json.statusCode, 400, `${name}: as JSON`)
      t.equal(json.json().error, 'invalid_request', `${name}: as JSON`)
    }
    t.equal((await ask(app, site)).statusCode, 200, 'the good request still works')
  },
)

t.test(
  'RFC 6749 section 4.1.2.1: other errors go to the redirect URI, with state and iss',
  async (t) => {
    const { app, site } = await setUp(t)
    const machine = await createSite(app, { grant_types: ['client_credentials'] })

    const refusals: [name: string, change: Parameters, error: string, of?: Site][] = [
      ['no response_type', { response_type: undefined }, 'invalid_request'],
      ['an empty response_type', { response_type: '' }, 'invalid_request'],
      ['response_type twice', { response_type: ['code', 'code'] }, 'invalid_request'],
      [
        'OAuth 2.1 section 4.1.1: an unknown response_type',
        { response_type: 'fish' },
        'unsupported_response_type',
      ],
      [
        'RFC 9700 section 2.1.2: the implicit grant',
        { response_type: 'token' },
        'unsupported_response_type',
      ],
      ['a hybrid', { response_type: 'code id_token' }, 'unsupported_response_type'],
      [
        'OAuth 2.1 section 7.5.1: no code_challenge',
        { code_challenge: undefined },
        'invalid_request',
      ],
      ['an empty code_challenge', { code_challenge: '' }, 'invalid_request'],
      ['code_challenge twice', { code_challenge: [code_challenge, 'x'] }, 'invalid_request'],
      ['a short code_challenge', { code_challenge: 'short' }, 'invalid_request'],
      ['a padded code_challenge', { code_challenge: `${code_challenge}=` }, 'invalid_request'],
      [
        'a code_challenge of other characters',
        { code_challenge: `${code_challenge.slice(1)}+` },
        'invalid_request',
      ],
      [
        'OAuth 2.1 section 4.1.2.1: the method plain',
        { code_challenge_method: 'plain' },
        'invalid_request',
      ],
      [
        'RFC 7636 section 4.3: no method, which means plain',
        { code_challenge_method: undefined },
        'invalid_request',
      ],
      ['another case of the method', { code_challenge_method: 's256' }, 'invalid_request'],
      ['RFC 6749 section 3.3: an unknown scope', { scope: 'admin' }, 'invalid_scope'],
      ['a scope of spaces', { scope: '   ' }, 'invalid_scope'],
      ['scope twice', { scope: ['email', 'openid'] }, 'invalid_request'],
      ['a scope too long', { scope: 'email '.repeat(200) }, 'invalid_request'],
      ['nonce twice', { nonce: ['a', 'b'] }, 'invalid_request'],
      ['a client without the grant', {}, 'unauthorized_client', machine],
    ]
    for (const [name, change, error, of = site] of refusals) {
      const state = 's &=#%+\u00e9'
      const response = await ask(app, of, { state, ...change })
      t.equal(response.statusCode, 303, `${name}, RFC 9700 section 4.12: never 307`)
      const location = new URL(String(response.headers.location))
      t.equal(location.origin + location.pathname, site.redirect_uri, `${name}: where`)
      t.equal(location.searchParams.get('error'), error, `${name}: the error`)
      t.equal(location.searchParams.get('state'), state, `${name}: the state`)
      t.equal(
        location.searchParams.get('iss'),
        app.settings.ISSUER,
        `${name}: iss (RFC 9207 section 2)`,
      )
      t.equal(location.searchParams.get('code'), null, `${name}: no code`)
      t.match(
        location.searchParams.get('error_description'),
        /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/,
        `${name}: RFC 6749 section 4.1.2.1: the characters of error_description`,
      )
      t.equal(response.headers['cache-control'], 'no-store', `${name}: not cached`)

      const json = await ask(app, of, change, { accept: 'application/json' })
      t.equal(json.statusCode, 400, `${name}: as JSON`)
      t.equal(json.json().error, error, `${name}: as JSON`)
    }
    t.equal((await ask(app, site)).statusCode, 200, 'the good request still works')
  },
)

t.test('RFC 6749 section 4.1.2.1: a repeated state is refused and none is sent back', async (t) => {
  const { app, site } = await setUp(t)
  const { headers } = await ask(app, site, { state: ['a', 'b'] })
  const { searchParams } = new URL(String(headers.location))
  t.equal(searchParams.get('error'), 'invalid_request')
  t.equal(searchParams.has('state'), false)
})

t.test(
  'OAuth 2.1 section 3.1: unknown parameters are ignored and empty ones count as absent',
  async (t) => {
    const { app, site, agent } = await setUp(t)
    const tokens = await signIn(app, site, agent, {
      foo: '1',
      bar: ['1', '2'],
      scope: '',
      nonce: '',
      __proto__: undefined,
    })
    t.equal(tokens.scope, 'email', 'OAuth 2.1 section 1.4.1: the default scope, told')
  },
)

t.test(
  'OAuth 2.1 section 3.2.3: a scope that differs from the requested one is in the answer',
  async (t) => {
    const { app, site, agent } = await setUp(t)
    const { scope } = await signIn(app, site, agent, { scope: 'email admin openid' })
    t.equal(scope, 'email openid')
  },
)

t.test('OAuth 2.1 section 8.4.2: a loopback redirect URI may have any port', async (t) => {
  const app = await build(t)
  const agent = await createAgent(app)
  const allowed: [registered: string, requested: string][] = [
    ['http://127.0.0.1/cb', 'http://127.0.0.1:51234/cb'],
    ['http://[::1]/cb', 'http://[::1]:9/cb'],
    ['http://localhost/cb', 'http://localhost:9/cb'],
    ['http://localhost:3000/cb', 'http://localhost:3001/cb'],
    ['http://localhost:3000/cb', 'http://localhost/cb'],
    ['http://127.0.0.1/?x=1', 'http://127.0.0.1:8/?x=1'],
    ['http://127.0.0.2/cb', 'http://127.0.0.2:8/cb'],
  ]
  for (const [registered, requested] of allowed) {
    const site = await createSite(app, {
      redirect_uris: [registered],
      token_endpoint_auth_method: 'none',
    })
    const code = await getCode(app, site, agent, { redirect_uri: requested })
    const response = await redeem(app, site, code, { redirect_uri: requested })
    t.equal(response.statusCode, 200, `${registered} allows ${requested}`)
  }

  const refused: [registered: string, requested: string][] = [
    ['http://127.0.0.1/cb', 'http://127.0.0.1:51234/other'],
    ['http://127.0.0.1/cb', 'http://localhost:51234/cb'],
    ['http://127.0.0.1/cb', 'http://127.0.0.2:1/cb'],
    ['http://127.0.0.1/cb', 'https://127.0.0.1:1/cb'],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:99999/cb'],
    ['http://127.0.0.1/cb', 'http://127.0.0.1:1@evil.example/cb'],
    ['http://127.0.0.1/cb', 'http://127.0.0.1.evil.example/cb'],
    ['http://localhost/cb', 'http://localhost:80.evil.example/cb'],
    ['http://localhost/cb', 'http://localhost:/cb?x'],
    ['http://localhost/cb', 'http://localhost:1\\@evil.example/cb'],
  ]
  for (const [registered, requested] of refused) {
    const site = await createSite(app, {
      redirect_uris: [registered],
      token_endpoint_auth_method: 'none',
    })
    const response = await ask(app, site, { redirect_uri: requested })
    t.equal(response.statusCode, 400, `${registered} does not allow ${requested}`)
  }
})

t.test(
  'OAuth 2.1 section 2.3.2: the only redirect URI of a client need not be named',
  async (t) => {
    const { app, site, agent } = await setUp(t)
    const code = await getCode(app, site, agent, { redirect_uri: undefined })
    t.equal((await redeem(app, site, code)).statusCode, 200)
  },
)

t.test('OAuth 2.1 section 2.3: the query of a redirect URI is kept', async (t) => {
  const app = await build(t)
  const site = await createSite(app, { redirect_uris: ['https://site.example/cb?x=1'] })
  const agent = await createAgent(app)
  const { request_id } = await open(app, site)
  const { redirect_to } = (await authenticate(app, request_id, agent)).json()
  t.match(redirect_to, /^https:\/\/site\.example\/cb\?x=1&code=/)
  t.equal(redirect_to.split('?').length, 2)

  const failed = await ask(app, site, { response_type: 'token' })
  t.match(failed.headers.location, /^https:\/\/site\.example\/cb\?x=1&error=/)
})

t.test('OAuth 2.1 section 4.1.2: the state comes back as it was sent, and only then', async (t) => {
  const { app, site, agent } = await setUp(t)
  const states = [
    '&=#%+ \u00e9\u{1f600}"\'<script>',
    '%41',
    'a\r\nSet-Cookie: x',
    '\0',
    '$'.repeat(4000),
    `{"a":"\${1}"}`,
  ]
  for (const state of states) {
    const { request_id } = await open(app, site, { state })
    const { redirect_to } = (await authenticate(app, request_id, agent)).json()
    t.equal(new URL(redirect_to).searchParams.get('state'), state)
    t.match(redirect_to, /^[\x21-\x7e]+$/)
  }
  const { request_id } = await open(app, site, { state: undefined })
  const { redirect_to } = (await authenticate(app, request_id, agent)).json()
  t.equal(new URL(redirect_to).searchParams.has('state'), false)
  t.equal(new URL(redirect_to).searchParams.get('iss'), app.settings.ISSUER, 'RFC 9207 section 2')
})

t.test('OAuth 2.1 section 4.1.2: neither the page nor the code shows the challenge', async (t) => {
  const { app, site, agent } = await setUp(t)
  const page = await ask(app, site)
  t.notMatch(page.body, code_challenge)
  const [, request_id = ''] = page.body.match(/request_id: '(req_[\w-]+)'/) ?? []
  const { redirect_to } = (await authenticate(app, request_id, agent)).json()
  const code = new URL(redirect_to).searchParams.get('code') ?? ''
  t.notMatch(code, code_challenge)
  t.notMatch(Buffer.from(code.slice(3), 'base64url').toString('latin1'), code_challenge)
})

t.test(
  'OAuth 2.1 section 7.10: no page can be framed, cached or made to load anything foreign',
  async (t) => {
    const { app, site } = await setUp(t)
    const pages = [await ask(app, site), await ask(app, site, { client_id: 'client_unknown' })]
    for (const { headers, body } of pages) {
      const policy = String(headers['content-security-policy'])
      t.match(policy, "frame-ancestors 'none'")
      t.match(policy, "default-src 'none'")
      t.notMatch(policy, 'unsafe')
      t.notMatch(policy, 'http', 'no foreign origin is allowed')
      t.equal(headers['x-frame-options'], 'DENY')
      t.equal(headers['x-content-type-options'], 'nosniff')
      t.equal(headers['referrer-policy'], 'no-referrer', 'RFC 9700 section 4.2.4')
      t.equal(headers['cache-control'], 'no-store')
      t.notMatch(
        body,
        /(?:src|href|action)=["']?(?:https?:)?\/\//,
        'RFC 9700 section 4.2.4: nothing foreign',
      )
      t.notMatch(body, 'postMessage', 'RFC 9700 section 4.17')
    }
    t.not(
      pages[0]?.headers['content-security-policy'],
      (await ask(app, site)).headers['content-security-policy'],
      'the nonce is used once',
    )
  },
)

t.test('OAuth 2.1 section 7.11: hostile names and parameters are inert on the page', async (t) => {
  const app = await build(t)
  const hostile = `"><script>alert(1)</script>'\${1}</title><img src=x onerror=y>`
  const site = await createSite(app, { client_name: hostile })
  for (const change of [{}, { client_id: hostile }, { state: hostile, nonce: hostile }]) {
    const { body } = await ask(app, site, change)
    t.notMatch(body, '<script>alert')
    t.notMatch(body, '<img')
  }
})

t.test(
  'the page tells agent libraries the request, in the three places where they look',
  async (t) => {
    const app = await build(t)
    const site = await createSite(app, { client_name: 'A & B' })
    const { body, headers } = await ask(app, site)
    const [, script] = body.match(/window\.authRequest = \{([^}]*)/) ?? []
    const [, request_id] = script?.match(/request_id:\s*['"](req_[\w-]+)['"]/) ?? []
    t.ok(request_id)
    t.match(body, `<meta name="request-id" content="${request_id}">`)
    t.match(body, `data-request-id="${request_id}"`)
    t.match(body, /A &(amp|#38); B/, 'the name of the website')
    t.match(body, 'site.example', 'the host that it returns to')
    t.match(headers['set-cookie'], /^auth-agent=[\w-]{43}; .*HttpOnly.*SameSite=Lax/i)
  },
)

t.test('an https issuer gives the cookie the __Host- prefix and Secure', async (t) => {
  const { app, site } = await setUp(t, { ISSUER: 'https://auth.example' })
  const { headers } = await ask(app, site)
  t.match(headers['set-cookie'], /^__Host-auth-agent=[\w-]{43}; .*Path=\/;.*Secure/)
})

t.test(
  'the cookie outlives the code of a request that is authenticated at the last moment',
  async (t) => {
    const { app, site } = await setUp(t)
    const [, seconds] =
      String((await ask(app, site)).headers['set-cookie']).match(/Max-Age=(\d+)/) ?? []
    const { AUTHORIZATION_REQUEST_TTL, AUTHORIZATION_CODE_TTL } = app.settings
    t.ok(Number(seconds) >= AUTHORIZATION_REQUEST_TTL + AUTHORIZATION_CODE_TTL)
  },
)

t.test('two tabs of one browser share the cookie; a forged one is replaced', async (t) => {
  const { app, site } = await setUp(t)
  const { cookie } = await open(app, site)
  const again = await ask(app, site, {}, { cookie })
  t.match(String(again.headers['set-cookie']), cookie)
  const forged = await ask(app, site, {}, { cookie: 'auth-agent=%ZZ"; auth-agent=short' })
  t.match(String(forged.headers['set-cookie']), /^auth-agent=[\w-]{43};/)
})

t.test('an agent without a browser gets the same facts as JSON', async (t) => {
  const { app, site } = await setUp(t)
  const response = await app.inject({
    url: `/authorize?${encode(authorizeQuery(site, code_challenge))}`,
    headers: { accept: 'application/json' },
  })
  t.match(response.json(), {
    request_id: /^req_/,
    client_id: site.client_id,
    client_name: 'Example Site',
    redirect_host: 'site.example',
    scope: 'email',
    expires_in: 600,
    authenticate_endpoint: `${app.settings.ISSUER}/api/agent/authenticate`,
    check_status_endpoint: `${app.settings.ISSUER}/api/check-status`,
  })
  t.equal(response.headers['cache-control'], 'no-store')
  t.equal(response.headers['set-cookie'], undefined)
})

t.test('OAuth 2.1 section 3.1: no script of another origin may read /authorize', async (t) => {
  const { app, site } = await setUp(t)
  const url = `/authorize?${encode(authorizeQuery(site, code_challenge))}`
  const origin = 'https://evil.example'
  const get = await app.inject({ url, headers: { origin } })
  const preflight = await app.inject({
    method: 'OPTIONS',
    url,
    headers: { origin, 'access-control-request-method': 'GET' },
  })
  for (const { headers } of [get, preflight]) {
    t.equal(headers['access-control-allow-origin'], undefined)
  }
})

t.test('HEAD, PUT, PATCH and DELETE are 405 with Allow', async (t) => {
  const { app, site } = await setUp(t)
  const url = `/authorize?${encode(authorizeQuery(site, code_challenge))}`
  for (const method of ['HEAD', 'PUT', 'PATCH', 'DELETE'] as const) {
    const response = await app.inject({ method, url })
    t.equal(response.statusCode, 405, method)
    t.equal(response.headers.allow, 'GET, POST', method)
  }
})

t.test('OAuth 2.1 section 1.4: ten thousand identifiers never repeat', async (t) => {
  const { newId, newSecret } = await import('../../plugins/core/crypto/secrets.ts')
  const seen = new Set<string>()
  for (let i = 0; i < 10_000; i++) seen.add(newId('req_')).add(newSecret('cs_'))
  t.equal(seen.size, 20_000)
  t.ok(Buffer.from(newId('req_').slice(4), 'base64url').length >= 20, '160 bits')
  t.equal(Buffer.from(newSecret('cs_').slice(3), 'base64url').length, 32, '256 bits')
})

t.test('a posted request of anything but text is refused', async (t) => {
  const app = await build(t)
  for (const payload of [{ state: { toString: 1 } }, { state: 1 }, { client_id: [[{}]] }, []]) {
    const response = await app.inject({ method: 'POST', url: '/authorize', payload })
    t.equal(response.statusCode, 400, JSON.stringify(payload))
  }
})

t.test('RFC 7636 section 4.4.1: the log says which website sends no challenge', async (t) => {
  const lines: Record<string, unknown>[] = []
  const write = (line: string) => void lines.push(JSON.parse(line))
  const app = await build(t, { LOG_LEVEL: 'info' }, { logStream: { write } })
  const site = await createSite(app)
  const refusals = () =>
    lines.filter(({ msg }) => /authorization request refused/.test(String(msg)))
  const rows: [change: Parameters, cause: RegExp, anchor?: string][] = [
    [{ code_challenge: undefined }, /code_challenge is required: turn on PKCE with S256/, 'pkce'],
    [{ code_challenge_method: undefined }, /code_challenge_method must be S256/, 'pkce'],
    [{ code_challenge_method: 'plain' }, /code_challenge_method must be S256/, 'pkce'],
    [{ scope: 'secret-scope' }, /No part of this scope can be granted/],
  ]
  for (const [change, cause, anchor] of rows) {
    for (const accept of ['text/html', 'application/json']) {
      await authorize(app, authorizeQuery(site, code_challenge, change), { accept })
      const line = refusals().at(-1)
      t.match(line, { level: 30, client_id: site.client_id, msg: cause }, String(cause))
      if (anchor !== undefined) t.match(line?.error_uri, `/docs/errors#${anchor}`)
      t.notMatch(JSON.stringify(line), /secret-scope|the state/, 'nothing of the query')
    }
  }
  const before = refusals().length
  t.equal(before, 2 * rows.length)
  await authorize(app, authorizeQuery(site, code_challenge))
  await authorize(app, authorizeQuery({ ...site, client_id: 'client_unknown' }, code_challenge))
  t.equal(refusals().length, before, 'a good request, and a client that is not known')
})
