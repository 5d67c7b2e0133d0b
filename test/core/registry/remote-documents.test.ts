import t from 'tap'
import { isPublicAddress } from '../../../plugins/core/registry/remote-documents.ts'
import { build, startWeb } from '../../harness.ts'

const PATH = '/document.json'

t.test('CIMD section 6.5: only addresses of the public internet are connected to', async (t) => {
  for (const address of [
    '0.0.0.0',
    '10.0.0.1',
    '100.64.0.1',
    '127.0.0.1',
    '127.8.8.8',
    '169.254.169.254',
    '172.16.0.1',
    '192.0.0.8',
    '192.0.2.1',
    '192.88.99.1',
    '192.168.1.1',
    '198.18.0.1',
    '198.51.100.1',
    '203.0.113.1',
    '224.0.0.1',
    '240.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::10.0.0.1',
    '::ffff:10.0.0.1',
    '::ffff:7f00:1',
    '64:ff9b::a00:1',
    '64:ff9b:1::1',
    '100::1',
    '2001::1',
    '2001:db8::1',
    '2002:a00:1::1',
    'fc00::1',
    'fd00::1',
    'fe80::1',
    'fec0::1',
    'ff02::1',
    'not an address',
    '',
  ]) {
    t.equal(isPublicAddress(address), false, address)
  }
  for (const address of ['93.184.215.14', '1.1.1.1', '2606:4700::1111', '::ffff:1.1.1.1']) {
    t.equal(isPublicAddress(address), true, address)
  }
})

t.test('a server as it comes reaches nothing on its own network', async (t) => {
  const web = await startWeb(t)
  web.serveJson(PATH, {})
  const app = await build(t, {}, { network: { ca: web.network.ca } })
  for (const host of ['127.0.0.1', '[::1]', 'localhost', '[::ffff:127.0.0.1]', '0x7f.1', '10.1']) {
    const reading = app.remoteDocuments.read(web.url(host, PATH), 1000)
    await t.rejects(reading, { message: /not on the public internet|cannot be fetched/ }, host)
  }
  t.equal(web.requests(PATH), 0)
})

t.test('a name is refused when any of its addresses is not public', async (t) => {
  const web = await startWeb(t)
  web.serveJson(PATH, {})
  const url = web.url('client.example', PATH)
  const answers = [['10.0.0.1'], ['127.0.0.1', '10.0.0.1'], ['169.254.169.254'], []]
  for (const addresses of answers) {
    const app = await build(
      t,
      {},
      {
        network: {
          ...web.network,
          lookup: (_host, _options, callback) =>
            callback(
              null,
              addresses.map((address) => ({ address, family: 4 })),
            ),
        },
      },
    )
    await t.rejects(app.remoteDocuments.read(url, 1000), { message: /not on the public internet/ })
  }
  t.equal(web.requests(PATH), 0)
})

t.test('a name is resolved once: what was checked is what is connected to', async (t) => {
  const web = await startWeb(t)
  web.serveJson(PATH, { here: true })
  let lookups = 0
  const app = await build(
    t,
    {},
    {
      network: {
        ...web.network,
        // A name that leads elsewhere the second time it is asked for.
        lookup: (_host, _options, callback) => {
          lookups += 1
          callback(null, [{ address: lookups === 1 ? '127.0.0.1' : '10.0.0.1', family: 4 }])
        },
      },
    },
  )
  t.equal(await app.remoteDocuments.read(web.url('client.example', PATH), 1000), '{"here":true}')
  t.equal(lookups, 1)
})

t.test('a certificate that is not trusted, or of another host, is refused', async (t) => {
  const web = await startWeb(t)
  web.serveJson(PATH, {})
  const { ca: _, ...network } = web.network
  const strict = await build(t, {}, { network })
  await t.rejects(strict.remoteDocuments.read(web.url('client.example', PATH), 1000))
  const app = await build(t, {}, { network: web.network })
  await t.rejects(app.remoteDocuments.read(web.url('elsewhere.example', PATH), 1000))
})

t.test('who wants the same document at the same time shares one fetch', async (t) => {
  const web = await startWeb(t)
  web.serveJson(PATH, {})
  const app = await build(t, {}, { network: web.network })
  const url = web.url('client.example', PATH)
  await Promise.all(Array.from({ length: 20 }, () => app.remoteDocuments.read(url, 1000)))
  t.equal(web.requests(PATH), 1)
})

t.test('only so many are fetched at the same time', async (t) => {
  const web = await startWeb(t)
  const app = await build(t, {}, { network: web.network })
  const read = (n: number) => app.remoteDocuments.read(web.url('client.example', `/${n}`), 1000)
  const results = await Promise.allSettled(Array.from({ length: 40 }, (_, n) => read(n)))
  const busy = results.filter(
    (result) => result.status === 'rejected' && result.reason.code === 'temporarily_unavailable',
  )
  t.equal(busy.length, 8)
})

t.test('a host that does not finish is given up', async (t) => {
  const web = await startWeb(t)
  web.serve(PATH, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.write('{')
  })
  const app = await build(t, {}, { network: web.network })
  await t.rejects(app.remoteDocuments.read(web.url('client.example', PATH), 1000), {
    message: /cannot be fetched/,
  })
})
