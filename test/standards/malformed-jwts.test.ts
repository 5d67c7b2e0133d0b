import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import t from 'tap'
import { CLIENT_ASSERTION_TYPE } from '../../plugins/core/callers/client-assertion.ts'
import {
  authenticateByKey,
  authorize,
  authorizeQuery,
  build,
  createAgent,
  createApi,
  createSite,
  open,
  pkce,
  post,
  TestClock,
} from '../harness.ts'

/** JSON texts that are not what any member of a header or payload should be. */
const values: Record<string, string> = {
  'an object': '{}',
  'an array': '[]',
  'an array of arrays': '[[["x"]]]',
  true: 'true',
  false: 'false',
  null: 'null',
  zero: '0',
  'a negative number': '-1',
  'a huge number': '1e308',
  infinity: '1e400',
  'minus infinity': '-1e400',
  'an empty string': '""',
  'a control character': '"\\u0000"',
  'half a character': '"\\ud800"',
  __proto__: '"__proto__"',
  'deep nesting': `${'['.repeat(400)}${']'.repeat(400)}`,
  'a long string': `"${'x'.repeat(2000)}"`,
}

/** The JSON text of an object with one member replaced. */
function withMember(members: Record<string, unknown>, name: string, value: string): string {
  const { [name]: _, ...others } = members
  return JSON.stringify(others).replace(
    /\}$/,
    `${Object.keys(others).length ? ',' : ''}"${name}":${value}}`,
  )
}

function jwt(header: string, payload: string, key?: KeyObject): string {
  const encode = (text: string) => Buffer.from(text).toString('base64url')
  const input = `${encode(header)}.${encode(payload)}`
  const signature = key && sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
  return `${input}.${signature?.toString('base64url') ?? 'AAAA'}`
}

const HEADER_MEMBERS = ['alg', 'typ', 'kid', 'crit', 'b64', 'jwk', 'jku', 'x5u']
const CLAIMS = ['iss', 'sub', 'aud', 'jti', 'exp', 'iat', 'nbf', 'client_id', 'request_id']

/** Malformed JWTs by name, of which none is signed. */
function* malformed(
  header: Record<string, unknown>,
  claims: Record<string, unknown>,
): Generator<[name: string, token: string]> {
  for (const [what, value] of Object.entries(values)) {
    for (const name of HEADER_MEMBERS) {
      yield [`${name} is ${what}`, jwt(withMember(header, name, value), JSON.stringify(claims))]
    }
    for (const name of CLAIMS) {
      yield [`${name} is ${what}`, jwt(JSON.stringify(header), withMember(claims, name, value))]
    }
    yield [`the payload is ${what}`, jwt(JSON.stringify(header), value)]
    yield [`the header is ${what}`, jwt(value, JSON.stringify(claims))]
  }
  const whole = jwt(JSON.stringify(header), JSON.stringify(claims))
  yield ['the header is not JSON', jwt('{', JSON.stringify(claims))]
  yield ['the payload is not JSON', jwt(JSON.stringify(header), '{')]
  yield ['crit names b64', jwt(withMember({ ...header, b64: false }, 'crit', '["b64"]'), '{}')]
  yield ['two members of a name', jwt('{"alg":"ES256","alg":"none"}', '{"sub":"a","sub":{}}')]
  yield ['no dots', whole.replaceAll('.', '')]
  yield ['dots alone', '..']
  yield ['four dots, as an encrypted one has', `${whole}.AAAA.AAAA`]
  yield ['not base64url', '!.!.!']
  yield ['no signature', `${whole.split('.').slice(0, 2).join('.')}.`]
}

async function setUp(t: Parameters<typeof build>[0]) {
  const clock = new TestClock()
  const app = await build(t, { DYNAMIC_REGISTRATION: 'token' }, { clock })
  await createApi(app, { uri: 'https://api.example', scopes: ['read'] })
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'one' }
  const keyed = await createSite(app, {
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [jwk] },
    grant_types: ['client_credentials'],
    redirect_uris: [],
    scope: 'read',
  })
  const site = await createSite(app)
  const agent = await createAgent(app)
  await app.agentKeys.add(agent.agent_id, jwk)
  const { request_id } = await open(app, site)
  const now = clock.now()
  const times = { jti: 'a jti of an assertion', iat: now, exp: now + 60, aud: app.settings.ISSUER }
  const clientClaims = { iss: keyed.client_id, sub: keyed.client_id, ...times }
  const agentClaims = {
    iss: agent.agent_id,
    sub: agent.agent_id,
    client_id: site.client_id,
    request_id,
    ...times,
  }
  return { app, clock, keyed, site, agent, request_id, clientClaims, agentClaims, privateKey }
}

/** POST with a client assertion, as the form of each endpoint has it. */
function postAssertion(
  app: FastifyInstance,
  url: string,
  client_assertion: string,
  client_id?: string,
) {
  return post(app, url, undefined, {
    token: 'x',
    grant_type: 'client_credentials',
    client_assertion_type: CLIENT_ASSERTION_TYPE,
    client_assertion,
    client_id,
  })
}

t.test('RFC 7519 section 7.2: a malformed JWT is refused wherever one is read', async (t) => {
  const { app, keyed, site, request_id, clientClaims, agentClaims } = await setUp(t)
  const header = { alg: 'ES256', kid: 'one', typ: 'JWT' }

  for (const [name, token] of malformed(header, clientClaims)) {
    for (const url of ['/token', '/introspect', '/revoke']) {
      for (const client_id of [undefined, keyed.client_id]) {
        const answer = await postAssertion(app, url, token, client_id)
        t.match(
          [answer.statusCode, answer.json().error],
          [401, 'invalid_client'],
          `${url}: ${name}`,
        )
      }
    }
  }
  for (const [name, token] of malformed(header, agentClaims)) {
    const answer = await authenticateByKey(app, request_id, token)
    const { error } = answer.json()
    t.ok([400, 401].includes(answer.statusCode), `an agent: ${name}, ${answer.body}`)
    t.ok(['invalid_request', 'invalid_credentials'].includes(error), `an agent: ${name}, ${error}`)
  }
  for (const [name, token] of malformed({ ...header, typ: 'at+jwt' }, clientClaims)) {
    const authorization = `Bearer ${token}`
    const form = 'application/x-www-form-urlencoded'
    for (const answer of [
      await app.inject({ url: '/userinfo', headers: { authorization } }),
      await app.inject({
        method: 'POST',
        url: '/userinfo',
        headers: { 'content-type': form },
        payload: `access_token=${encodeURIComponent(token)}`,
      }),
      await app.inject({
        method: 'POST',
        url: '/register',
        headers: { authorization },
        payload: {},
      }),
      await app.inject({ url: `/register/${site.client_id}`, headers: { authorization } }),
    ]) {
      t.match([answer.statusCode, answer.json().error], [401, 'invalid_token'], `Bearer: ${name}`)
    }
    const introspected = await post(app, '/introspect', site, { token })
    t.match([introspected.statusCode, introspected.json()], [200, { active: false }], name)
    t.equal((await post(app, '/revoke', site, { token })).statusCode, 200, `/revoke: ${name}`)
    for (const form of [
      { grant_type: 'refresh_token', refresh_token: token },
      { grant_type: 'authorization_code', code: token },
    ]) {
      const answer = await post(app, '/token', site, form)
      t.match([answer.statusCode, answer.json().error], [400, 'invalid_grant'], name)
    }
    const id_token_hint = token
    const hinted = await authorize(
      app,
      authorizeQuery(site, pkce().code_challenge, { id_token_hint }),
    )
    t.match([hinted.statusCode, hinted.headers.location], [303, /error=invalid_request/], name)
  }
})

t.test(
  'RFC 7519 section 4.1: a claim of a wrong type is refused though it is signed',
  async (t) => {
    const { app, keyed, request_id, clientClaims, agentClaims, privateKey } = await setUp(t)
    const header = JSON.stringify({ alg: 'ES256', kid: 'one', typ: 'JWT' })
    for (const [what, value] of Object.entries(values)) {
      // To be called __proto__ is nothing wrong for a jti.
      const claims = ['iss', 'sub', 'aud', 'exp', ...(what === '__proto__' ? [] : ['jti'])]
      for (const name of claims) {
        const asClient = jwt(header, withMember(clientClaims, name, value), privateKey)
        const answer = await postAssertion(app, '/token', asClient, keyed.client_id)
        const label = `${name} is ${what}: ${answer.body}`
        t.match([answer.statusCode, answer.json().error], [401, 'invalid_client'], label)
      }
      for (const name of [...claims, 'iat', 'request_id', 'client_id']) {
        const asAgent = jwt(header, withMember(agentClaims, name, value), privateKey)
        const refusal = await authenticateByKey(app, request_id, asAgent)
        const fine = [400, 401, 403].includes(refusal.statusCode)
        t.ok(fine, `agent, ${name} is ${what}: ${refusal.body}`)
      }
    }
  },
)

t.test(
  'RFC 7515 section 4: no header member, however odd, breaks a signed assertion',
  async (t) => {
    const { app, keyed, site, clientClaims, agentClaims, privateKey } = await setUp(t)
    const header = { alg: 'ES256', kid: 'one', typ: 'JWT' }
    for (const [what, value] of Object.entries(values)) {
      for (const name of HEADER_MEMBERS) {
        const text = withMember(header, name, value)
        const jti = `jti of ${name} ${what}`
        const asClient = jwt(text, JSON.stringify({ ...clientClaims, jti }), privateKey)
        const answer = await postAssertion(app, '/token', asClient, keyed.client_id)
        t.ok([200, 401].includes(answer.statusCode), `${name} is ${what}: ${answer.body}`)
        const { request_id } = await open(app, site)
        const claims = JSON.stringify({ ...agentClaims, request_id, jti })
        const asAgent = await authenticateByKey(app, request_id, jwt(text, claims, privateKey))
        const fine = [200, 400, 401].includes(asAgent.statusCode)
        t.ok(fine, `agent, ${name} is ${what}: ${asAgent.body}`)
      }
    }
  },
)

t.test('RFC 7519 section 2: a NumericDate may have a fraction', async (t) => {
  const { app, keyed, request_id, clientClaims, agentClaims, privateKey } = await setUp(t)
  const header = JSON.stringify({ alg: 'ES256', kid: 'one' })
  const fraction = (claims: { exp: number }) =>
    jwt(header, JSON.stringify({ ...claims, exp: claims.exp - 0.5 }), privateKey)
  const asClient = fraction(clientClaims)
  t.equal((await postAssertion(app, '/token', asClient, keyed.client_id)).statusCode, 200)
  t.equal((await postAssertion(app, '/token', asClient, keyed.client_id)).statusCode, 401, 'once')
  const asAgent = fraction(agentClaims)
  t.equal((await authenticateByKey(app, request_id, asAgent)).statusCode, 200)
})
