import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import type { IncomingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import { type AddressInfo, connect } from 'node:net'
import { join } from 'node:path'
import { generate } from 'selfsigned'
import t, { type Test } from 'tap'
import type { Settings } from '../../plugins/core/settings.ts'
import { freePort } from '../clients/live.ts'
import { build, createAgent, createSite, encode, open } from '../harness.ts'
import { makeFolder } from '../processes.ts'

const page = readFileSync(join(import.meta.dirname, '../../scripts/README.md'), 'utf8')

/** The blocks of code that the operators' page shows in a language. */
function blocks(language: string): string[] {
  const found = page.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))
  return [...found].map(([, code = '']) => code)
}

function skipWithout(program: string): string | false {
  const missing = spawnSync(program, ['-v']).error !== undefined
  return missing && `${program} is not installed, so its lines were not run`
}

interface Origin {
  /** Where the server listens, as the page writes `127.0.0.1:8080`. */
  address: string
  /** The address that the server took each request for. */
  visitors: string[]
  guess(): Record<string, unknown>
  authorizePath(state: string): string
}

/** A server as the page tells to set it up, which logs whom it takes its visitors for. */
async function startOrigin(t: Test, settings: Partial<Settings> = {}): Promise<Origin> {
  const visitors: string[] = []
  const write = (line: string) => {
    const { msg, address } = JSON.parse(line)
    if (msg === 'answered') visitors.push(address)
  }
  const app = await build(
    t,
    {
      ISSUER: 'https://auth.example.com',
      TRUST_PROXY: 'loopback',
      LOG_LEVEL: 'info',
      THROTTLE_FAILURES: 10,
      ...settings,
    },
    { logStream: { write } },
  )
  await app.listen({ host: '127.0.0.1', port: 0 })
  const { agent_id } = await createAgent(app)
  const site = await createSite(app)
  const { client_id, redirect_uri } = site
  const { request_id } = await open(app, site)
  visitors.length = 0
  const { port } = app.server.address() as AddressInfo
  return {
    address: `127.0.0.1:${port}`,
    visitors,
    guess: () => ({ request_id, agent_id, agent_secret: 'ags_guess', model: 'm' }),
    authorizePath: (state) =>
      `/authorize?${encode({ client_id, redirect_uri, state, response_type: 'token' })}`,
  }
}

interface Visit {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

interface Door {
  visit(path: string, headers?: Record<string, string>, json?: object): Promise<Visit>
}

/** How a visitor reaches a proxy over TLS. */
function doorOf(port: number, ca: string): Door {
  return {
    visit: async (path, headers = {}, json) => {
      const outgoing = request({
        host: '127.0.0.1',
        port,
        path,
        ca,
        servername: 'auth.example.com',
        method: json === undefined ? 'GET' : 'POST',
        headers: {
          host: 'auth.example.com',
          ...(json && { 'content-type': 'application/json' }),
          ...headers,
        },
      })
      outgoing.end(json && JSON.stringify(json))
      const [response] = await once(outgoing, 'response')
      let body = ''
      for await (const chunk of response) body += chunk
      return { status: response.statusCode, headers: response.headers, body }
    },
  }
}

/** A certificate for auth.example.com, as the files that proxies read. */
async function certify(folder: string) {
  const { private: key, cert } = await generate([{ name: 'commonName', value: 'proxy' }], {
    keyType: 'ec',
    extensions: [
      { name: 'basicConstraints', cA: true },
      { name: 'subjectAltName', altNames: [{ type: 2, value: 'auth.example.com' }] },
    ],
  })
  const files = { pem: join(folder, 'a.pem'), key: join(folder, 'a.key'), both: join(folder, 'ab') }
  writeFileSync(files.pem, cert)
  writeFileSync(files.key, key)
  writeFileSync(files.both, `${cert}\n${key}`)
  return { cert, files }
}

/** Runs a proxy until the test ends; resolves when it accepts connections. */
async function run(t: Test, program: string, args: string[], port: number): Promise<void> {
  const child: ChildProcess = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (data) => {
      output += data
    })
  }
  t.teardown(async () => {
    if (child.exitCode !== null) return
    child.kill('SIGKILL')
    await once(child, 'exit')
  })
  while (!(await accepts(port))) {
    if (child.exitCode !== null) throw new Error(`${program} ended: ${output}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

/** An nginx of its own, in a folder of its own and as whoever runs the test. */
async function startNginx(t: Test, config: string, port: number): Promise<void> {
  const folder = makeFolder(t)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join('\n')
  const whole = `daemon off;
    master_process off;
    pid ${folder}/nginx.pid;
    error_log stderr;
    events {}
    http {
      access_log off;
      ${temporary}
      ${config}
    }`
  writeFileSync(join(folder, 'nginx.conf'), whole)
  const args = ['-p', folder, '-e', 'stderr', '-c', join(folder, 'nginx.conf')]
  await run(t, 'nginx', args, port)
}

/** The server block of the page, which listens here and leads to `address`. */
async function nginxServer(t: Test, block: string, address: string) {
  const port = await freePort()
  const { cert, files } = await certify(makeFolder(t))
  const config = block
    .replace('listen 443', `listen 127.0.0.1:${port}`)
    .replace('/etc/ssl/auth.example.com.pem', files.pem)
    .replace('/etc/ssl/auth.example.com.key', files.key)
    .replaceAll('127.0.0.1:8080', address)
  return { port, config, door: doorOf(port, cert) }
}

const forged = (guess: number) => ({
  'x-forwarded-for': `203.0.113.${guess}`,
  forwarded: `for=203.0.113.${guess}`,
  'x-real-ip': `203.0.113.${guess}`,
  'x-forwarded-host': 'evil.example',
  'x-forwarded-proto': 'ftp',
})

/** Guesses, each as if it came from somewhere else: all after the tenth are refused unseen. */
async function assertThrottled(t: Test, door: Door, origin: Origin, guesses = 15): Promise<void> {
  const statuses: number[] = []
  for (let guess = 1; guess <= guesses; guess++) {
    const { status } = await door.visit('/api/agent/authenticate', forged(guess), origin.guess())
    statuses.push(status)
  }
  t.same(statuses.slice(0, 10), Array(10).fill(401))
  t.same(statuses.slice(10), Array(guesses - 10).fill(429))
  t.same([...new Set(origin.visitors)], ['127.0.0.1'])
  const { body } = await door.visit('/.well-known/oauth-authorization-server', forged(1))
  t.equal(JSON.parse(body).issuer, 'https://auth.example.com')
}

t.test('nginx with the lines of the page', { skip: skipWithout('nginx') }, async (t) => {
  const [server = '', path = '', chain = '', ...others] = blocks('nginx')
  t.same(others, [])

  t.test('RFC 9700 section 4.13: a forged X-Forwarded-For is thrown away', async (t) => {
    const origin = await startOrigin(t)
    const { port, config, door } = await nginxServer(t, server, origin.address)
    await startNginx(t, config, port)
    await assertThrottled(t, door, origin, 40)
  })

  t.test('without the line nginx passes it on, so that the line is what helps', async (t) => {
    const origin = await startOrigin(t)
    const without = server.replace(/^.*X-Forwarded-For.*\n/m, '')
    const { port, config, door } = await nginxServer(t, without, origin.address)
    await startNginx(t, config, port)
    await door.visit('/api/agent/authenticate', forged(7), origin.guess())
    t.same(origin.visitors, ['203.0.113.7'])
  })

  t.test('long requests and redirects pass', async (t) => {
    const origin = await startOrigin(t)
    const { port, config, door } = await nginxServer(t, server, origin.address)
    await startNginx(t, config, port)
    const state = 's'.repeat(4000)
    const refused = await door.visit(origin.authorizePath(state))
    t.equal(refused.status, 303)
    t.equal(new URL(String(refused.headers.location)).searchParams.get('state'), state)
    const long = await door.visit(`/.well-known/jwks.json?${'x'.repeat(12_000)}`)
    t.equal(long.status, 200)
  })

  t.test('an issuer with a path has its metadata where clients look', async (t) => {
    const issuer = 'https://auth.example.com/agents'
    const origin = await startOrigin(t, { ISSUER: issuer })
    const block = server.replace(/^ *location \/ .*\n/m, path)
    t.not(block, server)
    const { port, config, door } = await nginxServer(t, block, origin.address)
    await startNginx(t, config, port)
    for (const at of [
      '/.well-known/oauth-authorization-server/agents',
      '/.well-known/openid-configuration/agents',
      '/agents/.well-known/openid-configuration',
    ]) {
      const { body } = await door.visit(at, forged(1))
      t.equal(JSON.parse(body).issuer, issuer, at)
    }
    t.same([...new Set(origin.visitors)], ['127.0.0.1'])
  })

  t.test(
    'a chain of proxies tells the visitor from what he forges, also past the CDN',
    async (t) => {
      // Addresses of one loopback network stand for the three machines.
      const [cdn, inner] = ['127.0.0.2', '127.0.0.3']
      const origin = await startOrigin(t, { TRUST_PROXY: `${cdn},${inner}` })
      const appending = server.replace(/^.*X-Forwarded-For.*\n/m, chain)
      const from = (block: string, address: string) =>
        block.replace('location / {', `location / { proxy_bind ${address};`)
      const behind = await nginxServer(t, from(appending, inner), origin.address)
      await startNginx(t, behind.config, behind.port)
      const toBehind = from(server, cdn).replace('http://127.0.0.1:8080', 'https://127.0.0.1:8080')
      const front = await nginxServer(t, toBehind, `127.0.0.1:${behind.port}`)
      await startNginx(t, front.config, front.port)
      await assertThrottled(t, front.door, origin)
      const past = await behind.door.visit('/api/agent/authenticate', forged(9), origin.guess())
      t.equal(past.status, 429)
      t.same([...new Set(origin.visitors)], ['127.0.0.1'])
    },
  )
})

t.test('HAProxy with the lines of the page', { skip: skipWithout('haproxy') }, async (t) => {
  const [lines = '', ...others] = blocks('haproxy')
  t.same(others, [])
  const origin = await startOrigin(t)
  const folder = makeFolder(t)
  const { cert, files } = await certify(folder)
  const port = await freePort()
  const config = lines
    .replace(':443', `127.0.0.1:${port}`)
    .replace('/etc/haproxy/auth.example.com.pem', files.both)
    .replace('127.0.0.1:8080', origin.address)
  writeFileSync(join(folder, 'haproxy.cfg'), config)
  await run(t, 'haproxy', ['-db', '-f', join(folder, 'haproxy.cfg')], port)
  await assertThrottled(t, doorOf(port, cert), origin)
})

t.test('Caddy with the lines of the page', { skip: skipWithout('caddy') }, async (t) => {
  const [lines = '', ...others] = blocks('caddyfile')
  t.same(others, [])
  const origin = await startOrigin(t)
  const folder = makeFolder(t)
  const { cert, files } = await certify(folder)
  const port = await freePort()
  const config = lines
    .replace('auth.example.com {', `auth.example.com:${port} {\ntls ${files.pem} ${files.key}`)
    .replace('127.0.0.1:8080', origin.address)
  const options = `{\nadmin off\nauto_https disable_redirects\ndefault_bind 127.0.0.1\nstorage file_system ${folder}\n}\n`
  writeFileSync(join(folder, 'Caddyfile'), options + config)
  const args = ['run', '--adapter', 'caddyfile', '--config', join(folder, 'Caddyfile')]
  await run(t, 'caddy', args, port)
  await assertThrottled(t, doorOf(port, cert), origin)
})
