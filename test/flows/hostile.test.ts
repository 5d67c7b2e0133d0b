import { connect } from 'node:net'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import {
  authenticate,
  build,
  createAgent,
  createSite,
  encode,
  getCode,
  open,
  redeem,
  refresh,
  signIn,
} from '../harness.ts'

async function listen(t: Test): Promise<{ app: FastifyInstance; port: number }> {
  const app = await build(t)
  const { port } = new URL(await app.listen({ host: '127.0.0.1', port: 0 }))
  return { app, port: Number(port) }
}

/** What the server says to raw bytes until it closes the connection, or `undefined` if it is slow. */
function talk(port: number, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => socket.write(bytes))
    socket.setEncoding('latin1')
    socket.on('data', (data) => {
      answer += data
    })
    socket.on('close', () => resolve(answer))
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNRESET' || error.code === 'EPIPE') resolve(answer)
      else reject(error)
    })
  })
}

function assertRefused(t: Test, answer: string, name: string, status = /4\d\d/) {
  const [head = '', body = ''] = answer.split('\r\n\r\n')
  t.match(head, new RegExp(`^HTTP/1\\.1 ${status.source} `), name)
  t.match(head, /content-type: application\/json/i, `${name}: JSON`)
  t.match(head, /cache-control: no-store/i, `${name}: not cached`)
  let parsed: Record<string, unknown> = {}
  try {
    parsed = JSON.parse(body)
  } catch {
    t.fail(`${name}: ${answer}`)
  }
  t.match(parsed.error, /^[a-z_]+$/, `${name}: the error`)
  t.match(
    parsed.error_description,
    /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/,
    `${name}: RFC 6749 section 5.2: the characters of error_description`,
  )
}

const form = 'application/x-www-form-urlencoded'
const json = 'application/json'
const deep = `${'{"a":'.repeat(10_000)}1${'}'.repeat(10_000)}`

/** For every endpoint that takes a body. */
const bodies: [name: string, type: string | undefined, body: string | Buffer, status?: RegExp][] = [
  ['no body', form, ''],
  ['no body and no type', undefined, ''],
  ['a body without a type', undefined, 'a=b', /415/],
  ['an empty type', '', 'a=b', /415/],
  ['a type that is none', 'nonsense;;=', 'a=b', /415/],
  ['plain text', 'text/plain', 'grant_type=x', /415/],
  ['XML', 'application/xml', '<a/>', /415/],
  ['multipart', 'multipart/form-data; boundary=x', '--x--', /415/],
  ['another JSON', 'application/vnd.api+json', '{}', /415/],
  ['too large a form', form, `a=${'x'.repeat(70_000)}`, /413/],
  ['too large JSON', json, JSON.stringify({ a: 'x'.repeat(70_000) }), /413/],
  ['a form of many parameters', form, 'a=&'.repeat(15_000)],
  ['a form of separators', form, '&&==&=&'],
  ['bad percent-encoding', form, 'grant_type=%ZZ&code=%&client_id=%E0%A4%A'],
  ['invalid UTF-8 in a form', form, Buffer.from('grant_type=\xff\xfe&a=\xc0\x80', 'latin1')],
  ['NUL bytes', form, 'grant_type=%00&client_id=a%00b&token=%00'],
  ['__proto__ in a form', form, '__proto__=1&__proto__=2&constructor=3&__proto__[x]=y'],
  ['JSON as a form', form, '{"grant_type":"authorization_code"}'],
  ['a form as JSON', json, 'grant_type=authorization_code'],
  ['broken JSON', json, '{"grant_type":'],
  ['JSON with a comma more', json, '{"a":1,}'],
  ['nothing as JSON', json, ''],
  ['a JSON array', json, '[]'],
  ['an array of objects', json, '[{"grant_type":"authorization_code"}]'],
  ['JSON null', json, 'null'],
  ['a JSON number', json, '1'],
  ['a JSON string', json, '"x"'],
  ['JSON true', json, 'true'],
  ['an empty object', json, '{}'],
  ['deep JSON', json, deep, /4(00|13)/],
  ['deep arrays', json, '['.repeat(30_000)],
  [
    'deep members',
    json,
    `{"grant_type":"authorization_code","code":${'['.repeat(1000)}${']'.repeat(1000)}}`,
  ],
  ['__proto__ in JSON', json, '{"__proto__":{"admin":true},"grant_type":"x"}'],
  ['constructor in JSON', json, '{"constructor":{"prototype":{"admin":true}}}'],
  [
    'JSON of wrong types',
    json,
    '{"grant_type":1,"code":{},"token":[],"request_id":true,"client_id":{}}',
  ],
  ['JSON with a NUL', json, '{"grant_type":"\\u0000","token":"\\u0000","client_id":"\\u0000"}'],
  ['JSON with half a surrogate', json, '{"grant_type":"\\ud800","client_id":"\\ud800"}'],
  ['a byte order mark', json, '\ufeff{}'],
  ['invalid UTF-8 in JSON', json, Buffer.from('{"grant_type":"\xff"}', 'latin1')],
  ['a huge number', json, '{"grant_type":1e999,"wait":1e999}'],
]

t.test(
  'RFC 6749 section 5.2: hostile bodies are refused in the error form and change nothing',
  async (t) => {
    const { app, port } = await listen(t)
    const site = await createSite(app)
    const agent = await createAgent(app)
    const code = await getCode(app, site, agent)
    const { refresh_token } = await signIn(app, site, agent)
    const { request_id } = await open(app, site)

    for (const path of ['/token', '/introspect', '/revoke', '/api/agent/authenticate']) {
      for (const [name, type, body, status = /4\d\d/] of bodies) {
        const head = [
          `POST ${path} HTTP/1.1`,
          'Host: localhost',
          ...(type === undefined ? [] : [`Content-Type: ${type}`]),
          `Content-Length: ${Buffer.byteLength(body)}`,
          'Connection: close',
        ].join('\r\n')
        const bytes = Buffer.concat([Buffer.from(`${head}\r\n\r\n`), Buffer.from(body)])
        assertRefused(t, await talk(port, bytes), `${path}, ${name}`, status)
      }
    }
    t.equal(({} as Record<string, unknown>).admin, undefined, 'no prototype was changed')
    t.equal((await redeem(app, site, code)).statusCode, 200)
    t.equal((await refresh(app, site, refresh_token)).statusCode, 200)
    t.equal((await authenticate(app, request_id, agent)).statusCode, 200)
  },
)

t.test('hostile HTTP is refused in the error form', async (t) => {
  const { app, port } = await listen(t)
  const get = (target: string, ...headers: string[]) =>
    `${[`GET ${target} HTTP/1.1`, 'Host: x', 'Connection: close', ...headers].join('\r\n')}\r\n\r\n`
  const raw: [name: string, bytes: string, status: RegExp][] = [
    ['an unknown path', get('/nothing'), /404/],
    ['the root of a folder', get('/api/'), /404/],
    ['a path with dots', get('/../../etc/passwd'), /404/],
    ['a path with encoded dots', get('/%2e%2e/%2e%2e/etc/passwd'), /404/],
    ['a path with a NUL', get('/token%00'), /404/],
    ['another case', get('/Token'), /404/],
    ['a slash more', get('/token/'), /404/],
    ['bad percent-encoding in the path', get('/%ZZ?client_secret=x'), /400/],
    ['invalid UTF-8 in the path', get('/%ff%fe'), /400/],
    ['a huge path', get(`/${'x'.repeat(10_000)}`), /404/],
    ['huge headers', get('/', `X: ${'x'.repeat(40_000)}`), /431/],
    ['a huge query', get(`/authorize?state=${'x'.repeat(40_000)}`), /431/],
    ['a huge cookie', get('/api/check-status', `Cookie: ${'a=b; '.repeat(2000)}`), /400/],
    ['a header with a NUL', get('/token', 'X: a\0b'), /400/],
    ['no HTTP', 'hello\r\n\r\n', /400/],
    ['TLS', '\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n', /400/],
    ['a bad version', 'GET / HTTP/9.9\r\nHost: x\r\n\r\n', /4\d\d/],
    ['a bad method', 'FISH /token HTTP/1.1\r\nHost: x\r\n\r\n', /400/],
    ['a bad length', 'POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n', /400/],
    [
      'two lengths',
      'POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab',
      /400/,
    ],
    [
      'a length and chunks (RFC 9112 section 6.3)',
      'POST /token HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      /400/,
    ],
    [
      'bad chunks',
      'POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
      /400/,
    ],
    ...['PUT', 'PATCH', 'DELETE', 'GET'].map((method): [string, string, RegExp] => [
      `${method} /token`,
      `${method} /token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
      /405/,
    ]),
    ...['PROPFIND', 'TRACE', 'PURGE', 'LINK'].map((method): [string, string, RegExp] => [
      `${method} /token`,
      `${method} /token HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`,
      /40[45]/,
    ]),
    [
      'PUT with a body of an unknown type',
      'PUT /token HTTP/1.1\r\nHost: x\r\nContent-Type: a/b\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx',
      /4\d\d/,
    ],
  ]
  for (const [name, bytes, status] of raw) {
    assertRefused(t, await talk(port, Buffer.from(bytes, 'latin1')), name, status)
  }
  const { statusCode } = await app.inject({ url: '/healthz' })
  t.equal(statusCode, 200)
})

t.test('clients that leave in the middle harm nobody', async (t) => {
  const { app, port } = await listen(t)
  const site = await createSite(app)
  const agent = await createAgent(app)
  const { request_id, cookie } = await open(app, site)
  const code = await getCode(app, site, agent)
  const body = encode({ grant_type: 'authorization_code', ...code, ...site })
  const head = `POST /token HTTP/1.1\r\nHost: x\r\nContent-Type: ${form}\r\nContent-Length: ${body.length}\r\n\r\n`
  const halves = [
    'GET /auth',
    'GET /authorize HTTP/1.1\r\nHost',
    head,
    head + body.slice(0, -1),
    `GET /api/check-status?request_id=${request_id}&wait=25 HTTP/1.1\r\nHost: x\r\nCookie: ${cookie}\r\n\r\n`,
  ]
  for (const half of halves) {
    for (const leave of ['destroy', 'resetAndDestroy', 'end'] as const) {
      await new Promise<void>((resolve) => {
        const socket = connect(port, '127.0.0.1', () => {
          socket.write(half, () => {
            socket[leave]()
            resolve()
          })
        })
        socket.on('error', () => resolve())
      })
    }
  }
  t.equal((await redeem(app, site, code)).statusCode, 200, 'half a redemption redeems nothing')
  t.equal((await authenticate(app, request_id, agent)).statusCode, 200)
  const status = await app.inject({
    url: `/api/check-status?request_id=${request_id}`,
    headers: { cookie },
  })
  t.match(status.json(), { redirect_to: /code=/ }, 'an answer that nobody heard is given again')
})

t.test('hundreds of random requests never break the server', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createAgent(app)
  const code = await getCode(app, site, agent)
  const { request_id } = await open(app, site)
  const random = generator(20_260_801)
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T

  const names = [
    'client_id',
    'client_secret',
    'grant_type',
    'code',
    'code_verifier',
    'redirect_uri',
    'refresh_token',
    'scope',
    'token',
    'token_type_hint',
    'request_id',
    'agent_id',
    'agent_secret',
    'model',
    'wait',
    'state',
    'response_type',
    'code_challenge',
    'code_challenge_method',
    'resource',
    '__proto__',
    'constructor',
    '',
    'prompt',
    'nonce',
  ]
  const values = [
    '',
    'x',
    '\0',
    '"',
    '\\',
    '\u00e9',
    '\u{1f600}',
    '%',
    '%00',
    "' OR 1=1 --",
    '{}',
    '[]',
    '../',
    'x'.repeat(5000),
    '1e999',
    '-1',
    'authorization_code',
    'refresh_token',
    'code',
    'S256',
    'openid email',
    site.client_id,
    site.redirect_uri,
    request_id,
    'https://a/#',
    'rt_x',
    'ac_x',
    'a.b.c',
    '\r\nX: y',
  ]
  const odd = [null, 1, -0.5, true, [], {}, ['x', 'y'], { a: { b: [] } }]
  const paths = [
    '/authorize',
    '/token',
    '/userinfo',
    '/introspect',
    '/revoke',
    '/api/agent/authenticate',
    '/api/check-status',
    '/.well-known/jwks.json',
    '/.well-known/oauth-authorization-server',
    '/',
    '/healthz',
  ]
  const types = [form, json, 'text/plain', `${form}; charset=latin1`, `${json}; charset=utf-16`]
  const authorizations = [
    undefined,
    'Basic',
    'Basic eDp5',
    'Bearer x',
    'Bearer a.b.c',
    'Digest x',
    `Basic ${btoa(`${site.client_id}:%`)}`,
  ]

  for (let i = 0; i < 600; i++) {
    const method = pick([
      'GET',
      'GET',
      'POST',
      'POST',
      'POST',
      'PUT',
      'DELETE',
      'HEAD',
      'OPTIONS',
    ] as const)
    const pairs = Array.from({ length: Math.floor(random() * 8) }, () => [
      pick(names),
      pick(values),
    ])
    const query = pairs.map((pair) =>
      pair.map((text) => (random() < 0.9 ? encodeURIComponent(String(text)) : '%ZZ')).join('='),
    )
    const type = pick(types)
    const object = Object.fromEntries(
      pairs.map(([name, value]) => [name, random() < 0.3 ? pick(odd) : value]),
    )
    const payload = type.startsWith(json) ? JSON.stringify(object) : query.join('&')
    const authorization = pick(authorizations)
    const request = {
      method,
      url: `${pick(paths)}${random() < 0.7 ? `?${query.join('&')}` : ''}`,
      headers: {
        ...(authorization !== undefined && { authorization }),
        ...(random() < 0.3 && { accept: pick(['application/json', 'text/html', '*/*', ';;']) }),
        ...(random() < 0.3 && { cookie: pick(['auth-agent=x', '=', 'a=%ZZ', '; ; ;']) }),
        ...(method === 'POST' && { 'content-type': type }),
      },
      ...(method === 'POST' && { payload }),
    }
    const response = await app.inject(request)
    if (response.statusCode >= 500) t.fail(`${response.statusCode} for ${JSON.stringify(request)}`)
    const isJson = String(response.headers['content-type']).startsWith('application/json')
    if (response.statusCode >= 400 && isJson && method !== 'HEAD') {
      const { error, error_description } = response.json()
      const inForm =
        /^[a-z_]+$/.test(error) && /^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(error_description)
      if (!inForm) t.fail(`${response.body} for ${JSON.stringify(request)}`)
    }
  }
  t.equal((await redeem(app, site, code)).statusCode, 200, 'the good request still works')
  t.equal((await authenticate(app, request_id, agent)).statusCode, 200)
})

/** Mulberry32: numbers from 0 to 1 that are the same in every run. */
function generator(seed: number): () => number {
  let state = seed
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}
