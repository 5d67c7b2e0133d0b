import type { FastifyInstance } from 'fastify'
import { decodeJwt } from 'jose'
import t from 'tap'
import {
  authenticate,
  authorizeQuery,
  build,
  createAgent,
  createApi,
  createSite,
  encode,
  open,
  type Parameters,
  pkce,
  redeem,
  signIn,
} from '../harness.ts'

/** A form of another site that a browser posts: it brings no cookie that is SameSite=Lax. */
function postForm(app: FastifyInstance, query: Parameters | string, cookie?: string) {
  return app.inject({
    method: 'POST',
    url: '/authorize',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      accept: 'text/html',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-site': 'cross-site',
      ...(cookie !== undefined && { cookie }),
    },
    payload: typeof query === 'string' ? query : encode(query),
  })
}

/** What a browser keeps: one value for each name. */
class CookieJar {
  readonly #cookies = new Map<string, { value: string; crossSite: boolean }>()

  take(header: string | string[] | undefined): void {
    for (const each of [header ?? []].flat()) {
      const [, name = '', value = ''] = each.match(/^([^=]+)=([^;]*)/) ?? []
      this.#cookies.set(name, { value, crossSite: /SameSite=None/i.test(each) })
    }
  }

  /** @param crossSite whether a form of another site asks */
  header(crossSite = false): string {
    return [...this.#cookies]
      .filter(([, cookie]) => !crossSite || cookie.crossSite)
      .map(([name, { value }]) => `${name}=${value}`)
      .join('; ')
  }

  get size(): number {
    return this.#cookies.size
  }
}

t.test('OpenID Connect Core section 3.1.2.1: a posted request is answered itself', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createAgent(app)
  const { code_verifier, code_challenge } = pkce()
  const state = 's'.repeat(4096)
  const query = authorizeQuery(site, code_challenge, { scope: 'openid', state })
  const page = await postForm(app, query)
  t.equal(page.statusCode, 200)
  t.equal(page.headers.location, undefined)
  t.match(page.headers['content-type'], 'text/html')
  const [, request_id = ''] = page.body.match(/request_id: '(req_[\w-]+)'/) ?? []
  const { redirect_to } = (await authenticate(app, request_id, agent)).json()
  const { searchParams } = new URL(redirect_to)
  t.equal(searchParams.get('state'), state)
  const [cookie = ''] = String(page.headers['set-cookie']).split(';')
  const status = `/api/check-status?request_id=${request_id}`
  t.strictSame((await app.inject(status)).json(), { status: 'authenticated' })
  const mine = await app.inject({ url: status, headers: { cookie } })
  t.strictSame(mine.json(), { status: 'completed', redirect_to })
  const code = { code: searchParams.get('code') ?? '', code_verifier }
  t.equal((await redeem(app, site, code)).statusCode, 200)

  const json = await app.inject({
    method: 'POST',
    url: '/authorize',
    headers: { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' },
    payload: encode(query),
  })
  t.match(json.json(), { request_id: /^req_/, scope: 'openid' })
})

for (const ISSUER of ['http://localhost:8080', 'https://auth.example', 'https://a.example/b']) {
  t.test(`${ISSUER}: a form of another site ends the wait of no other tab`, async (t) => {
    const app = await build(t, { ISSUER })
    const site = await createSite(app)
    const agent = await createAgent(app)
    const jar = new CookieJar()
    const tabs: string[] = []
    const opened = (page: Awaited<ReturnType<typeof postForm>>) => {
      jar.take(page.headers['set-cookie'])
      tabs.push(page.body.match(/request_id: '(req_[\w-]+)'/)?.[1] ?? '')
    }
    const query = () => authorizeQuery(site, pkce().code_challenge)
    const get = (cookie: string) =>
      app.inject({ url: `/authorize?${encode(query())}`, headers: { accept: 'text/html', cookie } })
    opened(await postForm(app, query(), jar.header(true)))
    opened(await get(jar.header()))
    for (let n = 0; n < 3; n += 1) opened(await postForm(app, query(), jar.header(true)))
    opened(await get(jar.header()))
    if (ISSUER.startsWith('https:')) t.equal(jar.size, 2, 'forms share a cookie')
    for (const request_id of tabs) {
      await authenticate(app, request_id, agent)
      const status = `/api/check-status?request_id=${request_id}`
      const mine = await app.inject({ url: status, headers: { cookie: jar.header() } })
      t.match(mine.json(), { status: 'completed', redirect_to: /code=/ })
      t.strictSame((await app.inject(status)).json(), { status: 'completed' }, 'nobody else')
    }
  })
}

t.test('the cookie of a form is kept to its host, path and scheme', async (t) => {
  const app = await build(t, { ISSUER: 'https://auth.example' })
  const site = await createSite(app)
  const page = await postForm(app, authorizeQuery(site, pkce().code_challenge))
  t.match(
    page.headers['set-cookie'],
    /^__Host-auth-agent-form-[\w-]{8}=[\w-]{43}; Max-Age=\d+; Path=\/; HttpOnly; Secure; SameSite=None$/,
  )
  const { cookie } = await open(app, site)
  const sameSite = await postForm(app, authorizeQuery(site, pkce().code_challenge), cookie)
  t.match(
    sameSite.headers['set-cookie'],
    `${cookie};`,
    'a form of this site uses the one of all tabs',
  )
  const forged = '__Host-auth-agent-form-a=short; __Host-auth-agent-other=x'
  const fresh = await postForm(app, authorizeQuery(site, pkce().code_challenge), forged)
  t.match(fresh.headers['set-cookie'], /^__Host-auth-agent-form-[\w-]{8}=[\w-]{43};/)
})

t.test('RFC 6749 section 3.1: what is posted is checked as what is in a URL', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const good = () => authorizeQuery(site, pkce().code_challenge)
  const shown: [name: string, change: Parameters][] = [
    ['client_id twice', { client_id: [site.client_id, site.client_id] }],
    ['redirect_uri twice', { redirect_uri: [site.redirect_uri, site.redirect_uri] }],
    ['no client_id', { client_id: undefined }],
    ['another redirect_uri', { redirect_uri: 'https://evil.example/' }],
  ]
  for (const [name, change] of shown) {
    const page = await postForm(app, { ...good(), ...change })
    t.equal(page.statusCode, 400, name)
    t.equal(page.headers.location, undefined, name)
  }
  const sent: [name: string, change: Parameters, error: string][] = [
    ['state twice', { state: ['a', 'b'] }, 'invalid_request'],
    ['scope twice', { scope: ['openid', 'email'] }, 'invalid_request'],
    ['nonce twice', { nonce: ['a', 'a'] }, 'invalid_request'],
    ['code_challenge twice', { code_challenge: ['a', 'a'] }, 'invalid_request'],
    ['a state beyond the maximum', { state: 's'.repeat(4097) }, 'invalid_request'],
    ['a nonce beyond the maximum', { nonce: 'n'.repeat(1025) }, 'invalid_request'],
    ['prompt=none', { prompt: 'none' }, 'login_required'],
    ['an unknown scope', { scope: 'admin' }, 'invalid_scope'],
  ]
  for (const [name, change, error] of sent) {
    const { statusCode, headers } = await postForm(app, { ...good(), ...change })
    t.equal(statusCode, 303, name)
    t.equal(new URL(String(headers.location)).searchParams.get('error'), error, name)
  }
  for (const payload of ['', 'nonsense', '%ZZ=%ZZ', 'client_id=%00']) {
    t.equal((await postForm(app, payload)).statusCode, 400, payload)
  }
  const query = encode(good())
  const url = `/authorize?${query}`
  const inUrl = await app.inject({ method: 'POST', url, headers: { accept: 'text/html' } })
  t.equal(inUrl.statusCode, 400, 'the parameters of a POST are in its body')
})

t.test(
  'OpenID Connect Core section 3.1.2.1: a form is taken however long its parameters may be',
  async (t) => {
    const app = await build(t)
    const url = await app.listen({ port: 0, host: '127.0.0.1' })
    const long = (begin: string, length: number) => begin.padEnd(length, 'x')
    const redirect_uri = long('https://site.example/', 2000)
    const site = await createSite(app, { redirect_uris: [redirect_uri] })
    const agent = await createAgent(app)
    const resource: string[] = []
    for (let n = 0; n < 10; n += 1) {
      const api = await createApi(app, { uri: long(`https://api${n}.example/`, 2000), scopes: [] })
      resource.push(api.uri)
    }
    const { id_token } = await signIn(app, site, agent, { scope: 'openid email' })
    const { code_verifier, code_challenge } = pkce()
    const query = authorizeQuery(site, code_challenge, {
      scope: long('openid email ', 1024),
      resource,
      // Every byte takes three in a form.
      state: '%'.repeat(3072),
      nonce: '"'.repeat(1024),
      prompt: 'login',
      id_token_hint: id_token,
      login_hint: 'l'.repeat(4096),
      claims: JSON.stringify({ userinfo: { email: null }, x: 'y'.repeat(8192) }),
    })
    const send = (change: Parameters, accept = 'text/html') =>
      fetch(`${url}/authorize`, {
        method: 'POST',
        headers: { 'content-type': 'application/x-www-form-urlencoded', accept },
        body: encode({ ...query, ...change }),
        redirect: 'manual',
      })
    t.ok(encode(query).length > 40 * 1024, 'more than twice what a URL can have')
    const inUrl = await fetch(`${url}/authorize?${encode(query)}`, { redirect: 'manual' })
    t.equal(inUrl.status, 431, 'a URL cannot carry it')

    const page = await send({})
    t.equal(page.status, 200)
    const [, request_id = ''] = (await page.text()).match(/request_id: '(req_[\w-]+)'/) ?? []
    const cookie = String(page.headers.get('set-cookie')).split(';')[0] ?? ''
    const { redirect_to } = (await authenticate(app, request_id, agent)).json()
    const { searchParams } = new URL(redirect_to)
    t.equal(searchParams.get('state'), query.state)
    const status = await fetch(`${url}/api/check-status?request_id=${request_id}`, {
      headers: { cookie },
    })
    t.match(await status.json(), { status: 'completed', redirect_to })
    const tokens = await redeem(app, site, { code: searchParams.get('code') ?? '', code_verifier })
    t.strictSame(decodeJwt(tokens.json().access_token).aud, resource)
    t.equal(decodeJwt(tokens.json().id_token).nonce, query.nonce)
    t.match(await (await send({}, 'application/json')).json(), { resource })

    const state = '%'.repeat(4096)
    const refused = await send({ state, nonce: undefined, response_type: 'token' })
    t.equal(refused.status, 303)
    const location = new URL(refused.headers.get('location') ?? '')
    t.equal(location.searchParams.get('error'), 'unsupported_response_type')
    t.equal(location.searchParams.get('state'), state)

    const tooLong = await send({ claims: 'y'.repeat(64 * 1024) })
    t.equal(tooLong.status, 413, 'beyond the limit of a body')
    t.equal((await send({})).status, 200, 'the good request still works')
  },
)
