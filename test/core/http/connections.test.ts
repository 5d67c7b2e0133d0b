import { type AddressInfo, connect, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { build, createSite, open } from '../../harness.ts'

async function listen(t: Test, host = '127.0.0.1'): Promise<FastifyInstance> {
  const app = await build(t)
  await app.listen({ host, port: 0 })
  return app
}

/** A connection to each address that the server listens on. */
function connections(t: Test, app: FastifyInstance): Socket[] {
  return (app.addresses() as AddressInfo[]).map(({ address, port }) => {
    const socket = connect(port, address)
    socket.on('error', () => undefined)
    t.teardown(() => socket.destroy())
    return socket
  })
}

interface Answer {
  status: number
  head: string
  body: string
}

function parse(raw: string): Answer {
  const [head = '', body = ''] = raw.split('\r\n\r\n')
  return { status: Number(head.split(' ')[1]), head, body }
}

/** What the first address answers to bytes, until the connection ends. */
async function send(t: Test, app: FastifyInstance, bytes: string): Promise<Answer> {
  const [socket] = connections(t, app)
  if (socket === undefined) throw new Error('The server does not listen')
  socket.write(bytes)
  return parse(await text(socket))
}

const get = (...headers: string[]) =>
  `${['GET /healthz HTTP/1.1', ...headers, 'Connection: close'].join('\r\n')}\r\n\r\n`
const post = (...lines: string[]) =>
  ['POST /token HTTP/1.1', 'Host: x', 'Content-Type: application/json', ...lines].join('\r\n')

t.test('what Node would refuse by itself is refused in the form of all errors', async (t) => {
  const app = await listen(t, 'localhost')
  const refusals: [name: string, bytes: string, status: number, description: RegExp][] = [
    ['Expect: x', get('Host: x', 'Expect: x'), 417, /Expect/],
    [
      'Expect: 200-ok on a POST',
      post('Expect: 200-ok', 'Content-Length: 2', '', '{}'),
      417,
      /Expect/,
    ],
    ['RFC 9112 3.2: no Host', get(), 400, /Host header is required/],
    ['RFC 9112 3.2: two Hosts', get('Host: x', 'Host: x'), 400, /only once/],
    ['RFC 9112 3.2: two Hosts that differ', get('Host: x', 'hOST: y'), 400, /only once/],
    ['RFC 9112 3.2: a space', get('Host: a b'), 400, /malformed/],
    ['RFC 9112 3.2: a slash', get('Host: a/b'), 400, /malformed/],
    ['RFC 9112 3.2: a user', get('Host: a@b'), 400, /malformed/],
    ['RFC 9112 3.2: a port with letters', get('Host: a:8x'), 400, /malformed/],
    ['RFC 9112 3.2: two ports', get('Host: a:1:2'), 400, /malformed/],
    ['RFC 9112 3.2: a bad literal', get('Host: [::g]'), 400, /malformed/],
    ['RFC 9112 3.2: an open literal', get('Host: [::1'), 400, /malformed/],
    ['RFC 9112 3.2: a list', get('Host: a, b'), 400, /malformed/],
    ['RFC 9112 3.2: beyond ASCII', get('Host: \u00fc'), 400, /malformed/],
    ['RFC 9112 3.2: a lone percent', get('Host: a%2'), 400, /malformed/],
    ['a large header', get('Host: x', `X: ${'x'.repeat(20_000)}`), 431, /too large/],
    ['a long URL', `GET /${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`, 431, /too large/],
    ['a bad chunk', post('Transfer-Encoding: chunked', '', 'zz', ''), 400, /chunk/],
    ['two lengths', post('Content-Length: 2', 'Content-Length: 3', '', '{}'), 400, /length|Length/],
    [
      'a length and chunks',
      post('Content-Length: 2', 'Transfer-Encoding: chunked', '', '{}'),
      400,
      /Length|Encoding/,
    ],
    ['a length that is none', post('Content-Length: x', '', '{}'), 400, /Length/],
    ['a bad method', 'FISH / HTTP/1.1\r\nHost: x\r\n\r\n', 400, /method/],
    ['a bad version', 'GET / HTTP/9.9\r\nHost: x\r\n\r\n', 400, /version/],
    ['a bad header', get('Host: x', 'a b: c'), 400, /header/],
    ['no HTTP', '\x16\x03\x01\x02\x00\x01', 400, /./],
    ['CONNECT', 'CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n', 405, /CONNECT/],
  ]
  for (const [name, bytes, status, description] of refusals) {
    const answer = await send(t, app, bytes)
    t.equal(answer.status, status, name)
    t.match(answer.head, /^content-type: application\/json/im, name)
    t.match(answer.head, /^cache-control: no-store$/im, name)
    t.match(answer.head, /^connection: close$/im, name)
    const { error, error_description } = JSON.parse(answer.body)
    t.equal(error, 'invalid_request', name)
    t.match(error_description, description, name)
  }
  for (const socket of connections(t, app)) {
    socket.write('FISH / HTTP/1.1\r\nHost: x\r\n\r\n')
    t.match(parse(await text(socket)).body, /"invalid_request"/, 'on every address of localhost')
  }
})

t.test('RFC 9112 section 3.2: a Host that has the form of one is taken', async (t) => {
  const app = await listen(t)
  for (const host of [
    'x',
    'x:',
    'x:80',
    '[::1]',
    '[::1]:8080',
    '127.0.0.1:1',
    'a_b.c-d',
    'a%20b',
    '',
  ]) {
    t.equal((await send(t, app, get(`Host: ${host}`))).status, 200, host)
  }
  t.equal((await send(t, app, 'GET /healthz HTTP/1.0\r\n\r\n')).status, 200, 'HTTP/1.0 needs none')
  t.equal((await send(t, app, get('Host: x', 'Expect: 100-continue'))).status, 100)
})

t.test('what follows a request that is being answered is no answer to it', async (t) => {
  const app = await listen(t)
  const { request_id } = await open(app, await createSite(app))
  const poll = `GET /api/check-status?request_id=${request_id}&wait=2 HTTP/1.1\r\nHost: x\r\n\r\n`
  const answer = await send(t, app, `${poll}FISH\r\n\r\n`)
  t.notMatch(answer.head, /400/)
})

t.test('a closing server answers what has arrived, and ends what has not', async (t) => {
  const app = await listen(t, 'localhost')
  const { request_id } = await open(app, await createSite(app))
  const half = [
    '',
    'GET /heal',
    'GET /healthz HTTP/1.1\r\nHost:',
    post('Content-Length: 9', '', '{'),
    post('Transfer-Encoding: chunked', '', '5', 'ab'),
    `${get('Host: x').replace('close', 'keep-alive')}GET /h`,
    post('Expect: 100-continue', 'Content-Length: 9', '', ''),
  ]
  const ended = half.flatMap((bytes) =>
    connections(t, app).map((socket) => {
      socket.write(bytes)
      return text(socket).catch(() => 'reset')
    }),
  )
  const [poller] = connections(t, app)
  const poll = `GET /api/check-status?request_id=${request_id}&wait=25 HTTP/1.1\r\nHost: x\r\n\r\n`
  poller?.write(poll)
  const [late] = connections(t, app)
  late?.write('GET /healthz HTTP/1.1\r\nHost:')
  // A request that is answered says that those before it have arrived.
  await send(t, app, get('Host: x'))
  const closed = app.close()
  late?.write(' x\r\n\r\n')
  await closed
  await Promise.all(ended)
  t.match(parse(poller === undefined ? '' : await text(poller)), { status: 200, body: /pending/ })
  const refused = parse(late === undefined ? '' : await text(late))
  t.equal(refused.status, 503)
  t.match(refused.head, /^retry-after: 1$/im)
  t.match(refused.head, /^connection: close$/im)
  t.match(JSON.parse(refused.body), {
    error: 'temporarily_unavailable',
    error_description: /closing/,
  })
})
