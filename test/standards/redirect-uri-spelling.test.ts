import { execFileSync, spawnSync } from 'node:child_process'
import t, { type Test } from 'tap'
import { createAgent as createLibraryAgent } from '../../agent/index.ts'
import type { Client } from '../../plugins/core/core.ts'
import type { Settings } from '../../plugins/core/settings.ts'
import { redirectUriProblem } from '../../schemas/client.ts'
import { isLoopback } from '../../schemas/uri.ts'
import {
  authenticate,
  authorize,
  authorizeQuery,
  build,
  createAgent,
  createApi,
  createSite,
  getCode,
  open,
  pkce,
  redeem,
  startWeb,
  TestClock,
} from '../harness.ts'

/** Texts that parsers read in different ways, or that can be written in another way. */
const MANY_SPELLINGS: [name: string, uri: string][] = [
  ['a backslash before another host', 'https://shop.example\\@evil.example/cb'],
  ['a backslash in the path', 'https://shop.example/a\\b'],
  ['backslashes for slashes', 'https:\\\\shop.example\\cb'],
  ['a user', 'https://shop.example@evil.example/cb'],
  ['a user and a password', 'https://shop.example:443@evil.example/cb'],
  ['an empty user', 'https://@shop.example/cb'],
  ['a port and a user', 'https://shop.example:1\\@evil.example/cb'],
  ['a tab', 'https://shop.example/\tcb'],
  ['a tab in the host', 'https://shop\t.example/cb'],
  ['a newline', 'https://shop.example/cb\n'],
  ['a carriage return in the scheme', 'ht\rtps://shop.example/cb'],
  ['a space before', ' https://shop.example/cb'],
  ['a space within', 'https://shop.example/c b'],
  ['a NUL', 'https://shop.example/cb\0'],
  ['a delete character', 'https://shop.example/cb\x7f'],
  ['a C1 control', 'https://shop.example/cb\x85'],
  ['a percent-encoded host', 'https://shop%2eexample/cb'],
  ['a percent-encoded slash in the host', 'https://shop.example%2f@evil.example/cb'],
  ['an IDN in its own letters', 'https://b\u00fccher.example/cb'],
  ['an IDN with a full-width letter', 'https://\uff53hop.example/cb'],
  ['an ideographic full stop', 'https://shop\u3002example/cb'],
  ['a soft hyphen in the host', 'https://shop\u00ad.example/cb'],
  ['an upper-case host', 'https://Shop.example/cb'],
  ['an upper-case scheme', 'HTTPS://shop.example/cb'],
  ['the default port', 'https://shop.example:443/cb'],
  ['the default port of the loopback', 'http://127.0.0.1:80/cb'],
  ['an empty port', 'https://shop.example:/cb'],
  ['a port with a leading zero', 'https://shop.example:08443/cb'],
  ['a port that is too large', 'https://shop.example:99999/cb'],
  ['dot segments', 'https://shop.example/a/../cb'],
  ['encoded dot segments', 'https://shop.example/a/%2e%2e/cb'],
  ['a short IPv4 address', 'http://127.1/cb'],
  ['a hexadecimal IPv4 address', 'http://0x7f.1/cb'],
  ['an octal IPv4 address', 'http://0177.0.0.1/cb'],
  ['an IPv4 address as a number', 'http://2130706433/cb'],
  ['an IPv4 address in IPv6', 'http://[::ffff:127.0.0.1]/cb'],
  ['the same in its normal form', 'http://[::ffff:7f00:1]/cb'],
  ['a long IPv6 address', 'http://[0:0:0:0:0:0:0:1]/cb'],
  ['an IPv6 zone', 'http://[fe80::1%25eth0]/cb'],
  ['a trailing dot', 'https://shop.example./cb'],
  ['a trailing dot of localhost', 'http://localhost./cb'],
  ['an empty label', 'https://shop..example/cb'],
  ['one slash', 'https:/shop.example/cb'],
  ['no slash', 'https:shop.example/cb'],
  ['three slashes', 'https:///shop.example/cb'],
  ['no scheme', '//shop.example/cb'],
  ['no host', 'https:///'],
  ['a wildcard host', 'https://*.shop.example/cb'],
  ['a wildcard path', 'https://shop.example/*'],
  ['a fragment', 'https://shop.example/cb#x'],
  ['an empty fragment', 'https://shop.example/cb#'],
  ['a query without a path', 'https://shop.example?x=1'],
  ['a comma in the host', 'https://shop.example,evil.example/cb'],
  ['a semicolon in the host', 'https://shop.example;evil.example/cb'],
  ['a quote in the query', "https://shop.example/cb?x='"],
  ['angle brackets', 'https://shop.example/<cb>'],
  ['brackets in the path', 'https://shop.example/[cb]'],
  ['broken percent-encoding', 'https://shop.example/%zz'],
  ['too long', `https://shop.example/${'c'.repeat(2048)}`],
  ['http elsewhere', 'http://shop.example/cb'],
  ['http below localhost', 'http://localhost.shop.example/cb'],
  ['http at any address', 'http://0.0.0.0/cb'],
  ['a script', 'javascript:alert(1)'],
  ['a relative reference', '/cb'],
  ['nothing', ''],
]

const ONE_SPELLING = [
  'https://shop.example',
  'https://shop.example/',
  'https://shop.example/cb',
  'https://shop.example:8443/cb?x=1&y=%2F',
  'https://xn--bcher-kva.example/cb',
  'https://shop_a.example/cb',
  'https://shop.example/cb/@evil.example',
  'https://shop.example//cb;x=1,2/~a',
  'https://192.0.2.1/cb',
  'https://[2001:db8::1]:8443/cb',
  'http://localhost/cb',
  'http://localhost:3000/cb',
  'http://127.0.0.1/cb',
  'http://127.0.0.2:9/cb',
  'http://127.255.255.254/cb',
  'http://[::1]:9/cb',
]

/** A server at which everybody may register, whoever vouches for the client. */
async function setUp(t: Test, settings: Partial<Settings> = {}) {
  const web = await startWeb(t)
  const clock = new TestClock()
  const options = { clock, network: web.network }
  const app = await build(t, { DYNAMIC_REGISTRATION: 'open', ...settings }, options)
  let documents = 0
  const byDocument = async (redirect_uri: string) => {
    documents += 1
    // What one host may have fetched is bounded.
    clock.advance(3600)
    const path = `/${documents}.json`
    const client_id = web.url('client.example', path)
    const document = { client_id, client_name: 'The Client', redirect_uris: [redirect_uri] }
    web.serveJson(path, document)
    const site = { client_id, client_secret: undefined, redirect_uri }
    const page = await authorize(app, authorizeQuery(site, pkce().code_challenge))
    t.equal(web.requests(path), 1, 'the document was read')
    return page.statusCode === 200
  }
  const byItself = async (redirect_uri: string) => {
    const payload = {
      client_name: 'The Client',
      redirect_uris: [redirect_uri],
      token_endpoint_auth_method: 'none',
    }
    return (await app.inject({ method: 'POST', url: '/register', payload })).statusCode === 201
  }
  const byOperator = async (redirect_uri: string) => {
    try {
      await createSite(app, {
        redirect_uris: [redirect_uri],
        token_endpoint_auth_method: 'none',
      })
      return true
    } catch {
      return false
    }
  }
  return { app, ways: { byOperator, byItself, byDocument } }
}

/** A client as a version without this rule could register it. */
async function createOldClient(
  app: Awaited<ReturnType<typeof build>>,
  redirect_uri: string,
  origin: Client['origin'] = 'operator',
) {
  const { client_id } = await createSite(app, { token_endpoint_auth_method: 'none' })
  const client = await app.store.clients.find(client_id)
  if (client === undefined) throw new Error('no client')
  const old = { ...client, client_id: `${client_id}-old`, redirect_uris: [redirect_uri], origin }
  await app.store.clients.create(old, undefined)
  return { client_id: old.client_id, client_secret: undefined, redirect_uri }
}

t.test('RFC 3986: a redirect URI that has several spellings cannot be registered', async (t) => {
  const { ways } = await setUp(t)
  for (const [name, uri] of MANY_SPELLINGS) {
    for (const [way, register] of Object.entries(ways)) {
      t.equal(await register(uri), false, `${way}: ${name}`)
    }
  }
  for (const uri of ONE_SPELLING) {
    for (const [way, register] of Object.entries(ways)) {
      t.equal(await register(uri), true, `${way}: ${uri}`)
    }
  }
})

t.test('RFC 3986: nor can a jwks_uri or a resource be', async (t) => {
  const app = await build(t)
  const createWithKeys = (jwks_uri: string) =>
    createSite(app, { token_endpoint_auth_method: 'private_key_jwt', jwks_uri })
  // These say only that a redirect URI may not look like this.
  const alike = MANY_SPELLINGS.filter(([name]) => !/fragment|wildcard path/.test(name))
  for (const [name, uri] of alike) {
    await t.rejects(createWithKeys(uri), { code: 'invalid_client_metadata' }, `jwks_uri: ${name}`)
    // These have one spelling; https is not required of a resource.
    if (/^(http at|http else|http below|a script|the same)/.test(name)) continue
    await t.rejects(createApi(app, { uri }), { code: 'invalid_target' }, `resource: ${name}`)
  }
  for (const uri of ONE_SPELLING.filter((each) => each.startsWith('https:'))) {
    t.ok(await createWithKeys(uri), uri)
  }
})

t.test('what was registered before leads nobody to a second host', async (t) => {
  const app = await build(t)
  const agent = await createAgent(app, undefined, { sites: 'any' })
  for (const [name, redirect_uri] of MANY_SPELLINGS) {
    for (const origin of ['operator', 'dynamic'] as const) {
      const site = await createOldClient(app, redirect_uri, origin)
      for (const change of [{}, { redirect_uri: undefined }, { prompt: 'none' }]) {
        const query = authorizeQuery(site, pkce().code_challenge, change)
        const page = await authorize(app, query)
        t.equal(page.statusCode, 400, `${name}: a page`)
        t.equal(page.headers.location, undefined, `${name}: no redirect`)
        t.notMatch(page.body, 'href=', `${name}: no link`)
        const json = await authorize(app, query, { accept: 'application/json' })
        t.equal(json.json().error, 'invalid_request', `${name}: as JSON`)
      }
    }
  }

  t.test('nor does a request that was opened before', async (t) => {
    const site = await createSite(app)
    for (const [name, redirect_uri] of MANY_SPELLINGS.slice(0, 8)) {
      const { request_id } = await open(app, site)
      const opened = await app.store.authorizationRequests.find(request_id)
      if (opened === undefined) throw new Error('no request')
      const old = { ...opened, redirect_uri, resource: [], browser_hash: null }
      const pending = `${request_id}-old`
      await app.store.authorizationRequests.open({ ...old, request_id: pending })
      const refused = await authenticate(app, pending, agent)
      t.equal(refused.statusCode, 400, name)
      t.match(refused.json(), { success: false, error: 'invalid_request' }, name)

      // An older version authenticated it, and this one is asked for the code.
      await app.store.authorizationRequests.authenticate({
        request_id: pending,
        agent_id: agent.agent_id,
        model: 'test-model',
        deliver: null,
        amr: 'agent_secret',
        grant_id: `grant_${pending}`,
        now: app.clock.now(),
        code_expires_at: app.clock.now() + 60,
        event: { event_id: `event_${pending}`, address: null, detail: null },
      })
      const status = await app.inject(`/api/check-status?request_id=${pending}`)
      t.notMatch(status.body, /ac_|redirect_to/, name)
      t.equal(status.json().error, 'invalid_request', name)
    }
  })

  t.test('and it can still be disabled, or registered anew', async (t) => {
    const { client_id } = await createOldClient(app, 'https://shop.example\\@evil.example/cb')
    t.ok(await app.registration.updateClient(client_id, { disabled_at: app.clock.now() }))
    const redirect_uris = ['https://shop.example/cb']
    t.match(await app.registration.updateClient(client_id, { redirect_uris }), { redirect_uris })
  })
})

t.test('RFC 8252 section 7.3: the port is free at every loopback address', async (t) => {
  const app = await build(t)
  const agent = await createAgent(app)
  const hosts = ['127.0.0.1', '127.0.0.2', '127.255.255.254', '[::1]', 'localhost']
  for (const host of hosts) {
    const site = await createSite(app, {
      redirect_uris: [`http://${host}/cb`],
      token_endpoint_auth_method: 'none',
    })
    const redirect_uri = `http://${host}:51234/cb`
    const page = await authorize(app, authorizeQuery(site, pkce().code_challenge, { redirect_uri }))
    t.match(page.body, 'returns to a program on this computer', `${host}: the page warns of it`)
    const code = await getCode(app, site, agent, { redirect_uri })
    t.equal((await redeem(app, site, code, { redirect_uri })).statusCode, 200, host)
    for (const other of hosts.filter((each) => each !== host)) {
      const change = { redirect_uri: `http://${other}:51234/cb` }
      const refused = await authorize(app, authorizeQuery(site, pkce().code_challenge, change))
      t.equal(refused.statusCode, 400, `${host} is not ${other}`)
    }
    const issuer = `http://${host}:8080`
    t.ok(await build(t, { ISSUER: issuer }), `${host} may be an issuer`)
    t.ok(createLibraryAgent({ issuer, model: 'x' }), `${host}: to the library, too`)
  }
  for (const host of [
    '0.0.0.0',
    '10.0.0.1',
    '128.0.0.1',
    '[::]',
    '[::ffff:7f00:1]',
    'a.localhost',
  ]) {
    t.equal(isLoopback(new URL(`http://${host}`).hostname), false, host)
    const issuer = `http://${host}:8080`
    await t.rejects(build(t, { ISSUER: issuer }), { name: 'SettingsError' }, host)
    const create = () => createLibraryAgent({ issuer, model: 'x' })
    t.throws(create, { code: 'configuration' }, `${host}: to the library, too`)
  }
})

/** RFC 3986 appendix B, and the host of its authority (section 3.2). */
function hostByRfc3986(uri: string): string | undefined {
  const [, , , , authority = ''] =
    uri.match(/^(([^:/?#]+):)?(\/\/([^/?#]*))?([^?#]*)(\?([^#]*))?(#(.*))?/) ?? []
  return authority.match(/^(?:.*@)?(\[[^\]]*\]|[^:]*)(?::\d*)?$/)?.[1]
}

/** Every combination of parts that parsers have been seen to disagree on. */
function* mixtures(): Generator<string> {
  const schemes = ['https:', 'http:', 'HTTPS:']
  const slashes = ['//', '/', '///', '\\\\']
  const hosts = ['shop.example', '127.0.0.1', '[::1]', 'localhost', 'shop.example.', '127.1']
  const joints = [
    '',
    '\\',
    '@evil.example',
    '\\@evil.example',
    ':80',
    ':443',
    ':8',
    '%2f',
    '#',
    '?',
  ]
  const ends = ['', '/', '/cb', '@evil.example/cb', '/../cb', '?x=@evil.example', '/a:b@c']
  for (const scheme of schemes)
    for (const slash of slashes)
      for (const host of hosts)
        for (const joint of joints)
          for (const end of ends) yield scheme + slash + host + joint + end
}

t.test('every parser finds the same host in a redirect URI that is accepted', async (t) => {
  const accepted = [...ONE_SPELLING, ...mixtures()].filter(
    (uri) => redirectUriProblem(uri) === undefined,
  )
  t.ok(accepted.length > 50, `${accepted.length} accepted`)
  for (const uri of accepted) t.equal(hostByRfc3986(uri), new URL(uri).hostname, uri)

  const python = spawnSync('python3', ['--version']).status === 0
  t.test('Python too', { skip: python ? false : 'no python3' }, async (t) => {
    const program =
      'import json,sys,urllib.parse as u;print(json.dumps([u.urlsplit(x).hostname for x in json.load(sys.stdin)]))'
    const hosts = execFileSync('python3', ['-c', program], { input: JSON.stringify(accepted) })
    const whatwg = accepted.map((uri) => new URL(uri).hostname.replace(/^\[|\]$/g, ''))
    t.same(JSON.parse(hosts.toString()), whatwg)
  })
})
