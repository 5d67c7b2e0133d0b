import t, { type Test } from 'tap'
import type { Settings } from '../../../plugins/core/settings.ts'
import { build } from '../../harness.ts'

const forged = {
  'x-forwarded-for': '198.51.100.7',
  'x-forwarded-host': 'evil.example',
  'x-forwarded-proto': 'ftp',
  forwarded: 'for=198.51.100.7;host=evil.example;proto=ftp',
}

/** A request from a peer with forwarded headers: what it is answered, and logged as. */
async function visit(t: Test, settings: Partial<Settings>, remoteAddress: string) {
  const lines: string[] = []
  const app = await build(
    t,
    { ...settings, LOG_LEVEL: 'info' },
    { logStream: { write: (line) => lines.push(line) } },
  )
  const response = await app.inject({
    url: '/.well-known/oauth-authorization-server',
    remoteAddress,
    headers: forged,
  })
  const answered = lines.map((line) => JSON.parse(line)).find(({ msg }) => msg === 'answered')
  return { body: response.body, address: answered.address, log: lines.join('') }
}

t.test('RFC 9700 section 4.13: forwarded headers of a stranger change nothing', async (t) => {
  for (const settings of [{}, { TRUST_PROXY: '10.0.0.0/8' }]) {
    const { body, address, log } = await visit(t, settings, '203.0.113.9')
    t.equal(JSON.parse(body).issuer, 'http://localhost:8080')
    t.equal(address, '203.0.113.9')
    t.notMatch(body + log, /evil\.example|198\.51\.100\.7/)
  }
})

t.test('the address that a trusted proxy forwards counts, its host does not', async (t) => {
  for (const TRUST_PROXY of ['10.0.0.1', '10.0.0.0/8', '192.0.2.1, 10.0.0.1']) {
    const { body, address } = await visit(t, { TRUST_PROXY }, '10.0.0.1')
    t.equal(address, '198.51.100.7', TRUST_PROXY)
    t.equal(JSON.parse(body).issuer, 'http://localhost:8080')
    t.notMatch(body, /evil/)
  }
})

t.test('TRUST_PROXY that is no list of addresses is refused by name', async (t) => {
  for (const TRUST_PROXY of [
    'true',
    '1',
    '*',
    '10.0.0.0/33',
    'proxy.example',
    '10.0.0.1,',
    '::1/129',
  ]) {
    await t.rejects(build(t, { TRUST_PROXY }), { message: /TRUST_PROXY=/ }, TRUST_PROXY)
  }
  for (const TRUST_PROXY of ['loopback', '::1', 'fd00::/8', '127.0.0.1,uniquelocal']) {
    await t.resolves(build(t, { TRUST_PROXY }), TRUST_PROXY)
  }
})
