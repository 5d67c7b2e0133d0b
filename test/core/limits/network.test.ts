import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { networksOf, normalAddress } from '../../../plugins/core/limits/network.ts'
import { authenticate, build, createAgent, createSite, open } from '../../harness.ts'

const IPV4 = ['203.0.113.8/32', '203.0.113.0/24']
const IPV6 = ['2001:db8:12:3456::/64', '2001:db8:12:3400::/56', '2001:db8:12::/48']
const LOCAL = ['fe80::/64', 'fe80::/56', 'fe80::/48']
const UNKNOWN = ['unknown']

const spellings: [text: string | undefined, address: string, networks: string[]][] = [
  ['203.0.113.8', '203.0.113.8', IPV4],
  ['203.0.113.8:4711', '203.0.113.8', IPV4],
  ['[203.0.113.8]:4711', '203.0.113.8', IPV4],
  [' 203.0.113.8 ', '203.0.113.8', IPV4],
  ['::ffff:203.0.113.8', '203.0.113.8', IPV4],
  ['::FFFF:cb00:7108', '203.0.113.8', IPV4],
  ['::ffff:203.0.113.8:4711', '203.0.113.8', IPV4],
  ['[::ffff:203.0.113.8]:4711', '203.0.113.8', IPV4],
  ['64:ff9b::203.0.113.8', '203.0.113.8', IPV4],
  ['2001:db8:12:3456:7:8:9:a', '2001:db8:12:3456:7:8:9:a', IPV6],
  ['2001:0DB8:0012:3456:0007:0008:0009:000A', '2001:db8:12:3456:7:8:9:a', IPV6],
  ['2001:db8:12:3456::1', '2001:db8:12:3456::1', IPV6],
  ['[2001:db8:12:3456::1]', '2001:db8:12:3456::1', IPV6],
  ['[2001:db8:12:3456::1]:443', '2001:db8:12:3456::1', IPV6],
  ['"[2001:db8:12:3456::1]:443"', '2001:db8:12:3456::1', IPV6],
  ['2001:db8:12:3456:7:8:9:a:443', '2001:db8:12:3456:7:8:9:a', IPV6],
  ['fe80::1%eth0', 'fe80::1', LOCAL],
  ['[fe80::1%eth0]:80', 'fe80::1', LOCAL],
  [undefined, 'unknown', UNKNOWN],
  ['', 'unknown', UNKNOWN],
  ['unknown', 'unknown', UNKNOWN],
  ['_proxy:80', 'unknown', UNKNOWN],
  ['localhost', 'unknown', UNKNOWN],
  ['203.0.113', 'unknown', UNKNOWN],
  ['203.0.113.256', 'unknown', UNKNOWN],
  ['203.0.113.008', 'unknown', UNKNOWN],
  ['203.0.113.8:123456', 'unknown', UNKNOWN],
  ['203.0.113.8/32', 'unknown', UNKNOWN],
  ['3405803784', 'unknown', UNKNOWN],
  ['0xcb007108', 'unknown', UNKNOWN],
  ['[2001:db8::1', 'unknown', UNKNOWN],
  ['2001:db8::1::2', 'unknown', UNKNOWN],
]

t.test(
  'an address has one spelling and the same networks, however a proxy writes it',
  async (t) => {
    for (const [text, address, networks] of spellings) {
      t.equal(normalAddress(text), address, `the address ${text}`)
      t.same(networksOf(text), networks, `the networks of ${text}`)
    }
  },
)

const PROXY = '192.0.2.1'

/** A failed proof of one client, as a proxy passes it on. */
function guess(app: FastifyInstance, from: string, client_id = 'client_x') {
  return app.inject({
    method: 'POST',
    url: '/revoke',
    remoteAddress: PROXY,
    headers: { 'x-forwarded-for': from },
    payload: { token: 'x', client_id, client_secret: 'cs_guess' },
  })
}

t.test('failures count for a network however a proxy writes its addresses', async (t) => {
  const sameNetwork: [string, (n: number) => string][] = [
    ['an IPv4 address with a port', (n) => `203.0.113.8:${4711 + n}`],
    ['an IPv4 address as IPv6', (n) => (n % 2 ? '203.0.113.8' : '::ffff:203.0.113.8')],
    ['an IPv6 address with a port', (n) => `[2001:db8::${n}]:${4711 + n}`],
    ['an IPv6 address with a zone', (n) => `fe80::1%eth${n}`],
    ['what is no address', (n) => `not-an-address-${n}`],
    ['an obfuscated identifier (RFC 7239 section 6.3)', (n) => `_hidden${n}`],
  ]
  const app = await build(t, { THROTTLE_FAILURES: 3, TRUST_PROXY: PROXY })
  await Promise.all(
    sameNetwork.map(async ([name, address], row) => {
      const attempt = async (n: number) =>
        (await guess(app, address(n), `client_${row}`)).statusCode
      for (let n = 0; n < 3; n += 1) t.equal(await attempt(n), 401, name)
      t.equal(await attempt(3), 429, name)
    }),
  )
})

t.test('failures under ever new names count for a /64, a /56, a /48 and an IPv4 /24', async (t) => {
  const hex = (n: number) => n.toString(16)
  const networks: [string, limit: number, (n: number) => string, elsewhere: string][] = [
    ['an IPv4 address', 10, () => '203.0.113.8', '203.0.113.9'],
    ['an IPv4 /24', 80, (n) => `198.51.100.${n}`, '198.51.101.1'],
    ['an IPv6 /64', 10, (n) => `2001:db8:1:1::${hex(n)}`, '2001:db8:1:2::1'],
    ['an IPv6 /56', 20, (n) => `2001:db8:2:${hex(n)}::1`, '2001:db8:2:100::1'],
    ['an IPv6 /48', 40, (n) => `2001:db8:3:${hex(n * 256)}::1`, '2001:db8:4::1'],
  ]
  const app = await build(t, { THROTTLE_FAILURES: 1, TRUST_PROXY: PROXY })
  for (const [name, limit, address, elsewhere] of networks) {
    const answers = await Promise.all(
      Array.from({ length: limit }, (_, n) => guess(app, address(n), `client_${limit}_${n}`)),
    )
    t.ok(
      answers.every(({ statusCode }) => statusCode === 401),
      `${name} has ${limit} failures`,
    )
    t.equal(
      (await guess(app, address(limit), 'client_more')).statusCode,
      429,
      `${name}, and no more`,
    )
    t.equal((await guess(app, elsewhere, 'client_more')).statusCode, 401, `not beside ${name}`)
  }
})

t.test('the audit trail and the log tell an address in its one spelling', async (t) => {
  const lines: string[] = []
  const logStream = { write: (line: string) => void lines.push(line) }
  const app = await build(t, { TRUST_PROXY: PROXY, LOG_LEVEL: 'info' }, { logStream })
  const site = await createSite(app)
  const agent = await createAgent(app)
  const attempt = async (from: string, secret: string) => {
    const { request_id } = await open(app, site)
    return await app.inject({
      method: 'POST',
      url: '/api/agent/authenticate',
      remoteAddress: PROXY,
      headers: { 'x-forwarded-for': from },
      payload: { request_id, agent_id: agent.agent_id, agent_secret: secret, model: 'm' },
    })
  }
  t.equal((await attempt('203.0.113.8:4711', agent.agent_secret)).statusCode, 200)
  t.equal((await attempt('[2001:DB8::1]:443', 'ags_guess')).statusCode, 401)
  t.equal((await attempt('<b>Bob</b>', 'ags_guess')).statusCode, 401)

  const events = await app.store.events.list({ agent_id: agent.agent_id, limit: 10 })
  t.same(events.map(({ address }) => address).sort(), ['2001:db8::1', '203.0.113.8', 'unknown'])
  const logged = lines
    .map((line) => JSON.parse(line))
    .filter(({ route }) => route === '/api/agent/authenticate')
    .map(({ address }) => address)
  t.same(logged, ['203.0.113.8', '2001:db8::1', 'unknown'])
  const { request_id } = await open(app, site)
  t.equal((await authenticate(app, request_id, agent)).statusCode, 200)
})
