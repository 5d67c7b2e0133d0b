import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { exportJWK, generateKeyPair } from 'jose'
import t, { type Test } from 'tap'
import { generateKey } from '../../agent/index.ts'
import {
  authorizeUrl,
  closeBrowser,
  openAgentBrowser,
  setScene,
  skip as skipBrowser,
} from '../browser/chromium.ts'
import { createAgent, createApi, createSite, signIn, TestClock } from '../harness.ts'
import { makeFolder } from '../processes.ts'
import { signInWithoutBrowser } from './agent-library.ts'
import { freePort, listen } from './live.ts'
import { type Program, skip, start } from './python.ts'
import { signInAtWebsite } from './website.ts'

// The programs take seconds to start on a machine that is busy.
t.setTimeout(900_000)
const options = { skip, timeout: 300_000 }

t.test('a website in Starlette signs an agent in with Authlib', options, async (t) => {
  const { app, issuer } = await listen(t)
  const port = await freePort()
  const origin = `http://127.0.0.1:${port}`
  const site = await createSite(app, { redirect_uris: [`${origin}/callback`] })
  const agent = await createAgent(app)
  const website = start(t, 'website.py', {
    ISSUER: issuer,
    CLIENT_ID: site.client_id,
    CLIENT_SECRET: site.client_secret ?? '',
    REDIRECT_URI: site.redirect_uri,
    PORT: String(port),
  })
  await website.answers(origin)

  const { visitor, authorizationUrl, callback, answer } = await signInAtWebsite(
    `${origin}/login`,
    agent,
  )
  const { nonce, ...asked } = Object.fromEntries(authorizationUrl.searchParams)
  t.match(asked, { code_challenge_method: 'S256', scope: 'openid email', state: /.{20}/ })
  t.match(await answer.json(), {
    iss: issuer,
    sub: agent.agent_id,
    email: 'owner@example.com',
    nonce,
  })
  t.equal((await visitor.fetch(callback)).status, 400, 'the same callback again')

  const login = await visitor.redirectOf(`${origin}/login`)
  login.searchParams.set('nonce', 'another')
  const other = await visitor.fetch(await signInWithoutBrowser(login, agent))
  t.equal(other.status, 400)
  t.match(await other.json(), { error: /nonce/ })
})

t.test('a relying party with Authlib and requests', options, async (t) => {
  const { app, issuer } = await listen(t)
  const site = await createSite(app)
  const agent = await createAgent(app)

  async function begin(t: Test): Promise<{ program: Program; authorizationUrl: URL }> {
    const program = start(t, 'relying_party.py', {
      ISSUER: issuer,
      CLIENT_ID: site.client_id,
      CLIENT_SECRET: site.client_secret ?? '',
      REDIRECT_URI: site.redirect_uri,
    })
    return { program, authorizationUrl: new URL(await program.readLine()) }
  }

  t.test('finds all from the issuer and reads the owner’s e-mail', async (t) => {
    const { program, authorizationUrl } = await begin(t)
    t.equal(authorizationUrl.searchParams.get('code_challenge_method'), 'S256')
    program.write((await signInWithoutBrowser(authorizationUrl, agent)).href)
    t.match(JSON.parse(await program.readLine()), {
      iss: issuer,
      aud: site.client_id,
      sub: agent.agent_id,
      email: 'owner@example.com',
      nonce: authorizationUrl.searchParams.get('nonce'),
    })
  })

  const refused: [string, string, string, RegExp][] = [
    ['another state', 'state', 'another', /[Mm]ismatching_?state|MismatchingState/],
    ['an ID token for another nonce', 'nonce', 'another', /nonce/],
    ['a code for another challenge', 'code_challenge', 'A'.repeat(43), /invalid_grant/],
  ]
  for (const [what, parameter, value, complaint] of refused) {
    t.test(`refuses ${what}`, async (t) => {
      const { program, authorizationUrl } = await begin(t)
      authorizationUrl.searchParams.set(parameter, value)
      program.write((await signInWithoutBrowser(authorizationUrl, agent)).href)
      await t.rejects(program.readLine(), { message: complaint })
    })
  }
})

t.test('an API in Python', options, async (t) => {
  const clock = new TestClock()
  clock.advance(Math.floor(Date.now() / 1000) - clock.now())
  const { app, issuer } = await listen(t, { ACCESS_TOKEN_TTL: 600 }, { clock })
  const agent = await createAgent(app)
  const api = await createApi(app)
  const other = await createApi(app, { uri: 'https://other.example', scopes: ['look'] })
  const site = await createSite(app, { id_token_signed_response_alg: 'ES256' })
  const scope = 'openid email read'
  const resource = api.uri
  const good = await signIn(app, site, agent, { scope, resource })

  async function tokens(): Promise<[string, string, RegExp][]> {
    const { access_token: elsewhere } = await signIn(app, site, agent, { resource: other.uri })
    const { access_token: ours } = await signIn(app, site, agent)
    const [header, , signature] = good.access_token.split('.')
    const forged = Buffer.from(JSON.stringify({ iss: issuer, aud: resource })).toString('base64url')
    clock.advance(-3600)
    const { access_token: old } = await signIn(app, site, agent, { resource })
    clock.advance(3600)
    return [
      ['a token for another API', elsewhere, /[Aa]udience/],
      ['a token for no API', ours, /[Aa]udience/],
      ['an ID token', good.id_token ?? '', /./],
      ['a token that has expired', old, /expired/],
      ['changed claims', `${header}.${forged}.${signature}`, /[Ss]ignature/],
      ['no JWT', 'nonsense', /./],
      ['nothing', '', /./],
    ]
  }
  const refused = await tokens()

  t.test('verifies access tokens with PyJWT, and nothing else', async (t) => {
    const program = start(t, 'api.py', { ISSUER: issuer, RESOURCE: resource })
    const verify = async (token: string) => {
      program.write(token)
      return JSON.parse(await program.readLine())
    }
    t.match(await verify(good.access_token), {
      sub: agent.agent_id,
      client_id: site.client_id,
      scope: /\bread\b/,
    })
    for (const [what, token, error] of refused) t.match(await verify(token), { error }, what)
  })

  t.test('takes no ID token, where its audience is the same', async (t) => {
    const program = start(t, 'api.py', { ISSUER: issuer, RESOURCE: site.client_id })
    program.write(good.id_token ?? '')
    t.match(JSON.parse(await program.readLine()), { error: 'not an access token' })
  })

  t.test('asks about them with requests', async (t) => {
    const program = start(t, 'introspection.py', {
      ISSUER: issuer,
      RESOURCE_ID: api.client_id,
      RESOURCE_SECRET: api.client_secret,
    })
    const introspect = async (token: string) => {
      program.write(token)
      return JSON.parse(await program.readLine())
    }
    t.match(await introspect(good.access_token), { active: true, sub: agent.agent_id })
    for (const [what, token] of refused) {
      if (token !== '') t.same(await introspect(token), { active: false }, what)
    }
  })
})

t.test('an MCP server in FastMCP', options, async (t) => {
  const { app, issuer } = await listen(t)
  const agent = await createAgent(app)
  const source = readFileSync(join(import.meta.dirname, 'python/mcp_server.py'), 'utf8')

  /** The MCP server, with a change to its source. */
  async function serve(t: Test, change = (code: string) => code) {
    const base_url = `http://127.0.0.1:${await freePort()}`
    const resource = `${base_url}/mcp`
    await app.registration.createResource({ uri: resource, scopes: ['tools'] })
    const file = join(makeFolder(t), 'mcp_server.py')
    writeFileSync(file, change(source))
    const server = start(t, file, { ISSUER: issuer, BASE_URL: base_url })
    await server.answers(resource)
    return resource
  }
  const { client_id } = await createSite(app, {
    redirect_uris: ['http://127.0.0.1/callback'],
    token_endpoint_auth_method: 'none',
  })
  const startClient = (t: Test, resource: string) =>
    start(t, 'mcp_client.py', { ISSUER: issuer, RESOURCE: resource, CLIENT_ID: client_id })

  /** What the MCP server answers who calls it with a token. */
  async function call(resource: string, token: string): Promise<number> {
    const headers = {
      authorization: `Bearer ${token}`,
      accept: 'application/json, text/event-stream',
      'content-type': 'application/json',
    }
    const clientInfo = { name: 'test', version: '1.0.0' }
    const params = { protocolVersion: '2025-06-18', capabilities: {}, clientInfo }
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'initialize', params })
    return (await fetch(resource, { method: 'POST', headers, body })).status
  }

  t.test('lets the MCP SDK for Python in from its URL alone', async (t) => {
    const resource = await serve(t)
    const client = startClient(t, resource)
    client.write((await signInWithoutBrowser(await client.readLine(), agent)).href)
    const { structuredContent } = JSON.parse(await client.readLine())
    t.match(structuredContent, { agent: agent.agent_id, model: 'gpt-4o' })

    const other = await createApi(app)
    const site = await createSite(app)
    const { access_token } = await signIn(app, site, agent, { scope: 'tools', resource })
    t.equal(await call(resource, access_token), 200, 'a good token')
    const elsewhere = await signIn(app, site, agent, { resource: other.uri })
    t.equal(await call(resource, elsewhere.access_token), 401, 'a token for another API')
    const ours = await signIn(app, site, agent)
    t.equal(await call(resource, ours.access_token), 401, 'a token for no API')
    t.equal(await call(resource, 'nonsense'), 401, 'no JWT')
  })

  t.test('takes no ID token, which JWTVerifier itself would take', async (t) => {
    const site = await createSite(app, { id_token_signed_response_alg: 'ES256' })
    const { id_token = '' } = await signIn(app, site, agent, { scope: 'openid' })
    const take = (code: string) =>
      code
        .replace('audience=f"{base_url}/mcp"', `audience="${site.client_id}"`)
        .replace('required_scopes=["tools"]', 'required_scopes=[]')
    const strict = await serve(t, take)
    t.equal(await call(strict, id_token), 401)
    const lax = await serve(t, (code) =>
      take(code).replace(' = AccessTokenVerifier', ' = JWTVerifier'),
    )
    t.equal(await call(lax, id_token), 200)
  })

  t.test('is refused by clients where the issuer is given as AnyHttpUrl', async (t) => {
    const resource = await serve(t, (code) =>
      code.replace('=[issuer],', '=[__import__("pydantic").AnyHttpUrl(issuer)],'),
    )
    await t.rejects(startClient(t, resource).readLine(), { message: /issuer mismatch/ })
  })

  t.test('takes no token where it compares iss with AnyHttpUrl', async (t) => {
    const resource = await serve(t, (code) =>
      code.replace('issuer=issuer,', 'issuer=__import__("pydantic").AnyHttpUrl(issuer),'),
    )
    const site = await createSite(app)
    const { access_token } = await signIn(app, site, agent, { scope: 'tools', resource })
    t.equal(await call(resource, access_token), 401)
  })
})

t.test('an agent in Python proves itself by its key', options, async (t) => {
  const { app, issuer } = await listen(t)
  const site = await createSite(app)
  const file = join(makeFolder(t), 'agent.key')
  const { agent_id } = await createAgent(app)
  await app.agentKeys.add(agent_id, { ...(await generateKey(file)) })

  const authorizationUrl = async (origin = issuer) => {
    const query = new URLSearchParams({
      response_type: 'code',
      client_id: site.client_id,
      redirect_uri: site.redirect_uri,
      code_challenge: 'A'.repeat(43),
      code_challenge_method: 'S256',
      state: 'of the site',
    })
    return `${origin}/authorize?${query}`
  }
  const open = async (t: Test, url: string, change: Record<string, string> = {}) => {
    const program = start(t, 'key_proof.py', {
      AUTH_AGENT_ISSUER: issuer,
      AUTH_AGENT_ID: agent_id,
      AUTH_AGENT_KEY_FILE: file,
      SITE: 'site.example',
      ...change,
    })
    program.write(url)
    return await program.readLine()
  }

  t.test('and gets the callback URL', async (t) => {
    const callback = new URL(await open(t, await authorizationUrl()))
    t.equal(callback.origin + callback.pathname, site.redirect_uri)
    t.match(callback.searchParams.get('code'), /./)
    t.equal(callback.searchParams.get('state'), 'of the site')
  })

  t.test('with an Ed25519 key too', async (t) => {
    const { publicKey, privateKey } = await generateKeyPair('EdDSA', { extractable: true })
    const { kid } = await app.agentKeys.add(agent_id, { ...(await exportJWK(publicKey)) })
    const ed25519 = join(makeFolder(t), 'agent.key')
    writeFileSync(ed25519, JSON.stringify({ ...(await exportJWK(privateKey)), kid }))
    const callback = await open(t, await authorizationUrl(), { AUTH_AGENT_KEY_FILE: ed25519 })
    t.ok(callback.startsWith(site.redirect_uri))
  })

  t.test('for no other site than its task names', async (t) => {
    const wrong = open(t, await authorizationUrl(), { SITE: 'other.example' })
    await t.rejects(wrong, { message: /access_denied/ })
  })

  t.test('to no other server than its issuer', async (t) => {
    for (const url of [
      await authorizationUrl('http://127.0.0.1:9'),
      await authorizationUrl(`${issuer}.attacker.example`),
    ]) {
      await t.rejects(open(t, url), { message: /This is no sign-in of/ })
    }
  })
})

t.test('browser-use', { ...options, skip: skip || skipBrowser }, async (t) => {
  const { app, website, agent } = await setScene(t)
  const file = join(makeFolder(t), 'agent.key')
  await app.agentKeys.add(agent.agent_id, { ...(await generateKey(file)) })

  async function run(t: Test, change: Record<string, string> = {}) {
    const { page, cdp_url } = await openAgentBrowser(t)
    const urls: string[] = []
    page.context().on('request', (request) => urls.push(request.url()))
    const program = start(t, 'browser_use_sign_in.py', {
      AUTH_AGENT_ISSUER: app.settings.ISSUER,
      AUTH_AGENT_ID: agent.agent_id,
      AUTH_AGENT_KEY_FILE: file,
      SITE: new URL(website.url).host,
      START: `${website.url}/login`,
      CDP_URL: cdp_url,
      BROWSER_USE_LOGGING_LEVEL: 'result',
      BROWSER_USE_CONFIG_DIR: makeFolder(t),
      ...change,
    })
    let line = ''
    while (!line.startsWith('{')) line = await program.readLine()
    const told: { said: string[]; errors: string[]; seen: string[] } = JSON.parse(line)
    return { told, page, urls }
  }

  t.test('signs in by its key, and tells the model nothing secret', async (t) => {
    const { told, page, urls } = await run(t)
    const { host } = new URL(website.url)
    t.same(told.errors, [])
    t.ok(told.said.includes(`Signed in at ${host}`), told.said.join())
    await page.goto(website.url)
    await page.getByRole('heading', { name: 'Hello, owner@example.com' }).waitFor()

    const code = urls.flatMap((url) => new URL(url).searchParams.get('code') ?? [])[0] ?? ''
    const { d = '' } = JSON.parse(readFileSync(file, 'utf8'))
    const seen = told.seen.join('\n')
    t.match(seen, `Signed in at ${host}`)
    // browser-use shortens what it shows of a long address.
    for (const secret of [code.slice(0, 12), '?code=', d, agent.agent_secret, 'eyJ']) {
      t.not(secret, '')
      t.notOk(seen.includes(secret))
    }
  })

  t.test('goes to no other site than that of its task', async (t) => {
    const { told, page } = await run(t, { SITE: 'other.example' })
    t.match(told.errors.join(), /expected_redirect_host/)
    await page.goto(website.url)
    t.equal(await page.getByRole('heading', { name: 'Hello' }).count(), 0)
  })

  t.test('shows the model no code where the website does not answer', async (t) => {
    const site = await createSite(app, { redirect_uris: ['http://127.0.0.1/callback'] })
    const redirect_uri = `http://127.0.0.1:${await freePort()}/callback`
    const url = authorizeUrl(app, { ...site, redirect_uri }, 'A'.repeat(43))
    const { host } = new URL(redirect_uri)
    const { told, urls } = await run(t, { SITE: host, START: url })
    t.match(told.errors.join(), `${host} does not answer`)
    const code = urls.flatMap((each) => new URL(each).searchParams.get('code') ?? [])[0] ?? ''
    t.not(code, '')
    t.notOk(told.seen.join('\n').includes(code.slice(0, 12)))
  })

  t.test('proves nothing on a page that is not the issuer’s', async (t) => {
    const { told } = await run(t, { START: website.url })
    t.match(told.errors.join(), /This page is no sign-in of/)
  })
}).then(closeBrowser)
