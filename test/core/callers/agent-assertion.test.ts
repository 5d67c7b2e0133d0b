import type { FastifyInstance } from 'fastify'
import { exportJWK, generateKeyPair } from 'jose'
import t from 'tap'
import {
  authenticate,
  authenticateByKey,
  build,
  createAgent,
  createKeyedAgent,
  createSite,
  type KeyedAgent,
  open,
  redeem,
  type Site,
  signAssertion,
  statusOf,
  TestClock,
} from '../../harness.ts'

for (const alg of ['ES256', 'EdDSA', 'Ed25519']) {
  t.test(`an agent signs in by its ${alg} key instead of its secret`, async (t) => {
    const app = await build(t)
    const site = await createSite(app)
    const agent = await createKeyedAgent(app, alg)
    const { request_id, code_verifier } = await open(app, site)
    const assertion = await signAssertion(app, agent, { request_id, ...site })
    const answer = (await authenticateByKey(app, request_id, assertion)).json()
    t.match(answer, { status: 'authenticated', success: true })
    const code = new URL(answer.redirect_to).searchParams.get('code') ?? ''
    t.equal((await redeem(app, site, { code, code_verifier })).statusCode, 200)
  })
}

t.test('Ed25519 (RFC 9864) and EdDSA name one algorithm of a key and its assertions', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  for (const [registered, signed] of [
    ['Ed25519', 'Ed25519'],
    ['Ed25519', 'EdDSA'],
    ['EdDSA', 'Ed25519'],
    [undefined, 'Ed25519'],
  ] as const) {
    const { agent_id } = await createAgent(app)
    const { publicKey, privateKey } = await generateKeyPair('Ed25519')
    const jwk = { ...(await exportJWK(publicKey)), ...(registered && { alg: registered }) }
    const { kid } = await app.agentKeys.add(agent_id, jwk)
    const { request_id } = await open(app, site)
    const agent = { agent_id, kid, alg: signed, privateKey }
    const assertion = await signAssertion(app, agent, { request_id, ...site })
    const answer = (await authenticateByKey(app, request_id, assertion)).json()
    t.match(answer, { status: 'authenticated' }, `${registered}, ${signed}`)
  }
})

t.test('the metadata names the ways of an agent to prove itself', async (t) => {
  const app = await build(t)
  t.match((await app.inject('/.well-known/oauth-authorization-server')).json(), {
    agent_authentication_methods_supported: ['agent_secret', 'agent_assertion'],
    agent_assertion_signing_alg_values_supported: ['ES256', 'EdDSA', 'Ed25519'],
  })
})

interface World {
  app: FastifyInstance
  site: Site
  other: Site
  agent: KeyedAgent
  stranger: KeyedAgent
  request: { request_id: string; client_id: string }
  now: number
}

interface Refusal {
  name: string
  assertion: (world: World) => Promise<string> | string
  body?: (world: World) => Record<string, unknown>
  status: number
  error: string
  description: RegExp
}

/** A good assertion with other claims. */
const claims =
  (change: (world: World) => Record<string, unknown>) =>
  (world: World): Promise<string> =>
    signAssertion(world.app, world.agent, world.request, change(world))

const wrong = /^The agent_id or its agent_secret or agent_assertion is wrong$/
const refusals: Refusal[] = [
  {
    name: 'signed by a key of another agent',
    assertion: ({ app, agent, stranger, request }) =>
      signAssertion(app, { ...agent, privateKey: stranger.privateKey }, request),
    status: 401,
    error: 'invalid_credentials',
    description: wrong,
  },
  {
    name: 'of an agent that does not exist',
    assertion: ({ app, agent, request }) =>
      signAssertion(app, { ...agent, agent_id: 'agent_nobody' }, request),
    status: 401,
    error: 'invalid_credentials',
    description: wrong,
  },
  {
    name: 'with the kid of a key that is not registered',
    assertion: ({ app, agent, request }) =>
      signAssertion(app, { ...agent, kid: 'unregistered' }, request),
    status: 401,
    error: 'invalid_credentials',
    description: wrong,
  },
  {
    name: 'stolen: made for another request',
    assertion: claims(() => ({ request_id: 'req_another' })),
    status: 401,
    error: 'invalid_credentials',
    description: /another request_id/,
  },
  {
    name: 'for another client than the request has',
    assertion: claims(({ other }) => ({ client_id: other.client_id })),
    status: 403,
    error: 'access_denied',
    description: /another client_id/,
  },
  {
    name: 'for another server',
    assertion: claims(() => ({ aud: 'https://evil.example' })),
    status: 401,
    error: 'invalid_credentials',
    description: /this issuer as its aud/,
  },
  {
    name: 'for this server and another',
    assertion: claims(({ app }) => ({ aud: [app.settings.ISSUER, 'https://evil.example'] })),
    status: 401,
    error: 'invalid_credentials',
    description: /only this server as its aud/,
  },
  {
    name: 'issued by someone else in its name',
    assertion: claims(() => ({ iss: 'agent_another' })),
    status: 401,
    error: 'invalid_credentials',
    description: /its iss/,
  },
  {
    name: 'expired by more than the clocks may differ',
    assertion: claims(({ now }) => ({ iat: now - 60, exp: now - 10 })),
    status: 401,
    error: 'invalid_credentials',
    description: /has expired/,
  },
  {
    name: 'issued in the future by more than the clocks may differ',
    assertion: claims(({ now }) => ({ iat: now + 11, exp: now + 60 })),
    status: 401,
    error: 'invalid_credentials',
    description: /in the future/,
  },
  {
    name: 'good for longer than a minute',
    assertion: claims(({ now }) => ({ exp: now + 61 })),
    status: 401,
    error: 'invalid_credentials',
    description: /at most 60 seconds/,
  },
  ...['aud', 'iss', 'iat', 'exp', 'jti', 'request_id', 'client_id'].map((claim) => ({
    name: `without ${claim}`,
    assertion: claims(() => ({ [claim]: undefined })),
    status: 401,
    error: 'invalid_credentials',
    description: new RegExp(claim),
  })),
  {
    name: 'with a jti that is hardly unique',
    assertion: claims(() => ({ jti: '1' })),
    status: 401,
    error: 'invalid_credentials',
    description: /jti of 8 to 255/,
  },
  {
    name: 'that is another kind of token',
    assertion: ({ app, agent, request }) =>
      signAssertion(app, agent, request, {}, { typ: 'at+jwt' }),
    status: 400,
    error: 'invalid_request',
    description: /typ/,
  },
  {
    name: 'with alg none',
    assertion: ({ agent }) =>
      [{ alg: 'none' }, { sub: agent.agent_id }]
        .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
        .join('.')
        .concat('.'),
    status: 400,
    error: 'invalid_request',
    description: /ES256 or EdDSA/,
  },
  {
    name: 'that is no JWT',
    assertion: () => 'ags_something',
    status: 400,
    error: 'invalid_request',
    description: /not a signed JWT/,
  },
  {
    name: 'beside a secret',
    assertion: claims(() => ({})),
    body: ({ agent }) => ({ agent_id: agent.agent_id, agent_secret: 'ags_x' }),
    status: 400,
    error: 'invalid_request',
    description: /not both/,
  },
  {
    name: 'beside the agent_id of another agent',
    assertion: claims(() => ({})),
    body: ({ stranger }) => ({ agent_id: stranger.agent_id }),
    status: 400,
    error: 'invalid_request',
    description: /agent_id differs/,
  },
]

t.test('an assertion that does not hold is refused and leaves the request pending', async (t) => {
  const app = await build(t, {}, { clock: new TestClock() })
  const site = await createSite(app)
  const agent = await createKeyedAgent(app)
  const { request_id } = await open(app, site)
  const world: World = {
    app,
    site,
    agent,
    other: await createSite(app),
    stranger: await createKeyedAgent(app),
    request: { request_id, client_id: site.client_id },
    now: app.clock.now(),
  }
  for (const { name, assertion, body, status, error, description } of refusals) {
    const sent = await assertion(world)
    const refused = await authenticateByKey(app, request_id, sent, body?.(world))
    t.equal(refused.statusCode, status, name)
    t.match(refused.json(), { success: false, error, error_description: description }, name)
    t.equal(await statusOf(app, request_id), 'pending', name)
  }
  const good = await signAssertion(app, agent, world.request)
  t.equal((await authenticateByKey(app, request_id, good)).statusCode, 200)
})

t.test('clocks may differ by ten seconds', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createKeyedAgent(app)
  for (const [iat, exp] of [
    [-65, -5],
    [9, 69],
  ] as const) {
    const { request_id } = await open(app, site)
    const now = app.clock.now()
    const change = { iat: now + iat, exp: now + exp }
    const assertion = await signAssertion(app, agent, { request_id, ...site }, change)
    t.equal((await authenticateByKey(app, request_id, assertion)).statusCode, 200, `${iat}`)
  }
})

t.test('a jti is valid once, also for an assertion that differs in everything else', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createKeyedAgent(app)
  const jti = 'the-only-one'
  const [first, second] = [await open(app, site), await open(app, site)]
  const sign = ({ request_id }: { request_id: string }) =>
    signAssertion(app, agent, { request_id, ...site }, { jti })
  const used = await authenticateByKey(app, first.request_id, await sign(first))
  t.equal(used.statusCode, 200)
  const replayed = await authenticateByKey(app, second.request_id, await sign(second))
  t.equal(replayed.statusCode, 401)
  t.match(replayed.json(), { error: 'invalid_credentials', error_description: /used before/ })
  t.equal(await statusOf(app, second.request_id), 'pending')
})

t.test('of many who send one assertion at once, one signs in', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createKeyedAgent(app)
  const { request_id } = await open(app, site)
  const assertion = await signAssertion(app, agent, { request_id, ...site })
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => authenticateByKey(app, request_id, assertion)),
  )
  t.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 1)
  t.same(
    new Set(answers.map(({ statusCode }) => statusCode).filter((code) => code !== 200)),
    new Set([401]),
  )
})

t.test('of two agents that race for one request, one signs in', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agents = [await createKeyedAgent(app), await createKeyedAgent(app, 'EdDSA')]
  const { request_id } = await open(app, site)
  const assertions = await Promise.all(
    agents.map((agent) => signAssertion(app, agent, { request_id, ...site })),
  )
  const answers = await Promise.all(
    assertions.map((assertion) => authenticateByKey(app, request_id, assertion)),
  )
  t.same(answers.map(({ statusCode }) => statusCode).sort(), [200, 409])
})

t.test('a key that was removed, and a disabled agent, prove nothing', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const removed = await createKeyedAgent(app)
  await app.agentKeys.remove(removed.agent_id, removed.kid)
  const disabled = await createKeyedAgent(app)
  await app.registration.updateAgent(disabled.agent_id, { disabled_at: app.clock.now() })
  for (const agent of [removed, disabled]) {
    const { request_id } = await open(app, site)
    const assertion = await signAssertion(app, agent, { request_id, ...site })
    const refused = await authenticateByKey(app, request_id, assertion)
    t.match(refused.json(), { error: 'invalid_credentials', error_description: wrong })
  }
})

t.test('an agent with two keys may use either, with or without kid', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const first = await createKeyedAgent(app)
  const { publicKey, privateKey } = await generateKeyPair('ES256')
  const { kid } = await app.agentKeys.add(first.agent_id, await exportJWK(publicKey))
  for (const agent of [first, { ...first, kid, privateKey }]) {
    for (const header of [{}, { kid: undefined }]) {
      const { request_id } = await open(app, site)
      const assertion = await signAssertion(app, agent, { request_id, ...site }, {}, header)
      t.equal((await authenticateByKey(app, request_id, assertion)).statusCode, 200)
    }
  }
})

t.test('only public keys on P-256 or Ed25519 are registered', async (t) => {
  const app = await build(t)
  const { agent_id } = await createAgent(app)
  const pair = await generateKeyPair('ES256', { extractable: true })
  const jwk = await exportJWK(pair.publicKey)
  const rejected: [name: string, jwk: Record<string, unknown>, problem: RegExp][] = [
    ['private', await exportJWK(pair.privateKey), /is private/],
    ['symmetric', { kty: 'oct', k: 'c2VjcmV0' }, /is private/],
    ['RSA', { kty: 'RSA', n: 'AQAB', e: 'AQAB' }, /P-256/],
    ['another curve', { ...jwk, crv: 'P-384' }, /P-256/],
    ['a point that is not on the curve', { ...jwk, x: jwk.y, y: jwk.x }, /not a JSON Web Key/],
    ['half a key', { ...jwk, y: undefined }, /not a JSON Web Key/],
    ['for encryption', { ...jwk, use: 'enc' }, /signatures/],
    ['for another algorithm', { ...jwk, alg: 'ES384' }, /ES256/],
    ['a kid with spaces', { ...jwk, kid: 'a b' }, /kid/],
  ]
  for (const [name, given, message] of rejected) {
    await t.rejects(app.agentKeys.add(agent_id, given), { code: 'invalid_request', message }, name)
  }
  await t.rejects(app.agentKeys.add('agent_nobody', jwk), { code: 'not_found' })
  t.same(await app.agentKeys.list(agent_id), [])

  const { kid } = await app.agentKeys.add(agent_id, jwk)
  await t.rejects(app.agentKeys.add(agent_id, jwk), { message: /another key/ })
  const generated = await app.agentKeys.generate(agent_id)
  t.type(generated.private_jwk.d, 'string')
  t.notMatch(generated.key.public_jwk, /"d"/)
  t.equal((await app.agentKeys.list(agent_id)).length, 2)
  await app.agentKeys.remove(agent_id, kid)
  await t.rejects(app.agentKeys.remove(agent_id, kid), { code: 'not_found' })
})

t.test('used assertions are swept when they could not be used again anyway', async (t) => {
  const clock = new TestClock()
  const app = await build(t, {}, { clock })
  const agent = await createKeyedAgent(app)
  const useIt = () => app.store.agentKeys.useAssertion(agent.agent_id, 'a-jti', clock.now() + 70)
  t.equal(await useIt(), true)
  t.equal(await useIt(), false)
  clock.advance(71)
  while (await app.store.maintenance.sweep('agentAssertions', clock.now()));
  t.equal(await useIt(), true)
})

t.test('a secret signs in as ever, and a body without any proof is refused', async (t) => {
  const app = await build(t)
  const agent = await createAgent(app)
  const { request_id } = await open(app, await createSite(app))
  const missing: [Record<string, unknown>, RegExp][] = [
    [{ agent_secret: undefined }, /agent_secret/],
    [{ agent_id: undefined }, /agent_id/],
  ]
  for (const [change, description] of missing) {
    const refused = await authenticate(app, request_id, agent, change)
    t.equal(refused.statusCode, 400)
    t.match(refused.json(), { error: 'invalid_request', error_description: description })
  }
  t.equal((await authenticate(app, request_id, agent)).statusCode, 200)
})
