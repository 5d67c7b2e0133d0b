import { decodeJwt } from 'jose'
import t from 'tap'
import {
  authorize,
  authorizeQuery,
  build,
  createAgent,
  createApi,
  createSite,
  pkce,
  post,
  refresh,
  signIn,
} from '../harness.ts'

t.test(
  'OpenID Connect Core section 11: offline_access is granted where a refresh token comes',
  async (t) => {
    const app = await build(t)
    const agent = await createAgent(app)
    await createApi(app, { uri: 'https://api.example/v1', scopes: ['read'] })
    const site = await createSite(app)
    const once = await createSite(app, { grant_types: ['authorization_code'] })
    const limited = await createSite(app, { scope: 'openid email' })
    const rows: [name: string, as: typeof site, asked: string, granted: string][] = [
      ['beside others', site, 'openid email offline_access', 'openid email offline_access'],
      ['in front of others', site, 'offline_access openid', 'openid offline_access'],
      ['beside the scope of an API', site, 'read offline_access', 'read offline_access'],
      ['alone, as without a scope', site, 'offline_access', 'email offline_access'],
      ['twice', site, 'email offline_access offline_access', 'email offline_access'],
      ['not asked for', site, 'email', 'email'],
      ['a client with a limit', limited, 'openid offline_access', 'openid offline_access'],
      ['a client without refresh tokens', once, 'openid offline_access', 'openid'],
      ['the same, alone', once, 'offline_access', 'email'],
    ]
    for (const [name, as, asked, granted] of rows) {
      const tokens = await signIn(app, as, agent, { scope: asked })
      t.equal(tokens.scope, granted, name)
      t.equal(decodeJwt(tokens.access_token).scope, granted, `${name}, in the token`)
      t.equal(tokens.refresh_token !== undefined, as !== once, name)
    }
    const forApi = await signIn(app, site, agent, { scope: 'read offline_access' })
    t.equal(decodeJwt(forApi.access_token).aud, 'https://api.example/v1', 'it is of no audience')

    const { code_challenge } = pkce()
    const scope = 'email offline_access'
    const page = await authorize(
      app,
      authorizeQuery(site, code_challenge, { scope, prompt: 'consent' }),
    )
    t.equal(page.statusCode, 200, 'section 3.1.2.1: prompt=consent comes with it')
    const metadata = (await app.inject('/.well-known/openid-configuration')).json()
    t.ok(metadata.scopes_supported.includes('offline_access'))
  },
)

t.test('RFC 6749 section 6: offline_access may be repeated at a refresh', async (t) => {
  const app = await build(t)
  const agent = await createAgent(app)
  const site = await createSite(app)
  const rows: [granted: string, asked: string | undefined, scope: string][] = [
    ['openid email offline_access', 'openid email offline_access', 'openid email offline_access'],
    ['openid email offline_access', 'openid', 'openid'],
    ['openid email offline_access', undefined, 'openid email offline_access'],
    ['openid email offline_access', 'offline_access', 'openid email offline_access'],
    ['openid email', 'openid email offline_access', 'openid email'],
    ['openid email', 'offline_access', 'openid email'],
  ]
  for (const [granted, asked, scope] of rows) {
    const { refresh_token } = await signIn(app, site, agent, { scope: granted })
    const first = await refresh(app, site, refresh_token, { scope: asked })
    t.match(first.json(), { scope, refresh_token: /^rt_/ }, `${granted}, refreshed as ${asked}`)
    const second = await refresh(app, site, first.json().refresh_token, { scope: granted })
    t.equal(second.json().scope, granted, 'a narrower token narrows nothing else')
  }
})

t.test('RFC 6749 section 4.4.3: a client that acts for itself has no offline_access', async (t) => {
  const app = await build(t)
  await createApi(app, { scopes: ['read'] })
  const service = await createSite(app, {
    redirect_uris: [],
    grant_types: ['client_credentials'],
    scope: 'read offline_access',
  })
  for (const [scope, status] of [
    ['read offline_access', 200],
    [undefined, 200],
    ['offline_access', 400],
  ] as const) {
    const answer = await post(app, '/token', service, { grant_type: 'client_credentials', scope })
    t.equal(answer.statusCode, status, scope ?? 'no scope')
    if (status === 200) t.equal(answer.json().scope, 'read')
    else t.equal(answer.json().error, 'invalid_scope')
  }
})

t.test('offline_access is nothing that the owner has to decide on', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const { code_challenge } = pkce()
  const shown = async (scope: string) => {
    const page = await authorize(app, authorizeQuery(site, code_challenge, { scope }))
    return page.body.match(/<dt[^>]*>It gets<\/dt>\s*<dd[^>]*>([^<]*)/)?.[1]
  }
  t.match(await shown('email'), 'e-mail address')
  t.equal(await shown('email offline_access'), await shown('email'))
})
