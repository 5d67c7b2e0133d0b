import { decodeJwt } from 'jose'
import t, { type Test } from 'tap'
import type { NewClient, NewResource } from '../../plugins/core/registry/registration.ts'
import {
  type Api,
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

const CALENDAR = 'https://calendar.example/api'
const MAIL = 'https://mail.example'

/** A site, an agent and two APIs; the second one is a bare origin. */
async function setUp(t: Test) {
  const app = await build(t)
  const [site, agent, calendar, mail] = await Promise.all([
    createSite(app),
    createAgent(app),
    createApi(app, { uri: CALENDAR, scopes: ['calendar:read', 'calendar:write', 'admin'] }),
    createApi(app, { uri: MAIL, scopes: ['mail:read', 'admin'] }),
  ])
  /** Where an authorization request that cannot be granted is sent. */
  const refusal = async (change: Parameters) => {
    const page = await authorize(app, authorizeQuery(site, pkce().code_challenge, change))
    t.equal(page.statusCode, 303, page.body)
    return new URL(String(page.headers.location)).searchParams.get('error')
  }
  const introspect = async (api: Pick<Api, 'client_id' | 'client_secret'>, token: string) =>
    await post(app, '/introspect', api, { token })
  return { app, site, agent, calendar, mail, refusal, introspect }
}

t.test('RFC 8707 section 2: the audience is the resource that was asked for', async (t) => {
  const { app, site, agent } = await setUp(t)

  t.test('one resource is a string', async (t) => {
    const tokens = await signIn(app, site, agent, { resource: CALENDAR, scope: 'calendar:read' })
    t.equal(tokens.scope, 'calendar:read')
    t.match(decodeJwt(tokens.access_token), { aud: CALENDAR, scope: 'calendar:read' })
  })

  t.test('several are an array, in the order asked', async (t) => {
    const resource = [MAIL, CALENDAR]
    const { access_token } = await signIn(app, site, agent, { resource })
    t.same(decodeJwt(access_token).aud, [MAIL, CALENDAR])
  })

  t.test('RFC 9068 section 3: no resource is this server', async (t) => {
    const { access_token } = await signIn(app, site, agent)
    t.equal(decodeJwt(access_token).aud, app.settings.ISSUER)
  })

  t.test('RFC 9068 section 3: a scope of one resource alone tells which is meant', async (t) => {
    const tokens = await signIn(app, site, agent, { scope: 'email mail:read' })
    t.match(decodeJwt(tokens.access_token), { aud: MAIL, scope: 'mail:read' })
    const { access_token } = await signIn(app, site, agent, { scope: 'mail:read' })
    t.match(decodeJwt(access_token), { aud: MAIL, scope: 'mail:read' })
  })

  t.test('without a scope the default one is granted, and none of the resource', async (t) => {
    const tokens = await signIn(app, site, agent, { resource: MAIL })
    t.equal(tokens.scope, '')
    const own = { resource: app.settings.ISSUER }
    t.equal((await refresh(app, site, tokens.refresh_token, own)).json().scope, 'email')
  })

  t.test('scopes of resources that were not asked for are left out', async (t) => {
    const scope = 'calendar:read mail:read'
    t.equal((await signIn(app, site, agent, { resource: MAIL, scope })).scope, 'mail:read')
  })
})

t.test('RFC 8707 section 2: a bare origin is the same with and without its slash', async (t) => {
  const { app, site, agent } = await setUp(t)
  await createApi(app, { uri: 'https://slash.example/', scopes: [] })
  const spellings: [string, string][] = [
    [MAIL, MAIL],
    [`${MAIL}/`, MAIL],
    ['https://slash.example', 'https://slash.example/'],
    ['https://slash.example/', 'https://slash.example/'],
  ]
  for (const [asked, aud] of spellings) {
    const code = await getCode(app, site, agent, { resource: asked })
    const tokens = (await redeem(app, site, code, { resource: asked })).json()
    t.equal(decodeJwt(tokens.access_token).aud, aud, asked)
  }
})

t.test('RFC 8707 section 2: what cannot be asked for at /authorize', async (t) => {
  const { refusal } = await setUp(t)
  const refusals: [string, Parameters, string][] = [
    ['no absolute URI', { resource: 'calendar' }, 'invalid_target'],
    ['a fragment', { resource: `${CALENDAR}#events` }, 'invalid_target'],
    ['an empty fragment', { resource: `${CALENDAR}#` }, 'invalid_target'],
    ['not registered', { resource: 'https://other.example' }, 'invalid_target'],
    ['another path', { resource: `${CALENDAR}/v2` }, 'invalid_target'],
    ['one of two not registered', { resource: [MAIL, 'https://x.example'] }, 'invalid_target'],
    [
      'too many',
      { resource: Array.from({ length: 11 }, (_, n) => `${MAIL}/${n}`) },
      'invalid_target',
    ],
    ['a scope of nobody', { resource: MAIL, scope: 'nothing' }, 'invalid_scope'],
    ['a scope of two resources and none named', { scope: 'admin' }, 'invalid_scope'],
    ['scopes of two, none named', { scope: 'calendar:read mail:read' }, 'invalid_scope'],
  ]
  for (const [name, change, error] of refusals) t.equal(await refusal(change), error, name)
})

t.test('RFC 8707 section 2.2: a token request narrows the resources', async (t) => {
  const { app, site, agent } = await setUp(t)
  const both = { resource: [CALENDAR, MAIL], scope: 'email calendar:read mail:read' }

  t.test('and with them the scope, for the code as for refresh tokens', async (t) => {
    const code = await getCode(app, site, agent, both)
    const tokens = (await redeem(app, site, code, { resource: MAIL })).json()
    t.equal(tokens.scope, 'mail:read')
    t.match(decodeJwt(tokens.access_token), { aud: MAIL, scope: 'mail:read' })

    const calendar = { resource: CALENDAR, scope: 'calendar:read' }
    const narrow = (await refresh(app, site, tokens.refresh_token, calendar)).json()
    t.match(decodeJwt(narrow.access_token), { aud: CALENDAR, scope: 'calendar:read' })

    const whole = (await refresh(app, site, narrow.refresh_token)).json()
    const scope = 'calendar:read mail:read'
    t.match(decodeJwt(whole.access_token), { aud: [CALENDAR, MAIL], scope })
  })

  t.test('and never widens them', async (t) => {
    const third = await createApi(app, { uri: 'https://third.example' })
    const code = await getCode(app, site, agent, both)
    for (const resource of [third.uri, [MAIL, third.uri], 'no uri', 'https://x.example']) {
      const { statusCode, body } = await redeem(app, site, code, { resource })
      t.match([statusCode, JSON.parse(body).error], [400, 'invalid_target'], String(resource))
    }
    const first = await redeem(app, site, code)
    t.equal(first.statusCode, 200, 'a refused resource does not use the code up')
    const { refresh_token } = first.json()
    const refused = await refresh(app, site, refresh_token, { resource: third.uri })
    t.match([refused.statusCode, refused.json().error], [400, 'invalid_target'])
    t.equal((await refresh(app, site, refresh_token)).statusCode, 200, 'nor the refresh token')
  })

  t.test('a token request cannot name a resource that was not granted', async (t) => {
    const { refresh_token } = await signIn(app, site, agent)
    const refused = await refresh(app, site, refresh_token, { resource: MAIL })
    t.equal(refused.json().error, 'invalid_target')
  })
})

t.test('a resource that is changed or deleted', async (t) => {
  const { app, site, agent, mail, calendar, introspect } = await setUp(t)
  const scope = 'mail:read calendar:read'
  const tokens = await signIn(app, site, agent, { resource: [MAIL, CALENDAR], scope })
  await app.registration.updateResource(calendar.client_id, { scopes: ['calendar:write'] })
  const fewer = (await refresh(app, site, tokens.refresh_token)).json()
  t.equal(fewer.scope, 'mail:read', 'a scope that is gone is not granted again')

  await app.store.resources.delete(calendar.client_id)
  const only = (await refresh(app, site, fewer.refresh_token)).json()
  t.equal(decodeJwt(only.access_token).aud, MAIL, 'nor is a resource')
  t.equal((await introspect(calendar, tokens.access_token)).statusCode, 401)

  await app.store.resources.delete(mail.client_id)
  const none = await refresh(app, site, only.refresh_token)
  t.equal(none.json().error, 'invalid_target')
})

t.test('step-up: a wider scope later is an ordinary new request', async (t) => {
  const { app, site, agent } = await setUp(t)
  const resource = CALENDAR
  const first = await signIn(app, site, agent, { resource, scope: 'calendar:read' })
  const scope = 'calendar:read calendar:write'
  const second = await signIn(app, site, agent, { resource, scope })
  t.equal(second.scope, scope)
  t.equal((await refresh(app, site, first.refresh_token)).json().scope, 'calendar:read')
})

t.test('RFC 7662 section 2: a resource introspects the tokens that are for it', async (t) => {
  const { app, site, agent, calendar, mail, introspect } = await setUp(t)
  const tokens = await signIn(app, site, agent, { resource: CALENDAR, scope: 'calendar:read' })
  const shared = await signIn(app, site, agent, { resource: [CALENDAR, MAIL] })

  t.match((await introspect(calendar, tokens.access_token)).json(), {
    active: true,
    scope: 'calendar:read',
    client_id: site.client_id,
    sub: agent.agent_id,
    aud: CALENDAR,
    iss: app.settings.ISSUER,
    model: 'test-model',
    token_type: 'Bearer',
  })
  t.same((await introspect(mail, shared.access_token)).json().aud, [CALENDAR, MAIL])
  t.equal(
    (await post(app, '/introspect', site, { token: tokens.access_token })).json().active,
    true,
  )

  t.test('and learns nothing of all others', async (t) => {
    const own = await signIn(app, site, agent)
    const inactive = '{"active":false}'
    for (const [name, token] of Object.entries({
      'for another resource': tokens.access_token,
      'for this server': own.access_token,
      'a refresh token': shared.refresh_token ?? '',
      unknown: 'unknown',
    })) {
      const { statusCode, body } = await introspect(mail, token)
      t.same([statusCode, body], [200, inactive], name)
    }
    await post(app, '/revoke', site, { token: shared.access_token })
    t.equal((await introspect(mail, shared.access_token)).body, inactive, 'revoked')
  })

  t.test('and must authenticate', async (t) => {
    const token = tokens.access_token
    const basic = (secret: string) =>
      `Basic ${Buffer.from(`${calendar.client_id}:${secret}`).toString('base64')}`
    const bad = await post(app, '/introspect', undefined, { token }, { authorization: basic('no') })
    t.equal(bad.statusCode, 401)
    t.match(bad.headers['www-authenticate'], /^Basic /)
    const { client_id } = calendar
    t.equal((await post(app, '/introspect', undefined, { client_id, token })).statusCode, 401)
    t.equal((await introspect({ ...mail, client_id: 'rs_unknown' }, token)).statusCode, 401)
    t.equal((await introspect({ ...mail, client_id }, token)).statusCode, 401)
    const authorization = basic(calendar.client_secret)
    const good = await post(app, '/introspect', undefined, { token }, { authorization })
    t.equal(good.json().active, true)
  })

  t.test('and can do nothing else with its credentials', async (t) => {
    const grant = { grant_type: 'refresh_token', refresh_token: tokens.refresh_token }
    t.equal((await post(app, '/token', calendar, grant)).statusCode, 401)
    t.equal((await post(app, '/revoke', calendar, { token: tokens.access_token })).statusCode, 401)
  })

  t.test('with two secrets while one replaces the other', async (t) => {
    const client_secret = await app.registration.rotateResourceSecret(mail.client_id, 60)
    for (const secret of [mail.client_secret, client_secret]) {
      const caller = { ...mail, client_secret: secret }
      t.equal((await introspect(caller, shared.access_token)).statusCode, 200)
    }
  })
})

t.test('RFC 9068 section 4: /userinfo takes only tokens for this server', async (t) => {
  const { app, site, agent, mail, introspect } = await setUp(t)
  const { ISSUER } = app.settings
  const userinfo = async (access_token: string) =>
    await app.inject({ url: '/userinfo', headers: { authorization: `Bearer ${access_token}` } })
  const all = 'openid email mail:read'

  const rows: [name: string, asked: Parameters, aud: string | string[], scope: string][] = [
    ['no resource', { scope: 'openid email' }, ISSUER, 'openid email'],
    ['the issuer', { scope: 'openid email', resource: ISSUER }, ISSUER, 'openid email'],
    ['with a slash', { scope: 'openid email', resource: `${ISSUER}/` }, ISSUER, 'openid email'],
    ['both', { scope: all, resource: [ISSUER, MAIL] }, [ISSUER, MAIL], all],
    ['both, the other way round', { scope: all, resource: [MAIL, ISSUER] }, [ISSUER, MAIL], all],
  ]
  for (const [name, asked, aud, scope] of rows) {
    const tokens = await signIn(app, site, agent, asked)
    t.match(decodeJwt(tokens.access_token), { aud, scope }, name)
    t.equal(tokens.scope, scope, name)
    t.equal((await userinfo(tokens.access_token)).json().email, 'owner@example.com', name)
    const again = (await refresh(app, site, tokens.refresh_token)).json()
    t.match(decodeJwt(again.access_token), { aud, scope }, `${name}: refreshed`)
  }

  const forApis: [name: string, asked: Parameters, scope: string][] = [
    ['an API', { scope: all, resource: MAIL }, 'mail:read'],
    ['an API that a scope implies', { scope: all }, 'mail:read'],
    ['an API that a scope implies, and the issuer', { scope: all, resource: ISSUER }, 'mail:read'],
    ['two APIs', { scope: all, resource: [MAIL, CALENDAR] }, 'mail:read'],
    ['an API and nothing of its scopes', { scope: 'openid email', resource: MAIL }, ''],
    ['an API and no scope', { resource: MAIL }, ''],
    ['an API that a scope alone implies', { scope: 'mail:read' }, 'mail:read'],
  ]
  for (const [name, asked, scope] of forApis) {
    const tokens = await signIn(app, site, agent, asked)
    t.equal(tokens.scope, scope, `${name}: no scope of ours in the answer`)
    t.equal(decodeJwt(tokens.access_token).scope, scope, `${name}: nor in the token`)
    t.equal((await introspect(mail, tokens.access_token)).json().scope, scope, `${name}: nor there`)
    const refused = await userinfo(tokens.access_token)
    t.equal(refused.statusCode, 401, name)
    t.equal(refused.json().error, 'invalid_token', name)
    t.match(refused.headers['www-authenticate'], /error="invalid_token"/, 'RFC 6750 section 3.1')
  }

  t.test('RFC 8707 section 2.2: each audience has a token of its own', async (t) => {
    const code = await getCode(app, site, agent, { scope: all, resource: MAIL })
    const first = (await redeem(app, site, code, { resource: ISSUER })).json()
    t.match(decodeJwt(first.access_token), { aud: ISSUER, scope: 'openid email' })
    t.equal((await userinfo(first.access_token)).statusCode, 200)
    const second = (await refresh(app, site, first.refresh_token, { resource: MAIL })).json()
    t.match(decodeJwt(second.access_token), { aud: MAIL, scope: 'mail:read' })
    const third = { resource: [`${ISSUER}/`, MAIL], scope: 'email mail:read' }
    const both = (await refresh(app, site, second.refresh_token, third)).json()
    t.match(decodeJwt(both.access_token), { aud: [ISSUER, MAIL], scope: third.scope })
    const same = (await refresh(app, site, both.refresh_token, { scope: all })).json()
    t.equal(same.scope, 'mail:read', 'a client that sends its whole scope each time goes on')
  })

  t.test(
    'OpenID Connect Core section 3.1.3.3: openid gives an ID Token whatever the audience',
    async (t) => {
      const tokens = await signIn(app, site, agent, { scope: all, resource: MAIL })
      t.match(decodeJwt(tokens.id_token ?? ''), { aud: site.client_id, email: 'owner@example.com' })
      const again = (await refresh(app, site, tokens.refresh_token)).json()
      t.match(decodeJwt(again.id_token), { sub: agent.agent_id, email: 'owner@example.com' })
      const fewer = await refresh(app, site, again.refresh_token, { scope: 'mail:read' })
      t.notOk('id_token' in fewer.json(), 'openid was not asked for')
    },
  )

  t.test('what was not granted is not given', async (t) => {
    const { refresh_token } = await signIn(app, site, agent, { scope: 'mail:read' })
    const both = await refresh(app, site, refresh_token, { resource: [ISSUER, MAIL] })
    t.equal(both.json().error, 'invalid_target', 'no scope of ours was')
    const own = await signIn(app, site, agent, { scope: 'email' })
    const refused = await refresh(app, site, own.refresh_token, { resource: [ISSUER, MAIL] })
    t.equal(refused.json().error, 'invalid_target', 'the API was not')
    const nothing = await refresh(app, site, own.refresh_token, { scope: 'mail:read' })
    t.equal(nothing.json().error, 'invalid_scope')
  })

  t.test('nobody can register the issuer as an API', async (t) => {
    for (const uri of [ISSUER, `${ISSUER}/`]) {
      await t.rejects(createApi(app, { uri }), { code: 'invalid_target' }, uri)
    }
  })
})

t.test('RFC 6749 section 4.4: a client has no token of its own for the issuer', async (t) => {
  const { app, mail } = await setUp(t)
  t.ok(mail)
  const machine = await createSite(app, {
    redirect_uris: [],
    grant_types: ['client_credentials'],
    scope: 'mail:read email',
  })
  const { ISSUER } = app.settings
  const grant = { grant_type: 'client_credentials', resource: [ISSUER, MAIL] }
  const refused = await post(app, '/token', machine, grant)
  t.match(refused.json(), { error: 'invalid_target' })
})

t.test('an issuer with a path is named with and without its slash', async (t) => {
  const ISSUER = 'https://example.com/agents'
  const app = await build(t, { ISSUER })
  const site = await createSite(app)
  const agent = await createAgent(app)
  for (const resource of [ISSUER, `${ISSUER}/`]) {
    const { access_token } = await signIn(app, site, agent, { resource })
    t.equal(decodeJwt(access_token).aud, ISSUER, resource)
  }
})

t.test('RFC 8414: the metadata has the resources and their scopes as they are now', async (t) => {
  const app = await build(t)
  const metadata = async () =>
    (await app.inject({ url: '/.well-known/oauth-authorization-server' })).json()
  t.notOk('protected_resources' in (await metadata()), 'section 3.2: no empty array')

  const { client_id, uri } = await createApi(app, { scopes: ['read', 'write'] })
  const { protected_resources, scopes_supported } = await metadata()
  t.same(protected_resources, [uri], 'RFC 9728 section 4')
  t.ok(['openid', 'email', 'read', 'write'].every((scope) => scopes_supported.includes(scope)))

  await app.store.resources.delete(client_id)
  t.notOk((await metadata()).scopes_supported.includes('read'))
})

t.test('what cannot be registered as a resource', async (t) => {
  const app = await build(t)
  await createApi(app, { uri: 'https://api.example' })
  const refusals: [string, Partial<NewResource>, string][] = [
    ['no absolute URI', { uri: '/v1' }, 'invalid_target'],
    ['a fragment', { uri: 'https://api.example/v1#x' }, 'invalid_target'],
    ['a URI twice', { uri: 'https://api.example/' }, 'invalid_target'],
    ['a scope with a space', { scopes: ['a b'] }, 'invalid_scope'],
    ['an empty scope', { scopes: [''] }, 'invalid_scope'],
    ['a scope of ours', { scopes: ['email'] }, 'invalid_scope'],
  ]
  for (const [name, given, code] of refusals) {
    await t.rejects(createApi(app, given), { code }, name)
  }
  await createApi(app, { uri: 'urn:example:api', scopes: [] })
})

t.test(
  'RFC 6749 section 6: a refresh may repeat the words that the authorization request lost',
  async (t) => {
    const app = await build(t)
    await createApi(app, { uri: MAIL, scopes: ['mail:read', 'mail:send'] })
    const limited = { scope: 'openid email mail:read' }
    const agent = await createAgent(app)
    const good: [name: string, given: Partial<NewClient>, asked: string, granted: string][] = [
      ['an unknown word', {}, 'openid email address', 'openid email'],
      ['a word of no server', {}, 'email https://x.example/y', 'email'],
      ['offline access and more', {}, 'offline phone mail:read', 'mail:read'],
      ['beyond what the client may have', limited, 'openid email profile', 'openid email'],
      ['an API’s word beyond that', limited, 'mail:read mail:send', 'mail:read'],
    ]
    for (const [name, given, asked, granted] of good) {
      const site = await createSite(app, given)
      const tokens = await signIn(app, site, agent, { scope: asked })
      t.equal(tokens.scope, granted, name)
      const again = await refresh(app, site, tokens.refresh_token, { scope: asked })
      t.match([again.statusCode, again.json().scope], [200, granted], name)
    }

    const site = await createSite(app)
    const refusals: [name: string, granted: string, asked: string][] = [
      ['an identity scope that was not granted', 'openid', 'openid email'],
      ['an API’s scope beside none', 'email', 'email mail:read'],
      ['another scope of the same API', 'mail:read', 'mail:read mail:send'],
      ['nothing but unknown words', 'email', 'phone address'],
    ]
    for (const [name, scope, asked] of refusals) {
      const { refresh_token } = await signIn(app, site, agent, { scope })
      const refused = await refresh(app, site, refresh_token, { scope: asked })
      t.match([refused.statusCode, refused.json().error], [400, 'invalid_scope'], name)
      t.equal((await refresh(app, site, refresh_token)).json().scope, scope, `${name}: still good`)
    }
  },
)
