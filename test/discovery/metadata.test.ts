import t from 'tap'
import { endpoints } from '../../plugins/app.ts'
import metadata from '../../plugins/discovery/metadata.ts'
import { build } from '../harness.ts'

const DOCUMENTS = ['/.well-known/oauth-authorization-server', '/.well-known/openid-configuration']

t.test('RFC 8414 section 3.2 and OpenID Connect Discovery section 4: both documents', async (t) => {
  const ISSUER = 'https://auth.example'
  const app = await build(t, { ISSUER })
  const bodies = await Promise.all(
    DOCUMENTS.map(async (url) => {
      const response = await app.inject(url)
      t.equal(response.statusCode, 200)
      t.match(response.headers['content-type'], /^application\/json\b/)
      t.equal(response.headers['cache-control'], 'public, max-age=300')
      return response.body
    }),
  )
  const [ours, openid] = bodies.map((body) => JSON.parse(body))
  const own = Object.keys(ours).filter((name) => name.startsWith('agent_'))
  t.ok(own.length >= 4)
  for (const name of own) delete ours[name]
  t.same(openid, ours, 'one document, but for our own names')
  const metadata = openid

  t.equal(metadata.issuer, ISSUER, 'RFC 8414 section 3.3: byte for byte, no slash added')
  t.match(
    metadata,
    {
      authorization_endpoint: `${ISSUER}/authorize`,
      token_endpoint: `${ISSUER}/token`,
      jwks_uri: `${ISSUER}/.well-known/jwks.json`,
      userinfo_endpoint: `${ISSUER}/userinfo`,
      response_types_supported: ['code'],
      response_modes_supported: ['query', 'form_post'],
      subject_types_supported: ['public'],
      id_token_signing_alg_values_supported: ['RS256', 'ES256'],
      prompt_values_supported: ['none', 'login', 'consent', 'select_account'],
      acr_values_supported: ['urn:auth-agent:acr:agent', 'phr'],
      claims_parameter_supported: false,
      request_parameter_supported: false,
      request_uri_parameter_supported: false,
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
    },
    'RFC 8414 section 2 and OpenID Connect Discovery section 3: the required members',
  )
  for (const name of ['openid', 'profile', 'email']) t.ok(metadata.scopes_supported.includes(name))
  for (const name of ['sub', 'email', 'auth_time', 'nonce', 'acr', 'amr', 'model', 'agent_id']) {
    t.ok(metadata.claims_supported.includes(name))
  }
  t.ok(metadata.grant_types_supported.includes('authorization_code'), 'RFC 8414: explicit')
  for (const endpoint of ['token', 'introspection', 'revocation']) {
    const methods = metadata[`${endpoint}_endpoint_auth_methods_supported`]
    t.ok(methods.includes('client_secret_basic'), 'RFC 8414: explicit')
    if (methods.includes('private_key_jwt')) {
      t.ok(metadata[`${endpoint}_endpoint_auth_signing_alg_values_supported`].length > 0)
    }
  }
  for (const [name, value] of Object.entries(metadata)) {
    t.not(Array.isArray(value) && value.length, 0, `RFC 8414 section 3.2: ${name} is not empty`)
  }
})

t.test('RFC 8414 section 2: every endpoint that is advertised answers', async (t) => {
  const app = await build(t)
  const metadata = (await app.inject(DOCUMENTS[0] ?? '')).json()
  const urls = Object.entries(metadata).filter(([name]) => /_(endpoint|uri)$/.test(name))
  t.ok(urls.length >= 6)
  for (const [name, value] of urls) {
    const url = new URL(String(value)).pathname
    const statuses = await Promise.all(
      (['GET', 'POST'] as const).map(
        async (method) => (await app.inject({ method, url })).statusCode,
      ),
    )
    t.ok(
      statuses.some((status) => status < 500 && status !== 404 && status !== 405),
      `${name}: ${statuses}`,
    )
  }
})

t.test('what is not registered is not advertised', async (t) => {
  const app = await build(t, {}, { endpoints: [metadata] })
  for (const url of DOCUMENTS) {
    t.same((await app.inject(url)).json(), { issuer: app.settings.ISSUER })
  }
  t.ok(endpoints.includes(metadata))
})

t.test('RFC 9110 section 13.1.2: the documents and the key set are revalidated', async (t) => {
  const app = await build(t)
  for (const url of [...DOCUMENTS, '/.well-known/jwks.json']) {
    const { headers } = await app.inject(url)
    const etag = String(headers.etag)
    t.match(etag, /^"[^"]+"$/, url)
    const again = await app.inject({ url, headers: { 'if-none-match': etag } })
    t.equal(again.statusCode, 304, url)
    t.equal(again.body, '', url)
    t.equal(again.headers['cache-control'], headers['cache-control'], url)
    const other = await app.inject({ url, headers: { 'if-none-match': '"other"' } })
    t.equal(other.statusCode, 200, url)
  }
  const before = (await app.inject('/.well-known/jwks.json')).headers.etag
  await app.keys.rotate()
  t.not((await app.inject('/.well-known/jwks.json')).headers.etag, before, 'a new key, a new tag')
})
