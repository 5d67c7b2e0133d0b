import { decodeJwt } from 'jose'
import t from 'tap'
import type { NewClient } from '../../plugins/core/registry/registration.ts'
import {
  authorize,
  authorizeQuery,
  build,
  createAgent,
  createApi,
  createSite,
  getCode,
  type Parameters,
  pkce,
  post,
  redeem,
  refresh,
  signIn,
} from '../harness.ts'

const ISSUER = 'https://auth.example/agents'
const SERVICE: Partial<NewClient> = { redirect_uris: [], grant_types: ['client_credentials'] }

t.test('RFC 8707 section 2: the issuer alone is the same as no resource', async (t) => {
  const app = await build(t, { ISSUER })
  const agent = await createAgent(app)
  await createApi(app, { uri: 'https://tools.example/mcp', scopes: ['tools', 'shared'] })
  await createApi(app, { uri: 'https://other.example/', scopes: ['shared'] })
  const site = await createSite(app)
  const withDefault = await createSite(app, { default_resource: 'https://other.example/' })
  const limited = await createSite(app, { scope: 'email' })
  const spellings = [
    ISSUER,
    `${ISSUER}/`,
    'HTTPS://AUTH.example:443/agents',
    'https://auth.example/x/../agents/',
    'https://auth.example/%61gents',
    [ISSUER, `${ISSUER}/`],
  ]
  const rows: [name: string, as: typeof site, asked: Parameters][] = [
    ['no scope', site, {}],
    ['our scopes', site, { scope: 'openid email' }],
    ['offline access', site, { scope: 'openid offline_access' }],
    ['the scope of an API', site, { scope: 'tools' }],
    ['ours and the scope of an API', site, { scope: 'openid profile email tools' }],
    ['a default resource', withDefault, {}],
    ['a default resource and our scopes', withDefault, { scope: 'openid email' }],
    ['a limited client', limited, { scope: 'openid email tools' }],
  ]
  for (const [name, as, asked] of rows) {
    const without = await signIn(app, as, agent, asked)
    const { aud, scope } = decodeJwt(without.access_token)
    for (const resource of spellings) {
      const code = await getCode(app, as, agent, { ...asked, resource })
      const tokens = (await redeem(app, as, code, { resource })).json()
      t.match(decodeJwt(tokens.access_token), { aud, scope }, `${name}: ${resource}`)
      t.equal(tokens.scope, without.scope, `${name}: ${resource}`)
      const again = (await refresh(app, as, tokens.refresh_token, { resource })).json()
      t.match(decodeJwt(again.access_token), { aud, scope }, `${name}, refreshed: ${resource}`)
      const plain = (await refresh(app, as, again.refresh_token)).json()
      t.match(decodeJwt(plain.access_token), { aud, scope }, `${name}, unnamed: ${resource}`)
    }
  }
  t.test('RFC 6749 section 4.4: for a client that acts for itself', async (t) => {
    const service = await createSite(app, { ...SERVICE, scope: 'tools' })
    for (const resource of [undefined, ...spellings]) {
      const answer = await post(app, '/token', service, {
        grant_type: 'client_credentials',
        resource,
      })
      const { access_token } = answer.json()
      t.equal(decodeJwt(access_token).aud, 'https://tools.example/mcp', String(resource))
    }
  })

  t.test('and what is refused without it is refused with it', async (t) => {
    for (const resource of [undefined, ...spellings]) {
      const query = authorizeQuery(site, pkce().code_challenge, { scope: 'shared', resource })
      const { location } = (await authorize(app, query)).headers
      t.match(location, 'error=invalid_scope', String(resource))
    }
    for (const resource of [`${ISSUER}//`, `${ISSUER}/x`, 'https://auth.example/', `${ISSUER}?a`]) {
      const query = authorizeQuery(site, pkce().code_challenge, { resource })
      const { location } = (await authorize(app, query)).headers
      t.match(location, 'error=invalid_target', resource)
    }
  })

  t.test('but a client that named an API has a token for the issuer too', async (t) => {
    const resource = 'https://tools.example/mcp/'
    const code = await getCode(app, site, agent, { scope: 'email tools', resource })
    const tokens = (await redeem(app, site, code, { resource: `${ISSUER}/` })).json()
    t.match(decodeJwt(tokens.access_token), { aud: ISSUER, scope: 'email' })
  })
})

t.test('RFC 3986 section 6.2.2: every spelling of a resource means it', async (t) => {
  const app = await build(t)
  const agent = await createAgent(app)
  const site = await createSite(app)
  const rows: [uri: string, others: string[], different: string[]][] = [
    [
      'https://one.example/mcp',
      [
        'https://one.example/mcp/',
        'https://ONE.example/mcp',
        'HTTPS://one.example:443/mcp/',
        'https://one.example/a/../mcp',
        'https://one.example/./mcp/',
        'https://one.example/%6Dcp',
        'https://one.example/%6dcp/',
      ],
      [
        'https://one.example/mcp//',
        'https://one.example/MCP',
        'https://one.example/',
        'https://one.example/mcp?',
        'https://one.example/mcp/?a',
        'https://one.example/mcp%2F',
        'https://one.example:8443/mcp',
        'http://one.example/mcp',
        'https://one.example./mcp',
        'https://user@one.example/mcp',
      ],
    ],
    [
      'https://two.example/mcp/',
      ['https://two.example/mcp', 'https://two.example/mcp//'],
      ['https://two.example/mcp///'],
    ],
    ['https://three.example', ['https://three.example/'], ['https://three.example/x']],
    [
      'https://four.example:8443/v1',
      ['https://four.example:8443/v1/'],
      ['https://four.example/v1'],
    ],
    ['https://five.example/a%2Fb', ['https://five.example/a%2fb/'], ['https://five.example/a/b']],
    ['https://six.example/?t=a/', ['https://six.example/?t=%61/'], ['https://six.example/?t=a']],
    ['https://seven.example/~me', ['https://seven.example/%7Eme'], ['https://seven.example/me']],
    ['api://0a1b', ['api://0a1b/', 'API://0A1B'], ['api://0a1c']],
    ['http://localhost:3000/mcp', ['http://localhost:3000/mcp/'], ['http://localhost/mcp']],
    ['urn:example:api', ['URN:example:api'], ['urn:example:api/']],
  ]
  for (const [n, [uri, others, different]] of rows.entries()) {
    const scope = `scope${n}`
    await createApi(app, { uri, scopes: [scope] })
    const service = await createSite(app, { ...SERVICE, scope })
    for (const other of [uri, ...others]) {
      const asked = { resource: other, scope }
      const tokens = await signIn(app, site, agent, asked)
      t.match(decodeJwt(tokens.access_token), { aud: uri, scope }, `${other} at /authorize`)
      const code = await getCode(app, site, agent, { resource: uri, scope })
      const named = (await redeem(app, site, code, { resource: other })).json()
      t.equal(decodeJwt(named.access_token).aud, uri, `${other} with the code`)
      const again = await refresh(app, site, tokens.refresh_token, { resource: other })
      t.equal(decodeJwt(again.json().access_token).aud, uri, `${other} at a refresh`)
      const both = await signIn(app, site, agent, { resource: [other, uri], scope })
      t.equal(decodeJwt(both.access_token).aud, uri, `${other} beside it`)
      const grant = { grant_type: 'client_credentials', resource: [uri, other] }
      const own = (await post(app, '/token', service, grant)).json()
      t.equal(decodeJwt(own.access_token).aud, uri, `${other} of a client for itself`)
      const { client } = await app.registration.createClient({
        client_name: 'Site',
        redirect_uris: ['https://site.example/callback'],
        default_resource: other,
      })
      t.equal(client.default_resource, uri, `${other} as the default`)
      const changed = await app.registration.updateClient(site.client_id, {
        default_resource: other,
      })
      t.equal(changed.default_resource, uri, `${other} as the new default`)
    }
    for (const resource of different) {
      const query = authorizeQuery(site, pkce().code_challenge, { resource, scope })
      const { location } = (await authorize(app, query)).headers
      t.match(location, 'error=invalid_target', resource)
      const code = await getCode(app, site, agent, { resource: uri, scope })
      const refused = await redeem(app, site, code, { resource })
      t.equal(refused.json().error, 'invalid_target', `${resource} with the code`)
      t.equal((await redeem(app, site, code, { resource: uri })).statusCode, 200, 'still good')
    }
  }
})

t.test('where both spellings are registered, each means itself', async (t) => {
  const app = await build(t)
  const agent = await createAgent(app)
  const site = await createSite(app)
  const [plain, slashed] = ['https://api.example/mcp', 'https://api.example/mcp/']
  await createApi(app, { uri: plain, scopes: ['a'] })
  const before = await signIn(app, site, agent, { resource: slashed })
  t.equal(decodeJwt(before.access_token).aud, plain, 'before the other is registered')
  const api = await createApi(app, { uri: slashed, scopes: ['b'], access_token_alg: 'RS256' })
  const rows: [asked: string | string[], aud: string][] = [
    [plain, plain],
    [slashed, slashed],
    [[slashed, slashed], slashed],
  ]
  for (const [resource, aud] of rows) {
    const code = await getCode(app, site, agent, { resource })
    const tokens = (await redeem(app, site, code, { resource })).json()
    t.equal(decodeJwt(tokens.access_token).aud, aud, String(resource))
    const other = aud === plain ? slashed : plain
    const refused = await refresh(app, site, tokens.refresh_token, { resource: other })
    t.equal(refused.json().error, 'invalid_target', `${other} was not granted`)
    const again = await refresh(app, site, tokens.refresh_token, { resource })
    t.equal(decodeJwt(again.json().access_token).aud, aud)
  }
  const unnamed = (await refresh(app, site, before.refresh_token)).json()
  t.equal(decodeJwt(unnamed.access_token).aud, plain, 'a sign-in keeps its resource')
  const query = authorizeQuery(site, pkce().code_challenge, { resource: [plain, slashed] })
  t.equal((await authorize(app, query)).statusCode, 200, 'both can be named')

  await app.store.resources.delete(api.client_id)
  const after = await signIn(app, site, agent, { resource: slashed })
  t.equal(decodeJwt(after.access_token).aud, plain, 'once it is deleted')
})

t.test('an API that is registered anew with its other spelling keeps its sign-ins', async (t) => {
  const app = await build(t)
  const agent = await createAgent(app)
  const site = await createSite(app)
  const api = await createApi(app, { uri: 'https://api.example/mcp', scopes: ['a'] })
  const tokens = await signIn(app, site, agent, { resource: api.uri, scope: 'a' })
  await app.store.resources.delete(api.client_id)
  const { uri } = await createApi(app, { uri: 'https://api.example/mcp/', scopes: ['a'] })
  const again = (await refresh(app, site, tokens.refresh_token)).json()
  t.match(decodeJwt(again.access_token), { aud: uri, scope: 'a' })
})

t.test('RFC 8707 section 2: ten APIs in two spellings are ten', async (t) => {
  const app = await build(t)
  const agent = await createAgent(app)
  const site = await createSite(app)
  const uris = Array.from({ length: 10 }, (_, n) => `https://api${n}.example/mcp`)
  for (const uri of uris) await createApi(app, { uri, scopes: [] })
  const resource = uris.flatMap((uri) => [uri, `${uri}/`])
  const { access_token } = await signIn(app, site, agent, { resource })
  t.strictSame(decodeJwt(access_token).aud, uris)
  await createApi(app, { uri: 'https://more.example/mcp', scopes: [] })
  const more = [...resource, 'https://more.example/mcp/']
  const query = authorizeQuery(site, pkce().code_challenge, { resource: more })
  t.match((await authorize(app, query)).headers.location, 'error=invalid_target')
})
