import { once } from 'node:events'
import { createServer, request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { createRemoteJWKSet, decodeJwt, jwtVerify } from 'jose'
import * as client from 'openid-client'
import t, { type Test } from 'tap'
import { completeAuthenticationFlow } from '../../clients/agent-library.ts'
import {
  authenticate,
  authorize,
  authorizeQuery,
  build,
  createAgent,
  createSite,
  pkce,
} from '../../harness.ts'

const PATH = '/some/path'

/** A reverse proxy on a real socket, in front of a server whose issuer is a path on it. */
async function behindProxy(
  t: Test,
  strips: boolean,
): Promise<{ app: FastifyInstance; issuer: string }> {
  let target = 0
  const proxy = createServer((request, response) => {
    const url = request.url ?? ''
    const path = strips && url.startsWith(PATH) ? url.slice(PATH.length) : url
    const { method, headers } = request
    const upstream = httpRequest({ port: target, host: '127.0.0.1', path, method, headers })
    upstream.on('response', (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers)
      answer.pipe(response)
    })
    request.pipe(upstream)
  }).listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  t.teardown(() => {
    proxy.closeAllConnections()
    proxy.close()
  })
  const issuer = `http://127.0.0.1:${(proxy.address() as AddressInfo).port}${PATH}`
  const app = await build(t, { ISSUER: issuer })
  await app.listen({ host: '127.0.0.1', port: 0 })
  target = (app.server.address() as AddressInfo).port
  return { app, issuer }
}

for (const strips of [true, false]) {
  const kind = strips ? 'strips the path' : 'keeps the path'

  t.test(`OpenID Connect works behind a proxy that ${kind}`, async (t) => {
    const { app, issuer } = await behindProxy(t, strips)
    const agent = await createAgent(app)
    const { client_id, client_secret, redirect_uri } = await createSite(app)

    const config = await client.discovery(new URL(issuer), client_id, client_secret, undefined, {
      execute: [client.allowInsecureRequests, client.enableNonRepudiationChecks],
    })
    const pkceCodeVerifier = client.randomPKCECodeVerifier()
    const expectedNonce = client.randomNonce()
    const expectedState = client.randomState()
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri,
      scope: 'openid email',
      code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
      nonce: expectedNonce,
      state: expectedState,
      max_age: '60',
    })
    t.equal(url.href.startsWith(`${issuer}/authorize?`), true)
    const callback = await completeAuthenticationFlow(url, agent)
    const checks = { pkceCodeVerifier, expectedNonce, expectedState, maxAge: 60 }
    const tokens = await client.authorizationCodeGrant(config, callback, {
      ...checks,
      idTokenExpected: true,
    })
    t.match(tokens.claims(), { sub: agent.agent_id, email: 'owner@example.com' })
    const userinfo = await client.fetchUserInfo(config, tokens.access_token, agent.agent_id)
    t.equal(userinfo.email, 'owner@example.com')
    const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '')
    t.match(refreshed.claims(), { sub: agent.agent_id, auth_time: tokens.claims()?.auth_time })

    const keys = createRemoteJWKSet(new URL(config.serverMetadata().jwks_uri ?? ''))
    await t.resolves(jwtVerify(tokens.access_token, keys, { issuer, typ: 'at+jwt' }))
    const introspected = await client.tokenIntrospection(config, refreshed.access_token)
    const everywhere = [
      config.serverMetadata().issuer,
      callback.searchParams.get('iss'),
      decodeJwt(tokens.access_token).iss,
      decodeJwt(tokens.id_token ?? '').iss,
      decodeJwt(refreshed.id_token ?? '').iss,
      introspected.iss,
    ]
    t.same(
      everywhere,
      everywhere.map(() => issuer),
      'RFC 8414 section 3.3: byte for byte',
    )
  })

  t.test(`RFC 8414 section 3.1: every place of the metadata, when the proxy ${kind}`, async (t) => {
    const { issuer } = await behindProxy(t, strips)
    const { origin } = new URL(issuer)
    for (const url of [
      `${origin}/.well-known/oauth-authorization-server${PATH}`,
      `${origin}/.well-known/openid-configuration${PATH}`,
      `${issuer}/.well-known/oauth-authorization-server`,
      `${issuer}/.well-known/openid-configuration`,
    ]) {
      const response = await fetch(url)
      t.equal(response.status, 200, url)
      const metadata = (await response.json()) as { issuer: string; jwks_uri: string }
      t.equal(metadata.issuer, issuer, url)
      t.equal((await fetch(metadata.jwks_uri)).status, 200, url)
    }
    const { status } = await fetch(`${origin}/.well-known/oauth-authorization-server/other/path`)
    t.equal(status, 404)
  })
}

t.test('an issuer without a path has its metadata at the root alone', async (t) => {
  const app = await build(t, { ISSUER: 'https://auth.example' })
  const statusOf = async (url: string) => (await app.inject(url)).statusCode
  t.equal(await statusOf('/.well-known/oauth-authorization-server'), 200)
  t.equal(await statusOf(`/.well-known/oauth-authorization-server${PATH}`), 404)
  t.equal(await statusOf(`${PATH}/.well-known/oauth-authorization-server`), 404)
})

t.test('an issuer whose path begins like an endpoint works with both proxies', async (t) => {
  const app = await build(t, { ISSUER: 'https://host.example/api' })
  const statusOf = async (url: string) => (await app.inject(url)).statusCode
  for (const url of ['/api/check-status?request_id=x', '/api/api/check-status?request_id=x']) {
    const { error, error_description } = (await app.inject(url)).json()
    t.match({ error, error_description }, { error: 'not_found', error_description: /request/ }, url)
  }
  t.equal(await statusOf('/api/healthz'), 200)
  t.equal(await statusOf('/healthz'), 200)
  for (const url of ['/apifoo/healthz', '/api', '/api?x', '/api/nothing']) {
    t.equal(await statusOf(url), 404, url)
  }
})

t.test('the cookie and the addresses of the page stay under the path', async (t) => {
  const app = await build(t, { ISSUER: `https://host.example${PATH}` })
  const site = await createSite(app)
  const agent = await createAgent(app)
  const page = await authorize(app, authorizeQuery(site, pkce().code_challenge))
  const cookie = String(page.headers['set-cookie'])
  t.match(cookie, /^__Secure-auth-agent=[\w-]{43}; /)
  t.match(cookie.split('; '), new Set([`Path=${PATH}`, 'HttpOnly', 'Secure', 'SameSite=Lax']))

  const [, request_id = ''] = page.body.match(/request_id: '(req_[\w-]+)'/) ?? []
  await authenticate(app, request_id, agent)
  const [, relative = ''] = page.body.match(/fetch\('([\w/-]+)\?/) ?? []
  const { pathname } = new URL(relative, `https://host.example${PATH}/authorize?x`)
  t.equal(pathname, `${PATH}/api/check-status`)
  const [value] = cookie.split(';')
  const status = await app.inject({
    url: `${pathname}?request_id=${request_id}`,
    headers: { cookie: value },
  })
  t.match(status.json(), { status: 'completed', redirect_to: String })

  const root = await build(t, { ISSUER: 'https://host.example' })
  const rootSite = await createSite(root)
  const { headers } = await authorize(root, authorizeQuery(rootSite, pkce().code_challenge))
  t.match(headers['set-cookie'], /^__Host-auth-agent=[\w-]{43}; .*Path=\/;/)
})

t.test('an issuer that could be spelled in two ways is refused', async (t) => {
  for (const issuer of [
    'https://host.example/',
    'https://host.example/path/',
    'https://host.example//path',
    'https://host.example/a%20b',
    'https://host.example/a:b',
    'https://host.example/*',
    'https://host.example/a/../b',
    'https://HOST.example/path',
    'https://host.example:443/path',
    'https://host.example/path?x',
    'https://host.example/path#x',
    'https://user@host.example/path',
    'http://host.example/path',
  ]) {
    await t.rejects(build(t, { ISSUER: issuer }), { message: /ISSUER=/ }, issuer)
  }
  for (const issuer of ['https://host.example/a.b/c_d~1', 'http://[::1]:8080/path']) {
    await t.resolves(build(t, { ISSUER: issuer }), issuer)
  }
})
