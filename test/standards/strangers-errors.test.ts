import t, { type Test } from 'tap'
import {
  authorize,
  authorizeQuery,
  build,
  createApi,
  createSite,
  encode,
  type Parameters,
  pkce,
  type Site,
  startWeb,
} from '../harness.ts'

const REDIRECT = 'https://shop.example/callback?x=1'

/** The same client, known in the two ways that the operator has no part in. */
async function setUp(t: Test) {
  const web = await startWeb(t)
  const app = await build(t, { DYNAMIC_REGISTRATION: 'open' }, { network: web.network })
  await createApi(app)
  const metadata = {
    client_name: 'Your bank calls: 555 1234',
    redirect_uris: [REDIRECT],
    token_endpoint_auth_method: 'none',
  }
  const client_id = web.url('client.example', '/client.json')
  web.serveJson('/client.json', { ...metadata, client_id })
  const registered = await app.inject({ method: 'POST', url: '/register', payload: metadata })
  const strangers: [name: string, site: Site][] = [client_id, registered.json().client_id].map(
    (client_id) => [client_id, { client_id, client_secret: undefined, redirect_uri: REDIRECT }],
  )
  return { app, strangers }
}

/** An attribute's value, as browsers read it. */
function decodeAttribute(attribute: string): string {
  return attribute
    .replace(/&#(\d+);/g, (_, code) => String.fromCharCode(Number(code)))
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&amp;', '&')
}

const hostile = '"><script>alert(1)</script> Call 555 1234'
const ERRORS: [name: string, change: Parameters, error: string][] = [
  ['prompt=none', { prompt: 'none' }, 'login_required'],
  ['an unknown prompt', { prompt: hostile }, 'invalid_request'],
  ['no response_type', { response_type: undefined }, 'invalid_request'],
  ['an unsupported response_type', { response_type: 'token' }, 'unsupported_response_type'],
  ['no PKCE', { code_challenge: undefined }, 'invalid_request'],
  ['a weak PKCE method', { code_challenge_method: 'plain' }, 'invalid_request'],
  ['an unknown scope', { scope: hostile }, 'invalid_scope'],
  ['an unknown resource', { resource: 'https://evil.example/555' }, 'invalid_target'],
  ['a bad resource', { resource: hostile }, 'invalid_target'],
  ['a repeated state', { state: [hostile, hostile] }, 'invalid_request'],
  ['a state that is too long', { state: 's'.repeat(5000) }, 'invalid_request'],
  ['a request object', { request: hostile }, 'request_not_supported'],
  ['a request object elsewhere', { request_uri: hostile }, 'request_uri_not_supported'],
  ['a foreign id_token_hint', { id_token_hint: hostile }, 'invalid_request'],
  ['an unknown response_mode', { response_mode: 'fragment' }, 'invalid_request'],
  ['a bad max_age', { max_age: hostile }, 'invalid_request'],
]

t.test(
  'RFC 9700 section 4.11.2: an error of a client that the operator did not register is shown',
  async (t) => {
    const { app, strangers } = await setUp(t)
    for (const [origin, site] of strangers) {
      for (const [what, change, error] of ERRORS) {
        const name = `${origin}: ${what}`
        const query = authorizeQuery(site, pkce().code_challenge, { state: hostile, ...change })
        const headers = { accept: 'text/html', 'content-type': 'application/x-www-form-urlencoded' }
        const payload = encode(query)
        const answers = [
          await authorize(app, query),
          await app.inject({ method: 'POST', url: '/authorize', headers, payload }),
        ]
        for (const page of answers) {
          t.equal(page.statusCode, 400, name)
          t.match(page.headers['content-type'], 'text/html', name)
          t.equal(page.headers.location, undefined, `${name}: no redirect`)
          t.equal(page.headers.refresh, undefined, `${name}: nor later`)
          t.notMatch(page.body, /<script|<form|http-equiv/, `${name}: nor by itself`)
          t.match(page.body, '<strong>shop.example</strong>', `${name}: where it leads`)

          const [, tag = '', href = ''] = page.body.match(/(<a [^>]*href="([^"]*)"[^>]*>)/) ?? []
          t.match(tag, /rel="noopener noreferrer"/, name)
          const url = new URL(decodeAttribute(href))
          t.equal(url.origin + url.pathname, 'https://shop.example/callback', name)
          t.equal(url.searchParams.get('x'), '1', name)
          t.equal(url.searchParams.get('error'), error, name)
          t.equal(url.searchParams.get('iss'), app.settings.ISSUER, name)
          const state = Array.isArray(change.state) ? null : (change.state ?? hostile)
          t.equal(url.searchParams.get('state'), state, name)

          const shown = page.body.replace(tag, '')
          t.notMatch(shown, '555', `${name}: no word of the stranger's`)
        }
        const json = await authorize(app, query, { accept: 'application/json' })
        t.equal(json.statusCode, 400, `${name}: as JSON`)
        t.equal(json.json().error, error, `${name}: as JSON`)
      }
      t.equal((await authorize(app, authorizeQuery(site, pkce().code_challenge))).statusCode, 200)
    }
  },
)

t.test('and with response_mode=form_post it is sent by nobody but the person', async (t) => {
  const { app, strangers } = await setUp(t)
  for (const [origin, site] of strangers) {
    const change = { response_mode: 'form_post', prompt: 'none', state: hostile }
    const page = await authorize(app, authorizeQuery(site, pkce().code_challenge, change))
    t.equal(page.statusCode, 400, origin)
    t.equal(page.headers.location, undefined, origin)
    t.notMatch(page.body, '<script', `${origin}: nothing submits it`)
    const [, action = ''] = page.body.match(/<form method="post" action="([^"]*)"/) ?? []
    t.equal(decodeAttribute(action), REDIRECT, origin)
    t.match(page.body, '<input type="hidden" name="error" value="login_required">', origin)
    t.match(page.body, '<button>Go to shop.example</button>', origin)
    t.match(page.headers['content-security-policy'], 'form-action https:', origin)
  }
})

t.test(
  'RFC 6749 section 4.1.2.1: one of a client that the operator registered is sent',
  async (t) => {
    const app = await build(t)
    const sites = [
      await createSite(app, { redirect_uris: [REDIRECT] }),
      await createSite(app, { redirect_uris: [REDIRECT], token_endpoint_auth_method: 'none' }),
    ]
    for (const site of sites) {
      for (const [name, change, error] of ERRORS) {
        const query = authorizeQuery(site, pkce().code_challenge, change)
        const answer = await authorize(app, query)
        t.equal(answer.statusCode, 303, name)
        const { searchParams } = new URL(String(answer.headers.location))
        t.equal(searchParams.get('error'), error, name)
      }
    }
  },
)
