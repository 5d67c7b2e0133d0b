import { decodeJwt } from 'jose'
import t from 'tap'
import { build, createAgent, createApi, createSite, post, refresh, signIn } from '../harness.ts'

t.test(
  'OpenID Connect Core section 5.1: email_verified is what the operator vouches for',
  async (t) => {
    const app = await build(t)
    const site = await createSite(app)
    const { agent_id, agent_secret } = await createAgent(app, 'ada@example.com')
    const tokens = await signIn(app, site, { agent_id, agent_secret }, { scope: 'openid email' })
    const headers = { authorization: `Bearer ${tokens.access_token}` }
    let { refresh_token } = tokens

    /** What the site is told now: by /userinfo and by the ID Token of a refresh. */
    async function told() {
      const refreshed = (await refresh(app, site, refresh_token)).json()
      refresh_token = refreshed.refresh_token
      const { email, email_verified } = decodeJwt(refreshed.id_token)
      const userinfo = (await app.inject({ url: '/userinfo', headers })).json()
      t.strictSame({ sub: agent_id, email, email_verified }, userinfo, 'both say the same')
      return userinfo
    }

    t.match(await told(), { email: 'ada@example.com', email_verified: false }, 'not by default')
    const steps: [
      name: string,
      change: { email?: string; email_verified?: boolean; name?: string },
      email_verified: boolean,
    ][] = [
      ['the operator vouches', { email_verified: true }, true],
      ['another name', { name: 'Max' }, true],
      ['the same address again', { email: 'ada@example.com' }, true],
      ['another address', { email: 'bob@example.com' }, false],
      ['another address and his word', { email: 'eve@example.com', email_verified: true }, true],
      ['he takes it back', { email_verified: false }, false],
    ]
    for (const [name, change, email_verified] of steps) {
      await app.registration.updateAgent(agent_id, change)
      t.strictSame((await told()).email_verified, email_verified, name)
    }

    const vouched = await app.registration.createAgent({
      email: 'max@example.com',
      email_verified: true,
    })
    const { agent, agent_secret: secret } = vouched
    const other = { agent_id: agent.agent_id, agent_secret: secret }
    const { id_token } = await signIn(app, site, other, { scope: 'openid email' })
    t.equal(decodeJwt(id_token ?? '').email_verified, true)
    const metadata = await app.inject('/.well-known/openid-configuration')
    t.ok(metadata.json().claims_supported.includes('email_verified'))
  },
)

t.test('RFC 7662 section 2.2: username is the e-mail address, with the scope email', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const api = await createApi(app, { uri: 'https://api.example/v1', scopes: ['read'] })
  const agent = await createAgent(app, 'ada@example.com')
  const usernameOf = async (token: string | undefined) =>
    (await post(app, '/introspect', site, { token })).json().username

  for (const [scope, username] of [
    ['email', 'ada@example.com'],
    ['openid email', 'ada@example.com'],
    ['openid', undefined],
    ['profile', undefined],
  ]) {
    const { access_token, refresh_token } = await signIn(app, site, agent, { scope })
    t.equal(await usernameOf(access_token), username, `access token, ${scope}`)
    t.equal(await usernameOf(refresh_token), username, `refresh token, ${scope}`)
  }

  const service = await createSite(app, {
    redirect_uris: [],
    grant_types: ['client_credentials'],
    scope: 'read',
  })
  const own = await post(app, '/token', service, {
    grant_type: 'client_credentials',
    resource: api.uri,
  })
  const { access_token: token } = own.json()
  const answer = await post(app, '/introspect', service, { token })
  t.match(answer.json(), { active: true, username: undefined }, 'a client has none')
})
