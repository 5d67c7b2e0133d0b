import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { APIS } from '../../scripts/presets/apis.ts'
import { applicationsPage } from '../../scripts/presets/page.ts'
import { redirectUri, registrationOf } from '../../scripts/presets/preset.ts'
import { APPLICATIONS, PRESETS } from '../../scripts/presets/presets.ts'
import { API_TRIALS, TRIALS } from '../../scripts/try-applications/trials.ts'
import { authenticate, build, createAgent, open, post } from '../harness.ts'
import { fresh, json, run } from './command.ts'

const page = join(import.meta.dirname, '../../plugins/oauth/APPLICATIONS.md')

t.test('the page has the lines that the command prints, and each product was tried', (t) => {
  t.equal(readFileSync(page, 'utf8'), applicationsPage(), 'node scripts/presets/page.ts writes it')
  for (const [name, { version, notes }] of Object.entries(APPLICATIONS)) {
    t.match(version, /\d+\.\d+/, name)
    t.ok(notes.length > 0, name)
    t.ok(name in TRIALS, `${name} is tried`)
  }
  for (const [name, { impossible }] of Object.entries(TRIALS)) {
    t.equal(impossible === undefined, name in APPLICATIONS, name)
  }
  for (const name of Object.keys(APIS)) t.ok(name in API_TRIALS, `${name} is tried`)
  t.end()
})

t.test('an agent signs in to what a preset registers', async (t) => {
  const app = await build(t)
  const agent = await createAgent(app)
  for (const [name, preset] of Object.entries(APPLICATIONS)) {
    const url = 'https://app.example/below'
    const registered = await app.registration.createClient(registrationOf(preset, url))
    const { client, client_secret } = registered
    const redirect_uri = redirectUri(preset, url)
    t.ok(redirect_uri.startsWith(`${url}/`), name)
    const site = { client_id: client.client_id, client_secret, redirect_uri }
    const { request_id, code_verifier } = await open(app, site, { scope: 'openid email' })
    const signedIn = await authenticate(app, request_id, agent, { deliver: 'agent' })
    const code = new URL(signedIn.json().redirect_to).searchParams.get('code') ?? ''
    const redemption = { grant_type: 'authorization_code', code, code_verifier, redirect_uri }
    t.match((await post(app, '/token', site, redemption)).json(), { id_token: String }, name)
  }
})

t.test('client create --preset prints the lines for the other side, filled in', async (t) => {
  const environment = { ...fresh(t), ISSUER: 'https://auth.example/as' }
  const url = 'https://app.example'
  const create = ['client', 'create', '--preset', 'oauth2-proxy']
  const created = await json(environment, ...create, '--url', `${url}/`)
  const { client_id, client_secret } = created
  t.match(created, {
    client_name: 'oauth2-proxy',
    redirect_uris: [`${url}/oauth2/callback`],
    token_endpoint_auth_method: 'client_secret_basic',
    refresh_reuse_grace: 30,
  })
  const given = { issuer: 'https://auth.example/as', client_id, client_secret, url }
  const { files = [] } = APPLICATIONS['oauth2-proxy'] ?? {}
  t.same(
    created.configuration,
    files.map(({ name, lines }) => ({ file: name, lines: lines(given) })),
  )
  for (const value of Object.values(given)) t.match(created.configuration[0].lines, value)

  const { out } = await run(environment, ...create, '--url', url, '--refresh-reuse-grace', '5')
  t.match(out, /^refresh_reuse_grace +5$/m, 'what is said beside it counts')
  t.match(out, '\nclient_id = "client_', 'as it is to be pasted')

  for (const args of [
    create,
    [...create, '--url', 'app.example'],
    [...create, '--url', 'https://app.example/?a="b'],
    [...create, '--url', url, '--redirect-uri', `${url}/callback`],
    [...create, '--url', url, '--public'],
    ['client', 'create', '--preset', 'nothing', '--url', url],
    ['client', 'create', '--name', 'Shop', '--url', url],
  ]) {
    t.match(await run(environment, ...args), { code: 2, out: '' }, args.join(' '))
  }
  const presets = await json(environment, 'client', 'presets')
  t.same(
    presets.map(({ preset }: { preset: string }) => preset),
    Object.keys(PRESETS),
  )
})
