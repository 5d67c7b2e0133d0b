import t from 'tap'
import {
  authenticate,
  build,
  createAgent,
  createSite,
  open,
  post,
  redeem,
  refresh,
} from '../harness.ts'

t.test(
  'an agent signs in to a website, which refreshes, reads the e-mail and revokes',
  async (t) => {
    const app = await build(t)
    const site = await createSite(app)
    const agent = await createAgent(app)

    const { request_id, code_verifier, cookie } = await open(app, site, { scope: 'openid email' })
    const status = () =>
      app.inject({ url: `/api/check-status?request_id=${request_id}`, headers: { cookie } })
    t.same((await status()).json(), { status: 'pending' })

    const authenticated = await authenticate(app, request_id, agent)
    t.match(authenticated.json(), { status: 'authenticated', success: true })

    const { redirect_to } = (await status()).json()
    t.equal(redirect_to, authenticated.json().redirect_to)
    const { searchParams } = new URL(redirect_to)
    t.equal(searchParams.get('state'), 'the state')
    t.equal(searchParams.get('iss'), app.settings.ISSUER)

    const code = searchParams.get('code') ?? ''
    const tokens = (await redeem(app, site, { code, code_verifier })).json()
    t.match(tokens, { token_type: 'Bearer', expires_in: 3600, scope: 'openid email' })

    const refreshed = (await refresh(app, site, tokens.refresh_token)).json()
    const authorization = `Bearer ${refreshed.access_token}`
    const userinfo = await app.inject({ url: '/userinfo', headers: { authorization } })
    t.same(userinfo.json(), {
      sub: agent.agent_id,
      email: 'owner@example.com',
      email_verified: false,
    })

    const active = async () =>
      (await post(app, '/introspect', site, { token: refreshed.access_token })).json().active
    t.equal(await active(), true)
    t.equal((await post(app, '/revoke', site, { token: refreshed.refresh_token })).statusCode, 200)
    t.equal(await active(), false)
  },
)
