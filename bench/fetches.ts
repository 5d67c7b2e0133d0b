/**
 * Measures what fetching strangers' documents costs other callers: `node bench/fetches.ts [FOLDER]` measures the server in
 * FOLDER (by default this one), in less than a minute. It runs in namespaces of its own (Linux, `unshare`
 * and `ip`), with only a nameserver and the websites, on the loopback.
 */
import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer as createTlsServer } from 'node:https'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import type { FastifyInstance } from 'fastify'
import { generate } from 'selfsigned'

const HONEST = 'honest.example'
const WEB = 8443
const SILENCE = 8444
/** The longest wait, in milliseconds. */
const PATIENCE = 15_000
const INSIDE = 'FETCHES_INSIDE'

if (process.env[INSIDE] === undefined) enterNamespaces()
else await measure(resolve(process.argv[2] ?? join(import.meta.dirname, '..')))

/** Runs this file again in namespaces without other networks, with a nameserver of our own. */
function enterNamespaces(): void {
  const folder = mkdtempSync(join(tmpdir(), 'fetches-'))
  const file = join(folder, 'resolv.conf')
  writeFileSync(file, 'nameserver 127.0.0.1\n')
  const script = 'ip link set lo up && mount --bind "$1" /etc/resolv.conf && shift && exec "$@"'
  const inside = [process.execPath, ...process.argv.slice(1)]
  const { status } = spawnSync(
    'unshare',
    ['--map-root-user', '--mount', '--net', 'sh', '-c', script, 'sh', file, ...inside],
    { stdio: 'inherit', env: { ...process.env, [INSIDE]: 'yes' } },
  )
  rmSync(folder, { recursive: true })
  process.exitCode = status ?? 1
}

async function measure(folder: string): Promise<void> {
  const { buildApp } = await import(join(folder, 'plugins/app.ts'))
  const web = await startWeb()
  await startNameserver()
  const build = (): Promise<FastifyInstance> =>
    buildApp(
      { DATABASE_URL: 'sqlite::memory:', LOG_LEVEL: 'silent' },
      { network: { ca: web.ca, allowsAddress: () => true } },
    )
  const report = (...row: string[]) => console.log(`| ${row.join(' | ')} |`)

  const ask = async (app: FastifyInstance, url: string, address: string) => {
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: url,
      code_challenge: randomBytes(32).toString('base64url'),
      code_challenge_method: 'S256',
    })
    const answer = await app.inject({ url: `/authorize?${query}`, remoteAddress: address })
    return answer.statusCode
  }
  /** How long something takes, or that it takes longer than the longest wait. */
  const time = async (work: Promise<unknown>) => {
    const began = performance.now()
    const done = await Promise.race([work.then(() => true), setTimeout(PATIENCE, false)])
    return done ? `${Math.round(performance.now() - began)} ms` : `more than ${PATIENCE} ms`
  }
  /** Requests somebody else's document until it is answered. */
  const askHonest = async (app: FastifyInstance) => {
    const until = performance.now() + PATIENCE
    while (performance.now() < until) {
      if ((await ask(app, `https://${HONEST}:${WEB}/good`, '192.0.2.1')) === 200) return
      await setTimeout(50)
    }
  }

  const app = await build()
  for (let n = 0; n < 200; n += 1) await ask(app, `https://${HONEST}:${WEB}/refused`, '192.0.2.1')
  report('200 requests for one refused URL: GETs', String(web.count()))
  for (let n = 0; n < 200; n += 1) {
    await ask(app, `https://${HONEST}:${WEB}/refused?${n}`, '192.0.2.2')
  }
  report('200 requests for 200 refused URLs of a host: GETs', String(web.count()))
  await app.close()

  // The slow names come last: an older server cannot cancel its questions.
  for (const [name, host, port] of [
    ['32 silent hosts', 'silent', SILENCE],
    ['30 names of a slow nameserver', 'slow', WEB],
  ] as const) {
    const app = await build()
    const others = Array.from({ length: host === 'slow' ? 30 : 32 }, (_, n) =>
      ask(app, `https://www.${host}${n}.example:${port}/x`, `198.51.${n}.1`),
    )
    await setTimeout(200)
    const system = time(lookup('localhost'))
    report(`${name}: another's document takes`, await time(askHonest(app)))
    report(`${name}: a name by getaddrinfo takes`, await system)
    if (host === 'silent') await Promise.all(others)
  }
  process.exit()
}

/** An honest website that refuses every path but one, and hosts that never answer. */
async function startWeb() {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'web' }], {
    keyType: 'ec',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: HONEST }] },
    ],
  })
  let requests = 0
  const server = createTlsServer({ key, cert }, (request, response) => {
    if (request.url !== '/good') requests += 1
    const document = {
      client_id: `https://${HONEST}:${WEB}/good`,
      client_name: 'Honest',
      redirect_uris: [`https://${HONEST}/callback`],
    }
    response.writeHead(request.url === '/good' ? 200 : 404, { 'content-type': 'application/json' })
    response.end(JSON.stringify(document))
  })
  const silence = createServer((socket) => {
    socket.on('error', () => {})
    socket.resume()
  })
  await new Promise<void>((done) => server.listen(WEB, '127.0.0.1', done))
  await new Promise<void>((done) => silence.listen(SILENCE, '127.0.0.1', done))
  /** The number of requests for missing paths since the last call. */
  const count = () => {
    const counted = requests
    requests = 0
    return counted
  }
  return { ca: cert, count }
}

/** Answers every name with 127.0.0.1, except slow names, which get no answer. */
async function startNameserver(): Promise<void> {
  const server = createSocket('udp4')
  server.on('message', (query, { port }) => {
    if (query.includes('slow')) return
    const end = query.indexOf(0, 12) + 5
    const ipv4 = query.readUInt16BE(end - 4) === 1
    const header = Buffer.from(query.subarray(0, 12))
    header.writeUInt16BE(0x8180, 2)
    header.set([0, 1, 0, ipv4 ? 1 : 0, 0, 0, 0, 0], 4)
    const record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]
    const answer = Buffer.from(ipv4 ? record : [])
    server.send(Buffer.concat([header, query.subarray(12, end), answer]), port, '127.0.0.1')
  })
  await new Promise<void>((done) => server.bind(53, '127.0.0.1', done))
}
