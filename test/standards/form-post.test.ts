import t from 'tap'
import {
  authenticate,
  authorize,
  authorizeQuery,
  build,
  createAgent,
  createSite,
  open,
  pkce,
  redeem,
} from '../harness.ts'

const formPost = { response_mode: 'form_post' }

t.test('Form Post Response Mode section 2: the code is in a form, never in a URL', async (t) => {
  const app = await build(t)
  const site = await createSite(app, { redirect_uris: ['https://site.example/callback?x=1'] })
  const agent = await createAgent(app)
  const { request_id, cookie, code_verifier } = await open(app, site, formPost)

  const authenticated = (await authenticate(app, request_id, agent)).json()
  t.equal(authenticated.redirect_to, site.redirect_uri)
  const { code } = authenticated.form_post
  t.same(authenticated.form_post, { code, state: 'the state', iss: app.settings.ISSUER })

  const status = async (headers: Record<string, string> = {}) =>
    (await app.inject({ url: `/api/check-status?request_id=${request_id}`, headers })).json()
  t.same(await status(), { status: 'authenticated' }, 'a stranger gets no form')
  t.same(await status({ cookie }), {
    status: 'completed',
    redirect_to: site.redirect_uri,
    form_post: authenticated.form_post,
  })
  t.equal((await redeem(app, site, { code, code_verifier })).statusCode, 200)
})

t.test('what opened the request without a browser gets the form and its members', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createAgent(app)
  const { code_challenge } = pkce()
  const opened = await authorize(app, authorizeQuery(site, code_challenge, formPost), {
    accept: 'application/json',
    'sec-fetch-mode': 'cors',
  })
  const { request_id } = opened.json()
  const { form_post } = (await authenticate(app, request_id, agent)).json()
  const { code, state } = form_post
  const status = await app.inject(`/api/check-status?request_id=${request_id}`)
  const { redirect_uri } = site
  t.same(status.json(), {
    status: 'completed',
    redirect_to: redirect_uri,
    form_post,
    code,
    state,
    redirect_uri,
  })
})

t.test('Form Post Response Mode section 2: errors are posted too', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const state = `"><script>alert('state')</script>`
  const query = authorizeQuery(site, pkce().code_challenge, { ...formPost, prompt: 'none', state })
  const page = await authorize(app, query)
  t.equal(page.statusCode, 200)
  t.notOk(page.headers.location)
  t.match(page.headers['content-type'], /^text\/html/)
  t.equal(page.headers['cache-control'], 'no-store')
  t.match(page.body, `<form method="post" action="${site.redirect_uri}">`)
  t.match(page.body, '<input type="hidden" name="error" value="login_required">')
  t.match(page.body, `<input type="hidden" name="iss" value="${app.settings.ISSUER}">`)
  t.notMatch(page.body, '<script>alert', 'RFC 6749 section 10.14: the state is inert')
})

t.test(
  'only a page with a form may post one, and not in the clear to a secure website',
  async (t) => {
    const app = await build(t)
    const sources = [
      ['https://site.example/callback?x=1', 'https:'],
      ['http://127.0.0.1/cb', 'http: https:'],
      ['http://[::1]/cb', 'http: https:'],
    ]
    for (const [redirect_uri = '', source] of sources) {
      const site = await createSite(app, {
        redirect_uris: [redirect_uri],
        token_endpoint_auth_method: 'none',
      })
      const { code_challenge } = pkce()
      const policies = [{}, { prompt: 'none' }].map(async (change) => {
        const query = authorizeQuery(site, code_challenge, { ...formPost, ...change })
        return String((await authorize(app, query)).headers['content-security-policy'])
      })
      for (const policy of await Promise.all(policies)) {
        t.ok(policy.split('; ').includes(`form-action ${source}`), policy)
      }
      const plain = await authorize(app, authorizeQuery(site, code_challenge))
      t.match(plain.headers['content-security-policy'], "form-action 'none'")
    }
  },
)
