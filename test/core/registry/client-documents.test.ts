import { exportJWK, generateKeyPair, SignJWT } from 'jose'
import t, { type Test } from 'tap'
import { CLIENT_ASSERTION_TYPE } from '../../../plugins/core/callers/client-assertion.ts'
import type { Network } from '../../../plugins/core/registry/fetch-document.ts'
import type { Settings } from '../../../plugins/core/settings.ts'
import {
  type Answer,
  authorize,
  authorizeQuery,
  build,
  createAgent,
  open,
  pkce,
  post,
  refresh,
  signIn,
  startWeb,
  TestClock,
} from '../../harness.ts'

const REDIRECT = 'https://client.example/callback'
const PATH = '/client.json'

/** A client's website and a server that can reach it. */
async function setUp(t: Test, settings: Partial<Settings> = {}, network: Partial<Network> = {}) {
  const clock = new TestClock()
  const web = await startWeb(t)
  const app = await build(t, settings, { clock, network: { ...web.network, ...network } })
  const client_id = web.url('client.example', PATH)
  const document = {
    client_id,
    client_name: 'The Client',
    redirect_uris: [REDIRECT],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'none',
  }
  const site = { client_id, client_secret: undefined, redirect_uri: REDIRECT }
  /** What a browser sees of a request by a client with this id. */
  const ask = async (id: string = client_id, redirect_uri = REDIRECT) =>
    await authorize(
      app,
      authorizeQuery({ ...site, client_id: id, redirect_uri }, pkce().code_challenge),
    )
  const serve = (change: Record<string, unknown> = {}, headers: Record<string, string> = {}) =>
    web.serveJson(PATH, { ...document, ...change }, headers)
  serve()
  return { app, clock, web, site, client_id, document, ask, serve }
}

t.test('a client with a metadata document signs agents in unregistered', async (t) => {
  const { app, site, client_id, web } = await setUp(t)
  const metadata = (await app.inject({ url: '/.well-known/oauth-authorization-server' })).json()
  t.equal(metadata.client_id_metadata_document_supported, true)
  t.ok(metadata.token_endpoint_auth_methods_supported.includes('none'))

  const tokens = await signIn(app, site, await createAgent(app, undefined, { sites: 'any' }))
  const refreshed = (await refresh(app, site, tokens.refresh_token)).json()
  t.equal((await post(app, '/revoke', site, { token: refreshed.access_token })).statusCode, 200)
  t.equal(web.requests(PATH), 1, 'the document is fetched once')
  t.match(await app.store.clients.find(client_id), { client_id, origin: 'document' })
})

t.test('CIMD: the page shows the hosts of the client and of the redirect', async (t) => {
  const { ask, client_id } = await setUp(t)
  const host = new URL(client_id).host
  const page = await ask()
  t.equal(page.statusCode, 200)
  t.match(page.body, `<strong>${host}</strong>`)
  t.match(page.body, '<strong>client.example</strong>')
  t.match(page.body, 'Nobody here has checked')
})

t.test('CIMD: a redirect to this computer alone is warned of', async (t) => {
  const { ask, serve } = await setUp(t)
  serve({ redirect_uris: ['http://127.0.0.1/callback'] })
  const page = await ask(undefined, 'http://127.0.0.1:4711/callback')
  t.equal(page.statusCode, 200, page.body)
  t.match(page.body, 'returns to a program on this computer')
})

t.test('CIMD section 3: client_id URLs that are refused, unfetched', async (t) => {
  const { web, ask } = await setUp(t)
  const url = web.url('client.example', '')
  for (const [name, id] of Object.entries({
    'not https': `${url.replace('https:', 'http:')}${PATH}`,
    'no path': url,
    'a bare slash': `${url}/`,
    'a fragment': `${url}${PATH}#x`,
    'a user': `${url.replace('//', '//user:password@')}${PATH}`,
    'a dot segment': `${url}/a/..${PATH}`,
    'an encoded dot segment': `${url}/a/%2e%2e${PATH}`,
    'a single dot': `${url}/.${PATH}`,
    'another spelling': `${url.replace('client', 'CLIENT')}${PATH}`,
    'a dot at the end of the host': `${url.replace('.example', '.example.')}${PATH}`,
    'IDN as it is written': `${url.replace('client', 'bücher')}${PATH}`,
    'a backslash': `${url}\\@evil.example${PATH}`,
    'a character that needs encoding': `${url}${PATH}?x=|`,
    'white space': ` ${url}${PATH}`,
    'no URL': 'https://',
    'too long': `${url}/${'x'.repeat(2048)}`,
  })) {
    const page = await ask(id)
    t.equal(page.statusCode, 400, name)
    t.match(page.headers['content-type'], 'text/html', name)
    t.notOk(page.headers.location, name)
  }
  t.equal(web.requests(PATH), 0)
})

t.test('CIMD section 4: documents that are refused', async (t) => {
  const { web, ask, document, client_id } = await setUp(t)
  const json = (text: string, type = 'application/json', status = 200): Answer => {
    return (_request, response) => response.writeHead(status, { 'content-type': type }).end(text)
  }
  const good = JSON.stringify(document)
  const answers: [string, Answer][] = [
    ['a redirect', (_request, response) => response.writeHead(302, { location: REDIRECT }).end()],
    ['404', json(good, 'application/json', 404)],
    ['500', json(good, 'application/json', 500)],
    ['201', json(good, 'application/json', 201)],
    ['HTML', json(good, 'text/html')],
    ['no JSON', json('{')],
    ['no object', json('[]')],
    ['more than 5 KB', json(JSON.stringify({ ...document, padding: 'x'.repeat(5200) }))],
    ['a broken connection', (_request, response) => response.destroy()],
    [
      'compressed',
      (_request, response) =>
        response
          .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
          .end(good),
    ],
  ]
  for (const [name, answer] of answers) {
    // Each at a URL of its own, so that no copy or failure of another is in the way.
    const query = `?${encodeURIComponent(name)}`
    web.serve(PATH + query, answer)
    const page = await ask(client_id + query)
    t.equal(page.statusCode, 400, name)
    t.match(page.body, 'The client_id cannot be used', name)
    t.notOk(page.headers.location, name)
    t.equal(web.requests(PATH + query), 1, name)
  }

  const changes: [string, Record<string, unknown>][] = [
    ['another client_id', { client_id: `${client_id}x` }],
    ['no client_id', { client_id: undefined }],
    ['no client_name', { client_name: undefined }],
    ['an empty name', { client_name: ' ' }],
    ['no redirect_uris', { redirect_uris: undefined }],
    ['empty redirect_uris', { redirect_uris: [] }],
    ['a redirect URI over http', { redirect_uris: ['http://client.example/cb'] }],
    ['client_secret_basic', { token_endpoint_auth_method: 'client_secret_basic' }],
    ['client_secret_post', { token_endpoint_auth_method: 'client_secret_post' }],
    ['client_secret_jwt', { token_endpoint_auth_method: 'client_secret_jwt' }],
    ['a client_secret', { client_secret: 'cs_x' }],
    ['a private key', { jwks: { keys: [{ kty: 'oct', k: 'x' }] } }],
    ['no grant that we have', { grant_types: ['client_credentials'] }],
  ]
  for (const [name, change] of changes) {
    const query = `?${encodeURIComponent(name)}`
    web.serveJson(PATH + query, { ...document, client_id: client_id + query, ...change })
    const page = await ask(client_id + query)
    t.equal(page.statusCode, 400, name)
    t.match(page.body, 'The client_id cannot be used', name)
    t.equal(web.requests(PATH + query), 1, name)
  }
  web.serveJson(`${PATH}?good`, { ...document, client_id: `${client_id}?good` })
  t.equal((await ask(`${client_id}?good`)).statusCode, 200)
})

t.test('CIMD section 6: an error is not kept for longer than a minute', async (t) => {
  const { web, clock, ask, serve } = await setUp(t)
  web.serve(PATH, (_request, response) => response.writeHead(500).end())
  t.equal((await ask()).statusCode, 400)
  serve()
  t.equal((await ask()).statusCode, 400)
  t.equal(web.requests(PATH), 1)
  clock.advance(60)
  t.equal((await ask()).statusCode, 200)
})

t.test(
  'CIMD: copies live as HTTP says, within bounds, and stand in for a failing host',
  async (t) => {
    const { web, clock, ask, serve } = await setUp(t)
    const times = () => web.requests(PATH)
    serve({}, { 'cache-control': 'max-age=300' })
    await ask()
    clock.advance(299)
    await ask()
    t.equal(times(), 1)
    clock.advance(1)
    serve({ client_name: 'Renamed' }, { 'cache-control': 'no-store' })
    t.match((await ask()).body, 'Renamed')
    t.equal(times(), 2)
    await ask()
    t.equal(times(), 2, 'a minute at least')
    clock.advance(60)
    serve({}, { 'cache-control': 'max-age=31536000' })
    await ask()
    clock.advance(86_400)
    await ask()
    t.equal(times(), 4, 'a day at most')

    clock.advance(86_400)
    web.serve(PATH, (_request, response) => response.writeHead(503).end())
    t.equal((await ask()).statusCode, 200)
    t.equal((await ask()).statusCode, 200)
    t.equal(times(), 5, 'and is left alone for a while')
    clock.advance(60)
    web.serve(PATH, (_request, response) => response.writeHead(404).end())
    t.equal((await ask()).statusCode, 400, 'but not for one that says it is gone')
    web.serve(PATH, (_request, response) => response.writeHead(503).end())
    clock.advance(604_800)
    t.equal((await ask()).statusCode, 400, 'nor for ever')
  },
)

t.test('CIMD: what a document takes back is taken back', async (t) => {
  const { app, clock, site, serve, ask } = await setUp(t)
  await ask()
  clock.advance(86_401)
  serve({ redirect_uris: ['https://client.example/new'] })
  t.equal((await ask()).statusCode, 400)
  t.equal((await ask(site.client_id, 'https://client.example/new')).statusCode, 200)

  await app.registration.updateClient(site.client_id, { disabled_at: clock.now() })
  clock.advance(86_401)
  const page = await ask(site.client_id, 'https://client.example/new')
  t.equal(page.statusCode, 400, 'and a client that the operator disabled stays so')
})

t.test('CIMD: a client with keys proves itself with them', async (t) => {
  const { app, clock, site, serve, client_id } = await setUp(t)
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const jwks = { keys: [await exportJWK(publicKey)] }
  serve({ token_endpoint_auth_method: 'private_key_jwt', jwks })
  const { request_id } = await open(app, site)
  t.match(request_id, /^req_/)
  const form = { grant_type: 'refresh_token', refresh_token: 'rt_unknown' }
  t.equal((await post(app, '/token', site, form)).statusCode, 401)
  const client_assertion = await new SignJWT({
    iss: client_id,
    sub: client_id,
    aud: app.settings.ISSUER,
    jti: 'one',
    exp: clock.now() + 60,
  })
    .setProtectedHeader({ alg: 'ES256' })
    .sign(privateKey)
  const proof = { client_assertion_type: CLIENT_ASSERTION_TYPE, client_assertion }
  const answer = await post(app, '/token', site, { ...form, ...proof })
  t.match([answer.statusCode, answer.json().error], [400, 'invalid_grant'])
})

t.test('the operator decides whose documents are accepted', async (t) => {
  const decisions: [string, Partial<Settings>, number][] = [
    ['off', { CLIENT_ID_METADATA_DOCUMENTS: 'off' }, 400],
    ['allowed', { CLIENT_ID_METADATA_ALLOWED_HOSTS: 'x.example, client.example' }, 200],
    ['allowed below', { CLIENT_ID_METADATA_ALLOWED_HOSTS: '*.example' }, 200],
    ['not allowed', { CLIENT_ID_METADATA_ALLOWED_HOSTS: 'x.example' }, 400],
    ['not below', { CLIENT_ID_METADATA_ALLOWED_HOSTS: '*.client.example' }, 400],
    ['denied', { CLIENT_ID_METADATA_DENIED_HOSTS: 'client.example' }, 400],
    [
      'denied though allowed',
      {
        CLIENT_ID_METADATA_ALLOWED_HOSTS: '*.example',
        CLIENT_ID_METADATA_DENIED_HOSTS: 'client.example',
      },
      400,
    ],
  ]
  for (const [name, settings, status] of decisions) {
    const { app, web, ask } = await setUp(t, settings)
    t.equal((await ask()).statusCode, status, name)
    t.equal(web.requests(PATH), status === 200 ? 1 : 0, name)
    const metadata = (await app.inject({ url: '/.well-known/oauth-authorization-server' })).json()
    t.equal('client_id_metadata_document_supported' in metadata, name !== 'off', name)
  }
})

t.test(
  'CIMD: a client without a live sign-in is removed, and made again on its next use',
  async (t) => {
    const { app, clock, site, client_id, ask } = await setUp(t, { REFRESH_TOKEN_TTL: 1000 })
    await signIn(app, site, await createAgent(app, undefined, { sites: 'any' }))
    const remove = async () => {
      const now = clock.now()
      while (await app.store.clients.removeUnused({ origin: 'document', before: now, now }));
      return (await app.store.clients.find(client_id)) === undefined
    }
    clock.advance(900)
    t.equal(await remove(), false)
    clock.advance(1000)
    t.equal(await remove(), true)
    t.equal((await ask()).statusCode, 200)
  },
)

t.test('CIMD: identifiers that are given here are no URLs', async (t) => {
  const { app } = await setUp(t)
  const { client } = await app.registration.createClient({
    client_name: 'Site',
    redirect_uris: [REDIRECT],
  })
  t.notMatch(client.client_id, /^https?:/)
})

t.test('CIMD: what the operator did to a client stays, whatever its document says', async (t) => {
  const { app, clock, client_id, serve, ask } = await setUp(t)
  await ask()
  await app.registration.updateClient(client_id, { scope: 'email' })
  await app.registration.updateClient(client_id, { client_name: 'The operator’s name' })
  await app.policies.changeClient(client_id, { refused_models: ['gpt-*'] })
  const stays = async (name: string) => {
    t.equal((await ask()).statusCode, 200, name)
    const client = await app.store.clients.find(client_id)
    t.match(
      client,
      { scope: 'email', client_name: 'The operator’s name', origin: 'document' },
      name,
    )
    t.same((await app.policies.ofClient(client_id)).refused_models, ['gpt-*'], name)
  }
  await stays('at its next use')
  clock.advance(86_401)
  serve({ client_name: 'Another name' })
  await stays('when the document says something else')

  clock.advance(86_401)
  const now = clock.now()
  while (await app.store.clients.removeUnused({ origin: 'document', before: now, now }));
  await stays('after a day without use')
})

t.test('CIMD: a client with a policy alone is kept', async (t) => {
  const { app, clock, client_id, ask } = await setUp(t)
  await ask()
  await app.policies.changeClient(client_id, { refused_models: ['gpt-*'] })
  clock.advance(86_401)
  const now = clock.now()
  while (await app.store.clients.removeUnused({ origin: 'document', before: now, now }));
  t.same((await app.policies.ofClient(client_id)).refused_models, ['gpt-*'])
})

t.test('RFC 7591 section 2: members that are null or empty count as left out', async (t) => {
  const { web, ask, document, client_id } = await setUp(t)
  const members = [
    'client_secret',
    'grant_types',
    'response_types',
    'token_endpoint_auth_method',
    'token_endpoint_auth_methods_supported',
    'application_type',
    'id_token_signed_response_alg',
    'jwks',
    'jwks_uri',
    'logo_uri',
    'something_else',
  ]
  for (const member of members) {
    for (const value of [null, '']) {
      const query = `?${member}=${value}`
      web.serveJson(PATH + query, {
        ...document,
        client_id: client_id + query,
        [member]: value,
      })
      t.equal((await ask(client_id + query)).statusCode, 200, `${member}: ${value}`)
    }
  }
  for (const member of ['client_id', 'client_name', 'redirect_uris']) {
    const query = `?without-${member}`
    const own = { ...document, client_id: client_id + query }
    web.serveJson(PATH + query, { ...own, [member]: null })
    t.equal((await ask(client_id + query)).statusCode, 400, member)
  }
})

t.test('CIMD section 4: documents as they are served in the wild', async (t) => {
  const { web, ask, document, client_id } = await setUp(t)
  const rows: [string, Record<string, string | string[]>, ((text: string) => string)?][] = [
    ['a byte order mark', {}, (text) => `\ufeff${text}`],
    ['white space around it', {}, (text) => `\n\t ${text} \n`],
    ['Identity', { 'content-encoding': 'Identity' }],
    ['IDENTITY, identity', { 'content-encoding': ['IDENTITY', 'identity'] }],
    ['an empty Content-Encoding', { 'content-encoding': '' }],
    ['a media type in capitals', { 'content-type': 'APPLICATION/JSON; CHARSET=UTF-8' }],
    ['another JSON type', { 'content-type': 'application/Client-Metadata+JSON' }],
    ['a space before the parameter', { 'content-type': 'application/json ;charset=utf-8' }],
  ]
  for (const [name, headers, change = (text: string) => text] of rows) {
    const query = `?${encodeURIComponent(name)}`
    web.serve(PATH + query, (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', ...headers })
      response.end(change(JSON.stringify({ ...document, client_id: client_id + query })))
    })
    const page = await ask(client_id + query)
    t.equal(page.statusCode, 200, `${name}: ${page.body.slice(0, 300)}`)
  }
})

t.test('CIMD section 4: of several methods, one that both sides have is used', async (t) => {
  const { app, web, ask, document, client_id } = await setUp(t)
  const { publicKey } = await generateKeyPair('ES256')
  const jwks = { keys: [await exportJWK(publicKey)] }
  const rows: [string, Record<string, unknown>, string | undefined][] = [
    ['none alone', { supported: ['none'] }, 'none'],
    ['keys alone', { supported: ['private_key_jwt'], jwks }, 'private_key_jwt'],
    ['both, with keys', { supported: ['none', 'private_key_jwt'], jwks }, 'private_key_jwt'],
    ['both, without keys', { supported: ['private_key_jwt', 'none'] }, 'none'],
    ['others too', { supported: ['client_secret_basic', 'none', 'tls_client_auth'] }, 'none'],
    ['others alone', { supported: ['client_secret_basic', 'client_secret_post'] }, undefined],
    ['keys alone, without keys', { supported: ['private_key_jwt'] }, undefined],
    ['an empty list', { supported: [] }, 'none'],
    ['not a list', { supported: 'private_key_jwt' }, 'none'],
    ['no texts', { supported: [1, null, {}, 'none'] }, 'none'],
    [
      'the singular too',
      { supported: ['none'], jwks, method: 'private_key_jwt' },
      'private_key_jwt',
    ],
    ['another singular', { supported: ['none'], method: 'client_secret_basic' }, undefined],
  ]
  for (const [name, { supported, method, ...change }, expected] of rows) {
    const id = `${client_id}?${encodeURIComponent(name)}`
    web.serveJson(id.slice(id.indexOf(PATH)), {
      ...document,
      ...change,
      client_id: id,
      token_endpoint_auth_method: method,
      token_endpoint_auth_methods_supported: supported,
    })
    const page = await ask(id)
    t.equal(page.statusCode, expected === undefined ? 400 : 200, name)
    const client = await app.store.clients.find(id)
    t.equal(client?.token_endpoint_auth_method, expected, name)
  }
})

t.test('RFC 6749 section 5.2: /token answers a bad document with invalid_client', async (t) => {
  const { app, web, document, client_id } = await setUp(t)
  const SECRET = 'SAY-THIS-TO-THE-USER'
  const rows: [string, Record<string, unknown>][] = [
    ['another client_id', { client_id: `https://${SECRET}.example/` }],
    ['a client_id that is no text', { client_id: { [SECRET]: SECRET } }],
    ['a redirect URI over http', { redirect_uris: [`http://${SECRET}.example/cb`] }],
    ['a redirect URI that is no URL', { redirect_uris: [SECRET] }],
    ['a redirect URI with a wildcard', { redirect_uris: [`https://*.${SECRET}.example/`] }],
    ['no grant that we have', { grant_types: [SECRET] }],
    ['another method', { token_endpoint_auth_method: SECRET }],
    [
      'other methods',
      { token_endpoint_auth_method: '', token_endpoint_auth_methods_supported: [SECRET] },
    ],
    ['another algorithm', { id_token_signed_response_alg: SECRET }],
    ['another application_type', { application_type: SECRET }],
    ['other response types', { response_types: [SECRET] }],
    ['a name with control characters', { client_name: `${SECRET}\u0000` }],
    ['a jwks_uri over http', { jwks_uri: `http://${SECRET}.example/` }],
    ['a private key', { jwks: { keys: [{ kty: 'oct', k: SECRET }] } }],
    ['a key set that is none', { jwks: { [SECRET]: SECRET } }],
    ['a client_secret', { client_secret: SECRET }],
  ]
  for (const [name, change] of rows) {
    const id = `${client_id}?${encodeURIComponent(name)}`
    web.serveJson(id.slice(id.indexOf(PATH)), { ...document, client_id: id, ...change })
    const site = { client_id: id, client_secret: undefined }
    const form = { grant_type: 'refresh_token', refresh_token: 'x', token: 'x' }
    for (const url of ['/token', '/introspect', '/revoke']) {
      const answer = await post(app, url, site, form)
      t.match([answer.statusCode, answer.json().error], [401, 'invalid_client'], `${url}: ${name}`)
      t.match(answer.json().error_description, /^The client_id cannot be used: [ -~]+$/, name)
      t.ok(answer.headers['www-authenticate'], name)
      t.notMatch(answer.body, SECRET, name)
    }
    const facts = await app.inject({
      url: `/authorize?client_id=${encodeURIComponent(id)}`,
      headers: { accept: 'application/json' },
    })
    t.match([facts.statusCode, facts.json().error], [400, 'invalid_client'], name)
    t.match(facts.json().error_description, /^The client_id cannot be used: /, name)
    t.notMatch(facts.body, SECRET, name)
  }
})

t.test('a clock that was set back does not hide what a document says now', async (t) => {
  const { clock, web, ask, serve } = await setUp(t)
  serve({}, { 'cache-control': 'max-age=86400' })
  await ask()
  clock.goBack(7200)
  serve({ client_name: 'Renamed' }, { 'cache-control': 'max-age=86400' })
  t.match((await ask()).body, 'Renamed')
  await ask()
  t.equal(web.requests(PATH), 2, 'and it is fetched once')

  clock.goBack(7200)
  web.serve(PATH, (_request, response) => response.writeHead(503).end())
  t.match((await ask()).body, 'Renamed', 'a copy of the future stands in while the host fails')
  await ask()
  t.equal(web.requests(PATH), 3, 'and the host is left alone for a while')
})

t.test('a host is accepted or refused however it and the settings spell it', async (t) => {
  const denials = ['CLIENT.example.', '*.EXAMPLE.', 'other.example, client.example']
  for (const CLIENT_ID_METADATA_DENIED_HOSTS of denials) {
    const { web, ask } = await setUp(t, { CLIENT_ID_METADATA_DENIED_HOSTS })
    const url = web.url('client.example', PATH)
    const spellings = ['client.example', 'client.example.', 'CLIENT.example', 'cl%69ent.example']
    for (const spelling of spellings) {
      const page = await ask(url.replace('client.example', spelling))
      t.equal(page.statusCode, 400, `${spelling} with ${CLIENT_ID_METADATA_DENIED_HOSTS}`)
    }
    t.equal(web.requests(PATH), 0)
  }
  for (const CLIENT_ID_METADATA_ALLOWED_HOSTS of ['Client.Example.', '*.EXAMPLE.']) {
    const { ask } = await setUp(t, { CLIENT_ID_METADATA_ALLOWED_HOSTS })
    t.equal((await ask()).statusCode, 200, CLIENT_ID_METADATA_ALLOWED_HOSTS)
  }
  const { web, ask } = await setUp(t, { CLIENT_ID_METADATA_DENIED_HOSTS: 'bücher.example, 127.1' })
  for (const host of ['bücher.example', 'xn--bcher-kva.example', '127.0.0.1', '0x7f.1']) {
    t.equal((await ask(web.url(host, PATH))).statusCode, 400, host)
  }
  t.equal(web.requests(PATH), 0)
})
