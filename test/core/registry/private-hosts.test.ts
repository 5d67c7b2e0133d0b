import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import t, { type Test } from 'tap'
import { CLIENT_ASSERTION_TYPE } from '../../../plugins/core/callers/client-assertion.ts'
import {
  authorize,
  authorizeQuery,
  build,
  createAgent,
  createApi,
  createSite,
  encode,
  pkce,
  post,
  signIn,
  startWeb,
} from '../../harness.ts'
import { makeFolder } from '../../processes.ts'
import { fresh, run, runProcess, serve } from '../../scripts/command.ts'

const PATH = '/client.json'
const HOST = 'client.example'
const REDIRECT = 'https://client.example/callback'

/** A server for which every name has these addresses, with the guard as it comes. */
async function setUp(t: Test, PRIVATE_HOSTS: string, addresses = ['127.0.0.1']) {
  const web = await startWeb(t)
  const lines: Record<string, unknown>[] = []
  const write = (line: string) => void lines.push(JSON.parse(line))
  let lookups = 0
  const lookup = async () => {
    lookups += 1
    return addresses
  }
  const network = { ca: web.network.ca, lookup }
  const settings = { PRIVATE_HOSTS, LOG_LEVEL: 'info' }
  const app = await build(t, settings, { network, logStream: { write } })
  const serveDocument = (client_id: string) =>
    web.serveJson(PATH, {
      client_id,
      client_name: 'At Home',
      redirect_uris: [REDIRECT],
      token_endpoint_auth_method: 'none',
    })
  const ask = (client_id: string) => {
    const site = { client_id, client_secret: undefined, redirect_uri: REDIRECT }
    return authorize(app, authorizeQuery(site, pkce().code_challenge))
  }
  const reasons = () => lines.flatMap(({ reason, hint }) => hint ?? reason ?? [])
  return { app, web, serveDocument, ask, reasons, lookups: () => lookups }
}

t.test('the document of a private host is fetched where PRIVATE_HOSTS names it', async (t) => {
  const rows: [PRIVATE_HOSTS: string, host: string, status: number][] = [
    ['none', HOST, 400],
    ['', HOST, 400],
    [HOST, HOST, 200],
    ['Client.Example.', HOST, 200],
    ['other.example, client.example', HOST, 200],
    ['*.example', HOST, 200],
    ['*.client.example', HOST, 400],
    ['*.ient.example', HOST, 400],
    ['example', HOST, 400],
    ['other.example', HOST, 400],
    ['127.0.0.1', '127.0.0.1', 200],
    ['127.0.0.1', HOST, 400],
    ['127.0.0.2', '127.0.0.1', 400],
    [HOST, '127.0.0.1', 400],
  ]
  for (const [PRIVATE_HOSTS, host, status] of rows) {
    const { web, serveDocument, ask, reasons } = await setUp(t, PRIVATE_HOSTS)
    const client_id = web.url(host, PATH)
    serveDocument(client_id)
    const name = `${PRIVATE_HOSTS} for ${host}`
    const page = await ask(client_id)
    t.equal(page.statusCode, status, name)
    t.equal(web.requests(PATH), status === 200 ? 1 : 0, `${name}: requests`)
    if (status === 200) continue
    t.match(page.body, /is not on the public internet/, 'strangers are told as ever')
    t.notMatch(page.body, /PRIVATE_HOSTS|127\.0\.0\.1 |private/)
    t.match(reasons(), [/private address; name its host in PRIVATE_HOSTS to allow it/], name)
  }
})

t.test('a private host reaches no address that is neither public nor private', async (t) => {
  const rows: [addresses: string[], reason: RegExp][] = [
    [['169.254.169.254'], /link-local/],
    [['::ffff:169.254.169.254'], /link-local/],
    [['fe80::1'], /link-local/],
    [['fe80::1%lo'], /link-local/],
    [['fd00:ec2::254'], /metadata/],
    [['100.100.100.200'], /metadata/],
    [['127.0.0.1', '169.254.169.254'], /link-local/],
    [['1.1.1.1', '127.0.0.1', 'fe80::1'], /link-local/],
    [['127.0.0.1', '64:ff9b::a9fe:a9fe'], /special use/],
    [['127.0.0.1', '0.0.0.0'], /special use/],
  ]
  for (const [addresses, reason] of rows) {
    const { web, serveDocument, ask, reasons } = await setUp(t, `${HOST},*.example`, addresses)
    const client_id = web.url(HOST, PATH)
    serveDocument(client_id)
    const page = await ask(client_id)
    t.equal(page.statusCode, 400, addresses.join())
    t.match(page.body, 'its document cannot be fetched')
    t.match(reasons(), [reason], addresses.join())
    t.equal(web.requests(PATH), 0)
  }
  for (const literal of ['169.254.169.254', '[fe80::1]', '[fd00:ec2::254]', '[::ffff:a9fe:a9fe]']) {
    const { ask } = await setUp(t, '*.example')
    t.equal((await ask(`https://${literal}/latest/meta-data`)).statusCode, 400, literal)
  }
})

t.test('a private host is connected to at an address that was checked', async (t) => {
  const mixed = await setUp(t, HOST, ['127.0.0.1', '1.1.1.1'])
  const client_id = mixed.web.url(HOST, PATH)
  mixed.serveDocument(client_id)
  t.equal((await mixed.ask(client_id)).statusCode, 200, 'a private and a public one')
  t.equal(mixed.lookups(), 1, 'its name is asked for once')
  const closed = await setUp(t, 'none', ['1.1.1.1', '127.0.0.1'])
  t.equal((await closed.ask(closed.web.url(HOST, PATH))).statusCode, 400, 'not listed')
})

t.test('a private host leads no further: redirects are not followed', async (t) => {
  const { app, web, ask, reasons } = await setUp(t, HOST)
  for (const [n, location] of [
    'https://169.254.169.254/',
    web.url(HOST, '/secret'),
    web.url('127.0.0.1', '/secret'),
  ].entries()) {
    const path = `/redirect${n}.json`
    web.serve(path, (_request, response) => response.writeHead(302, { location }).end())
    t.match((await ask(web.url(HOST, path))).body, 'its document cannot be fetched', location)
  }
  t.match(reasons(), [/answered 302 instead of 200/])
  t.equal(web.requests('/secret'), 0)
  t.ok(app)
})

t.test('a stranger learns nothing of what a private host serves', async (t) => {
  const { app, web, ask, reasons } = await setUp(t, HOST)
  web.serveJson('/status', { cpu: 4 })
  web.serveJson('/large', { text: 'x'.repeat(6000) })
  web.serveJson('/compressed', {}, { 'content-encoding': 'gzip' })
  web.serve('/page', (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<h1>Router</h1>')
  })
  web.serve('/text', (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('no JSON')
  })
  web.serve('/login', (_request, response) => response.writeHead(401).end())
  const closed = `https://${HOST}:1/status`
  const bodies = new Set<string>()
  const paths = ['/status', '/large', '/compressed', '/page', '/text', '/login', '/nothing']
  for (const url of [...paths.map((path) => web.url(HOST, path)), closed]) {
    const site = { client_id: url, client_secret: undefined, redirect_uri: REDIRECT }
    const query = authorizeQuery(site, pkce().code_challenge)
    const refused = await app.inject({
      url: `/authorize?${encode(query)}`,
      headers: { accept: 'application/json' },
    })
    t.equal(refused.statusCode, 400, url)
    bodies.add(refused.body)
    t.equal((await ask(url)).statusCode, 400, url)
  }
  t.equal(bodies.size, 1, [...bodies].join())
  t.ok(reasons().length > 0, 'the log says why')

  await t.test('nor at its jwks_uri', async (t) => {
    const { privateKey, publicKey } = await generateKeyPair('ES256')
    const answers = new Set<string>()
    for (const path of [...paths, '/keys']) {
      const { client } = await app.registration.createClient({
        client_name: 'At Home',
        redirect_uris: [REDIRECT],
        token_endpoint_auth_method: 'private_key_jwt',
        jwks_uri: web.url(HOST, path),
      })
      if (path === '/keys') web.serveJson(path, { keys: [await exportJWK(publicKey)] })
      const assertion = await sign(app, client.client_id, privateKey)
      const answer = await post(app, '/token', undefined, {
        grant_type: 'refresh_token',
        refresh_token: 'x',
        ...assertion,
      })
      if (path === '/keys') t.equal(answer.json().error, 'invalid_grant', 'the client is known')
      else answers.add(`${answer.statusCode} ${answer.body}`)
    }
    t.equal(answers.size, 1, [...answers].join())
    t.match([...answers], [/^401 .*The jwks_uri cannot be fetched/])
  })
})

async function sign(app: FastifyInstance, client_id: string, key: CryptoKey) {
  const now = app.clock.now()
  const client_assertion = await new SignJWT({ jti: crypto.randomUUID() })
    .setProtectedHeader({ alg: 'ES256' })
    .setIssuer(client_id)
    .setSubject(client_id)
    .setAudience(app.settings.ISSUER)
    .setIssuedAt(now)
    .setExpirationTime(now + 60)
    .sign(key)
  return { client_assertion, client_assertion_type: CLIENT_ASSERTION_TYPE }
}

t.test('websites and APIs of a private network need no setting', async (t) => {
  const app = await build(t)
  const agent = await createAgent(app)
  for (const host of ['nas.home.arpa', '192.168.1.5:8443', '10.0.0.1', '[fd00::1]', 'nas']) {
    await createApi(app, { uri: `https://${host}/mcp`, scopes: [] })
    const site = await createSite(app, { redirect_uris: [`https://${host}/callback`] })
    const tokens = await signIn(app, site, agent, { resource: `https://${host}/mcp` })
    t.type(tokens.access_token, 'string', host)
  }
})

t.test('a server as a process trusts the authority of NODE_EXTRA_CA_CERTS', async (t) => {
  const web = await startWeb(t)
  const file = join(makeFolder(t), 'authority.pem')
  writeFileSync(file, web.network.ca ?? '')
  const PRIVATE_HOSTS = 'localhost, 127.0.0.1'
  const NODE_EXTRA_CA_CERTS = file
  const rows: [name: string, environment: Record<string, string>, reason?: RegExp][] = [
    ['both', { PRIVATE_HOSTS, NODE_EXTRA_CA_CERTS }],
    ['a name alone', { PRIVATE_HOSTS: 'localhost', NODE_EXTRA_CA_CERTS }],
    ['no setting', { NODE_EXTRA_CA_CERTS }, /name its host in PRIVATE_HOSTS/],
    ['no authority', { PRIVATE_HOSTS }, /authority .* NODE_EXTRA_CA_CERTS/],
  ]
  for (const [name, environment, reason] of rows) {
    const settings = { ...fresh(t), ...environment }
    const { url, child, lines } = await serve(t, settings)
    // Without the setting, a name is asked of nameservers alone, which need not know this one.
    const host = name === 'a name alone' ? 'localhost' : '127.0.0.1'
    const client_id = web.url(host, PATH)
    web.serveJson(PATH, { client_id, client_name: 'At Home', redirect_uris: [REDIRECT] })
    const site = { client_id, client_secret: undefined, redirect_uri: REDIRECT }
    const page = await fetch(
      `${url}/authorize?${encode(authorizeQuery(site, pkce().code_challenge))}`,
    )
    t.equal(page.status, reason === undefined ? 200 : 400, name)
    child.kill('SIGTERM')
    await once(child, 'close')
    if (reason === undefined) continue
    t.match(
      lines.filter((line) => line.hint !== undefined),
      [{ hint: reason }],
      name,
    )
    t.notMatch(await page.text(), /PRIVATE_HOSTS|NODE_EXTRA/, name)
  }

  await t.test('and the command line names what is missing', async (t) => {
    const args = ['client', 'create', '--name', 'Job', '--redirect-uri', REDIRECT]
    const keys = ['--jwks-uri', web.url('127.0.0.1', '/keys')]
    web.serveJson('/keys', { keys: [] })
    const environment = fresh(t)
    const closed = await run(environment, ...args, ...keys)
    t.match(closed, { code: 0, out: /private address; name its host in PRIVATE_HOSTS to allow it/ })
    const open = { ...environment, PRIVATE_HOSTS, NODE_EXTRA_CA_CERTS }
    // Node reads NODE_EXTRA_CA_CERTS once, when a process starts.
    const { out } = await runProcess(open, ...args, ...keys, '--json')
    t.notOk('warning' in JSON.parse(out))
    const bad = await run({ ...environment, PRIVATE_HOSTS: '*' }, 'client', 'list')
    t.match(bad, { code: 1, err: /PRIVATE_HOSTS=\*: "\*": must be none alone, or a host/ })
  })
})
