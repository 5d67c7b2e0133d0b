import { createRemoteJWKSet, decodeProtectedHeader, jwtVerify } from 'jose'
import t from 'tap'
import { listen } from '../clients/live.ts'
import {
  build,
  createAgent,
  createApi,
  createSite,
  getCode,
  post,
  redeem,
  refresh,
  signIn,
  TestClock,
} from '../harness.ts'

const rs = { uri: 'https://rs.example/', scopes: ['rs'], access_token_alg: 'RS256' }
const ed = { uri: 'https://ed.example/', scopes: ['ed'], access_token_alg: 'EdDSA' }
const es = { uri: 'https://es.example/', scopes: ['es'] }

function algOf(token: string): string | undefined {
  return decodeProtectedHeader(token).alg
}

t.test('RFC 9068 section 2.1: a token is signed as its resource needs it', async (t) => {
  const { app, issuer } = await listen(t)
  const site = await createSite(app)
  const agent = await createAgent(app)
  for (const [given, alg] of [
    [rs, 'RS256'],
    [ed, 'EdDSA'],
    [es, 'ES256'],
  ] as const) {
    const api = await createApi(app, given)
    const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`))
    const tokens = await signIn(app, site, agent, { resource: api.uri, scope: given.scopes[0] })
    const renewed = (await refresh(app, site, tokens.refresh_token)).json()
    for (const token of [tokens.access_token, renewed.access_token]) {
      const verified = await jwtVerify(token, keys, { issuer, audience: api.uri, typ: 'at+jwt' })
      t.equal(verified.protectedHeader.alg, alg)
    }
    const known = await post(app, '/introspect', api, { token: tokens.access_token })
    t.match(known.json(), { active: true, aud: api.uri })
  }
  const own = await signIn(app, site, agent)
  t.equal(algOf(own.access_token), 'ES256', 'a token for this server is signed as ever')
})

t.test('RFC 8707 section 2.2: resources of different algorithms take a token each', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const agent = await createAgent(app)
  for (const given of [rs, es]) await createApi(app, given)
  const resource = [rs.uri, es.uri]
  const code = await getCode(app, site, agent, { resource, scope: 'rs es' })
  const refused = await redeem(app, site, code)
  t.match(refused, { statusCode: 400, body: /invalid_target/ })
  const one = await redeem(app, site, code, { resource: rs.uri })
  t.equal(algOf(one.json().access_token), 'RS256', 'the code was not used up')
  const { refresh_token } = one.json()
  t.match(await refresh(app, site, refresh_token), { statusCode: 400, body: /invalid_target/ })
  const other = await refresh(app, site, refresh_token, { resource: es.uri })
  t.equal(algOf(other.json().access_token), 'ES256', 'nor was the refresh token')
})

t.test('RFC 6749 section 4.4: so is a token for a client itself', async (t) => {
  const app = await build(t, { ACCESS_TOKEN_ALG: 'EdDSA' })
  const api = await createApi(app, rs)
  const job = await createSite(app, { grant_types: ['client_credentials'], scope: 'rs' })
  const ask = { grant_type: 'client_credentials' }
  const granted = (await post(app, '/token', job, ask)).json()
  t.equal(algOf(granted.access_token), 'RS256')

  await app.registration.updateResource(api.client_id, { access_token_alg: null })
  t.equal(algOf((await post(app, '/token', job, ask)).json().access_token), 'EdDSA')
  const unknown = app.registration.updateResource(api.client_id, { access_token_alg: 'HS256' })
  await t.rejects(unknown, { code: 'invalid_request' })
})

t.test('the key of an algorithm that only a resource needs is published and rotated', async (t) => {
  const clock = new TestClock()
  const app = await build(t, { SIGNING_KEY_TTL: 1000 }, { clock })
  const algs = async () => {
    const { keys } = (await app.inject({ url: '/.well-known/jwks.json' })).json()
    return keys.map(({ alg }: { alg: string }) => alg).filter((alg: string) => alg === 'EdDSA')
  }
  t.same(await algs(), [])
  await createApi(app, ed)
  t.same(await algs(), ['EdDSA'])
  clock.advance(1001)
  await app.keys.rotateWhenDue()
  t.same(await algs(), ['EdDSA', 'EdDSA'])
})
