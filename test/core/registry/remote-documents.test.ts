import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { setImmediate } from 'node:timers/promises'
import ipaddr from 'ipaddr.js'
import t, { type Test } from 'tap'
import { isPublicAddress } from '../../../plugins/core/registry/addresses.ts'
import { build, startWeb, TestClock } from '../../harness.ts'

const PATH = '/document.json'
const ASKED = { address: '192.0.2.1' }

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
    const reading = app.remoteDocuments.read(web.url(host, PATH), 1000, ASKED)
    await t.rejects(reading, { name: 'RemoteDocumentError' }, host)
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
          lookup: async () => addresses,
        },
      },
    )
    await t.rejects(app.remoteDocuments.read(url, 1000, ASKED), {
      message: /not on the public internet/,
    })
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
        lookup: async () => {
          lookups += 1
          return [lookups === 1 ? '127.0.0.1' : '10.0.0.1']
        },
      },
    },
  )
  t.equal(
    await app.remoteDocuments.read(web.url('client.example', PATH), 1000, ASKED),
    '{"here":true}',
  )
  t.equal(lookups, 1)
})

t.test('a certificate that is not trusted, or of another host, is refused', async (t) => {
  const web = await startWeb(t)
  web.serveJson(PATH, {})
  const { ca: _, ...network } = web.network
  const strict = await build(t, {}, { network })
  await t.rejects(strict.remoteDocuments.read(web.url('client.example', PATH), 1000, ASKED))
  const app = await build(t, {}, { network: web.network })
  await t.rejects(app.remoteDocuments.read(web.url('elsewhere.example', PATH), 1000, ASKED))
})

t.test('who wants the same document at the same time shares one fetch', async (t) => {
  const web = await startWeb(t)
  web.serveJson(PATH, {})
  const app = await build(t, {}, { network: web.network })
  const url = web.url('client.example', PATH)
  await Promise.all(Array.from({ length: 20 }, () => app.remoteDocuments.read(url, 1000, ASKED)))
  t.equal(web.requests(PATH), 1)
})

/** Hosts that take a connection and never say a word. */
async function startSilence(t: Test) {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.resume()
    socket.on('error', () => {})
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  const { port } = server.address() as AddressInfo
  return { url: (host: string, path = PATH) => `https://${host}:${port}${path}`, sockets }
}

const busy = { code: 'temporarily_unavailable', headers: { 'retry-after': /^[1-9]\d*$/ } }

t.test('hosts that never answer keep nobody else’s documents from being fetched', async (t) => {
  const web = await startWeb(t)
  web.serveJson(PATH, {})
  const silence = await startSilence(t)
  const app = await build(t, {}, { network: web.network })
  const read = (host: string, address: string) =>
    app.remoteDocuments.read(silence.url(host, `/${host}/${address}`), 1000, { address })
  const rows: [string, number, (n: number) => Promise<string>][] = [
    ['a host', 2, (n) => read('one.silent.example', `192.0.2.${n}`)],
    ['a domain', 4, (n) => read(`host${n}.many.example`, `198.51.100.${n}`)],
    ['a domain of a country', 4, (n) => read(`host${n}.many.co.uk`, `192.0.1.${n}`)],
    ['an asking network', 8, (n) => read(`many${n}.example`, '203.0.113.1')],
    ['an asking /64', 8, (n) => read(`more${n}.example`, `2001:db8:1:1::${n}`)],
  ]
  const ends: Promise<unknown>[] = []
  for (const [name, most, open] of rows) {
    for (let n = 1; n <= most; n += 1) {
      ends.push(t.rejects(open(n), { name: 'RemoteDocumentError' }, `${name} ${n}`))
    }
    await t.rejects(open(most + 1), busy, `${name}, one too many`)
  }
  for (let n = 1; n <= 32; n += 1) {
    ends.push(t.rejects(read(`silent${n}.example`, `10.0.${n}.1`), { name: 'RemoteDocumentError' }))
  }
  const good = app.remoteDocuments.read(web.url('client.example', PATH), 1000, ASKED)
  t.equal(await good, '{}')
  await Promise.all(ends)
  while (silence.sockets.size > 0) await setImmediate()
  t.pass('every socket is closed')
  await t.rejects(read('one.silent.example', '192.0.2.9'), { name: 'RemoteDocumentError' })
})

t.test('nobody sends requests in numbers through this server', async (t) => {
  const clock = new TestClock()
  const web = await startWeb(t)
  const app = await build(t, {}, { clock, network: web.network })
  const read = (n: number, address: string) =>
    app.remoteDocuments.read(web.url('client.example', `/${n}`), 1000, { address })
  for (let n = 0; n < 60; n += 1) {
    await t.rejects(read(n, '192.0.2.1'), { name: 'RemoteDocumentError' })
  }
  await t.rejects(read(60, '192.0.2.1'), { ...busy, headers: { 'retry-after': '60' } })
  await t.rejects(read(60, '192.0.2.2'), { name: 'RemoteDocumentError' }, 'another network may')
  clock.goBack(7200)
  await t.rejects(read(61, '192.0.2.1'), { name: 'RemoteDocumentError' }, 'the clock went back')
})

t.test('a URL that failed is left alone for a minute, whoever asks', async (t) => {
  const clock = new TestClock()
  const web = await startWeb(t)
  const app = await build(t, {}, { clock, network: web.network })
  const url = web.url('client.example', PATH)
  const read = (maxBytes = 1000, address = '192.0.2.1') =>
    app.remoteDocuments.read(url, maxBytes, { address })
  await t.rejects(read(), { message: 'answered 404 instead of 200' })
  await t.rejects(read(1000, '198.51.100.1'), { message: 'answered 404 instead of 200' })
  t.equal(web.requests(PATH), 1)

  web.serveJson(PATH, { text: 'x'.repeat(50) })
  clock.advance(59)
  await t.rejects(read())
  clock.goBack(7200)
  t.match(await read(), 'xxx', 'a failure of the future counts no more')
  t.equal(web.requests(PATH), 2)

  clock.advance(61)
  await t.rejects(read(10), { message: 'is larger than 10 bytes' })
  t.match(await read(1000), 'xxx', 'whoever may read more is not concerned')
  await t.rejects(read(10), { message: 'is larger than 10 bytes' }, 'nor helped by a copy')
})

/** A nameserver on the loopback, which answers a question with these addresses or not at all. */
async function startNameserver(t: Test, answers: (type: number) => string[] | undefined) {
  const server = createSocket('udp4')
  server.on('message', (query, { port }) => {
    const end = query.indexOf(0, 12) + 5
    const addresses = answers(query.readUInt16BE(end - 4))
    if (addresses === undefined) return
    const header = Buffer.from(query.subarray(0, 12))
    // A response with recursion, one question, these answers and nothing else (RFC 1035 section 4.1).
    header.writeUInt16BE(0x8180, 2)
    header.set([0, 1, 0, addresses.length, 0, 0, 0, 0], 4)
    const records = addresses.map((address) => {
      const bytes = ipaddr.parse(address).toByteArray()
      const type = bytes.length === 4 ? 1 : 28
      return Buffer.from([0xc0, 12, 0, type, 0, 1, 0, 0, 0, 0, 0, bytes.length, ...bytes])
    })
    server.send(Buffer.concat([header, query.subarray(12, end), ...records]), port, '127.0.0.1')
  })
  await new Promise<void>((resolve) => server.bind(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return `127.0.0.1:${server.address().port}`
}

t.test('names are asked of nameservers, and all of their addresses are checked', async (t) => {
  const web = await startWeb(t)
  web.serveJson(PATH, {})
  const url = web.url('client.example', PATH)
  const rows: [string, Record<number, string[]>, string | undefined][] = [
    ['IPv4 alone', { 1: ['127.0.0.1'] }, undefined],
    ['IPv4 and IPv6', { 1: ['127.0.0.1'], 28: ['::1'] }, 'is not on the public internet'],
    ['several', { 1: ['127.0.0.1', '10.0.0.1'] }, 'is not on the public internet'],
    ['IPv6 alone', { 28: ['fd00::1'] }, 'is not on the public internet'],
    ['a mapped one', { 28: ['::ffff:10.0.0.1'] }, 'is not on the public internet'],
    ['none', {}, 'is not on the public internet'],
  ]
  const { lookup: _, ...network } = web.network
  for (const [name, answers, refusal] of rows) {
    const nameservers = [await startNameserver(t, (type) => answers[type] ?? [])]
    const app = await build(t, {}, { network: { ...network, nameservers } })
    const reading = app.remoteDocuments.read(url, 1000, ASKED)
    if (refusal === undefined) t.equal(await reading, '{}', name)
    else await t.rejects(reading, { message: refusal }, name)
  }
})

t.test('a nameserver that is slow holds up those alone who ask it', async (t) => {
  const web = await startWeb(t)
  web.serveJson(PATH, {})
  const { lookup: _, ...network } = web.network
  const slow = await startNameserver(t, () => undefined)
  const app = await build(t, {}, { network: { ...network, nameservers: [slow] } })
  const ends = Array.from({ length: 30 }, (_, n) =>
    t.rejects(
      app.remoteDocuments.read(`https://host${n}.slow${n}.example/x`, 1000, {
        address: `192.0.${n}.1`,
      }),
      { message: 'cannot be fetched' },
    ),
  )
  // What needs a thread: getaddrinfo would hold them all.
  await lookup('localhost')
  const literal = app.remoteDocuments.read(web.url('127.0.0.1', PATH), 1000, ASKED)
  t.equal(await literal, '{}')
  await Promise.all(ends)
})

t.test('the log says why documents cannot be fetched, in few lines', async (t) => {
  const lines: Record<string, unknown>[] = []
  const write = (line: string) => void lines.push(JSON.parse(line))
  const clock = new TestClock()
  const { port } = await closedPort()
  const network = { nameservers: [`127.0.0.1:${port}`] }
  const options = { clock, network, logStream: { write } }
  const app = await build(t, { LOG_LEVEL: 'info' }, options)
  const read = (host: string) =>
    app.remoteDocuments.read(`https://${host}/x`, 1000, { address: '192.0.2.1' })
  await t.rejects(read('one.example'), { message: 'cannot be fetched' })
  const [line] = lines.filter(({ host }) => host === 'one.example')
  t.match(line, { level: 40, reason: 'cannot be fetched', cause: /ECONNREFUSED/ })
  t.match(line?.msg, /unable to reach the internet/)

  for (const address of ['10.0.0.1', '127.0.0.1']) await t.rejects(read(address))
  const told = lines.filter(({ host }) => host === '10.0.0.1')
  t.match(told, [
    {
      level: 30,
      reason: 'is not on the public internet',
      hint: /name its host in PRIVATE_HOSTS/,
      cause: /10\.0\.0\.1/,
    },
  ])
  for (let n = 0; n < 40; n += 1) await t.rejects(read(`10.0.1.${n}`))
  t.equal(lines.filter(({ msg }) => /was not fetched/.test(String(msg))).length, 20)
})

/** A port that nobody listens on. */
async function closedPort(): Promise<{ port: number }> {
  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  const { port } = socket.address()
  await new Promise<void>((resolve) => socket.close(() => resolve()))
  return { port }
}

t.test('a server that closes gives up what it fetches', async (t) => {
  const web = await startWeb(t)
  const silence = await startSilence(t)
  const app = await build(t, {}, { network: web.network })
  const reading = t.rejects(app.remoteDocuments.read(silence.url('a.example'), 1000, ASKED))
  while (silence.sockets.size === 0) await setImmediate()
  await app.close()
  await reading
  while (silence.sockets.size > 0) await setImmediate()
  t.pass('its socket is closed')
})

t.test('a host that does not finish is given up', async (t) => {
  const web = await startWeb(t)
  web.serve(PATH, (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' })
    response.write('{')
  })
  const app = await build(t, {}, { network: web.network })
  await t.rejects(app.remoteDocuments.read(web.url('client.example', PATH), 1000, ASKED), {
    message: /cannot be fetched/,
  })
})
