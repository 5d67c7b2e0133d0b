import t from 'tap'
import { endpoints } from '../../plugins/app.ts'
import { websiteErrors } from '../../plugins/core/http/website-errors.ts'
import websiteErrorsPage from '../../plugins/discovery/website-errors.ts'
import {
  authorize,
  authorizeQuery,
  build,
  createAgent,
  createSite,
  getCode,
  type Parameters,
  pkce,
  post,
  redeem,
} from '../harness.ts'

const { code_challenge } = pkce()

t.test('the page has an anchor and a remedy for each error', async (t) => {
  const app = await build(t)
  const page = await app.inject('/docs/errors')
  t.match(page.headers['content-security-policy'], "default-src 'none'")
  for (const anchor of Object.keys(websiteErrors)) t.match(page.body, `<section id="${anchor}">`)
  for (const [, id = ''] of page.body.matchAll(/href="#([^"]+)"/g)) {
    t.ok(page.body.includes(`id="${id}"`), `#${id} leads somewhere`)
  }
  t.notMatch(page.body, /undefined|\[object|<script|href="http/)
})

t.test(
  'RFC 6749 section 4.1.2.1: error_uri tells the operator of the website what to change',
  async (t) => {
    const app = await build(t, { ISSUER: 'https://auth.test/id' })
    const site = await createSite(app)
    const machine = await createSite(app, { grant_types: ['client_credentials'] })
    const refusals: [change: Parameters, anchor: string | undefined, of?: typeof site][] = [
      [{ code_challenge: undefined }, 'pkce'],
      [{ code_challenge: undefined, code_challenge_method: undefined }, 'pkce'],
      [{ code_challenge: '' }, 'pkce'],
      [{ code_challenge_method: undefined }, 'pkce'],
      [{ code_challenge_method: 'plain' }, 'pkce'],
      [{ response_type: 'token', code_challenge: undefined }, 'response-type'],
      [{ response_mode: 'fragment' }, 'response-mode'],
      [{ scope: 'admin' }, 'scope'],
      [{ resource: 'https://api.example' }, 'resource'],
      [{ prompt: 'none' }, 'prompt-none'],
      [{ request: 'x' }, 'request-object'],
      [{}, 'grant-type', machine],
      [{ max_age: 'x' }, undefined],
    ]
    for (const [change, anchor, of = site] of refusals) {
      const name = JSON.stringify(change)
      const expected = anchor === undefined ? null : `https://auth.test/id/docs/errors#${anchor}`
      const query = authorizeQuery(of, code_challenge, change)
      const { searchParams } = new URL(String((await authorize(app, query)).headers.location))
      t.equal(searchParams.get('error_uri'), expected, name)
      const json = (await authorize(app, query, { accept: 'application/json' })).json()
      t.equal(json.error_uri ?? null, expected, `${name} as JSON`)
      if (anchor === 'pkce') {
        t.match(json.error_description, /turn on PKCE with S256 at this website/, name)
      }
    }
    for (const [change, anchor] of [
      [{ client_id: 'unknown' }, 'client'],
      [{ redirect_uri: 'https://site.example/other' }, 'redirect-uri'],
    ] as const) {
      const page = await authorize(app, authorizeQuery(site, code_challenge, change))
      t.match(page.body, `<code>https://auth.test/id/docs/errors#${anchor}</code>`)
      t.notMatch(page.body, 'href=', 'no link')
    }
    t.equal((await authorize(app, authorizeQuery(site, code_challenge))).statusCode, 200)
  },
)

t.test('RFC 6749 section 5.2: so does error_uri at the token endpoint', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createAgent(app)
  const code = await getCode(app, site, agent)
  const refusals: [change: Parameters, anchor: string][] = [
    [{ code_verifier: undefined }, 'code-verifier'],
    [{ code_verifier: pkce().code_verifier }, 'code-verifier'],
    [{ redirect_uri: 'https://site.example/other' }, 'redirect-uri'],
    [{ code: 'ac_unknown' }, 'code'],
    [{ client_secret: 'cs_wrong' }, 'client-authentication'],
    [{ grant_type: 'password' }, 'grant-type'],
    [{ grant_type: 'refresh_token', refresh_token: 'rt_unknown' }, 'refresh-token'],
  ]
  for (const [change, anchor] of refusals) {
    const { error_uri } = (await redeem(app, site, code, change)).json()
    t.equal(error_uri, `${app.settings.ISSUER}/docs/errors#${anchor}`, JSON.stringify(change))
  }
  const malformed = await post(app, '/token', site, { grant_type: 'authorization_code' })
  t.notOk('error_uri' in malformed.json(), 'where there is nothing to switch on, none')
  t.equal((await redeem(app, site, code)).statusCode, 200, 'the good request still works')
})

t.test('without the page there is no error_uri', async (t) => {
  const others = endpoints.filter((endpoint) => endpoint !== websiteErrorsPage)
  const app = await build(t, {}, { endpoints: others })
  const query = authorizeQuery(await createSite(app), code_challenge, { prompt: 'none' })
  const { location } = (await authorize(app, query)).headers
  t.equal(new URL(String(location)).searchParams.has('error_uri'), false)
})
