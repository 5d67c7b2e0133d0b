import { createRemoteJWKSet, customFetch, decodeProtectedHeader, jwtVerify } from 'jose'
import t from 'tap'
import { createAgent, createApi, createSite, signIn, TestClock } from '../harness.ts'
import { listen } from './live.ts'

t.test('jose verifies access tokens offline, across a key rotation', async (t) => {
  const clock = new TestClock()
  const { app, issuer } = await listen(t, {}, { clock })
  const agent = await createAgent(app)
  const site = await createSite(app)
  const metadata = await fetch(`${issuer}/.well-known/oauth-authorization-server`)
  const { jwks_uri } = (await metadata.json()) as { jwks_uri: string }

  function verifier() {
    let fetches = 0
    const keys = createRemoteJWKSet(new URL(jwks_uri), {
      cooldownDuration: 0,
      [customFetch]: async (url, init) => {
        fetches += 1
        return await fetch(url, init)
      },
    })
    return {
      fetches: () => fetches,
      verify: async (token: string) =>
        await jwtVerify(token, keys, {
          issuer,
          audience: issuer,
          typ: 'at+jwt',
          requiredClaims: ['sub', 'client_id', 'scope', 'jti', 'iat', 'exp'],
          currentDate: new Date(clock.now() * 1000),
        }),
    }
  }
  const { fetches, verify } = verifier()
  const kidOf = (token: string) => decodeProtectedHeader(token).kid

  const first = (await signIn(app, site, agent)).access_token
  t.match((await verify(first)).payload, { sub: agent.agent_id, client_id: site.client_id })
  t.equal(fetches(), 1)

  const next = await app.keys.rotate()
  const meanwhile = (await signIn(app, site, agent)).access_token
  t.equal(kidOf(meanwhile), kidOf(first), 'the new key does not sign before verifiers know it')
  await verify(meanwhile)
  t.equal(fetches(), 1)

  clock.advance(600)
  const second = (await signIn(app, site, agent)).access_token
  t.equal(kidOf(second), next.kid)
  await verify(second)
  t.equal(fetches(), 2, 'a kid that is not known makes jose ask once')

  const late = verifier()
  await late.verify(first)
  await late.verify(second)
  t.equal(late.fetches(), 1, 'the key set has both keys while tokens of both live')

  await app.close()
  await verify(first)
  await verify(second)
  t.equal(fetches(), 2, 'nothing is asked of the server to verify a token')

  clock.advance(3600)
  await t.rejects(verify(second), { code: 'ERR_JWT_EXPIRED' })
})

t.test(
  'an API that checks type, issuer, audience and algorithm takes its own tokens alone',
  async (t) => {
    const { app, issuer } = await listen(t)
    const agent = await createAgent(app)
    const site = await createSite(app, { id_token_signed_response_alg: 'ES256' })
    const { uri } = await createApi(app)
    const other = (await createApi(app, { uri: 'https://other.example/', scopes: [] })).uri
    const keys = createRemoteJWKSet(new URL(`${issuer}/.well-known/jwks.json`))
    const verify = async (token: string, resource: string) => {
      const checks = {
        issuer,
        audience: resource,
        typ: 'at+jwt',
        algorithms: ['ES256'],
        requiredClaims: ['exp', 'sub'],
      }
      const { payload } = await jwtVerify(token, keys, checks)
      return payload.sub
    }
    const own = await signIn(app, site, agent, { resource: uri, scope: 'openid' })
    const both = await signIn(app, site, agent, { resource: [uri, other] })
    for (const { access_token } of [own, both]) {
      t.equal(await verify(access_token, uri), agent.agent_id)
    }
    const [header, claims] = own.access_token.split('.')
    const refusals: [name: string, token: string, resource: string][] = [
      ['of another API', (await signIn(app, site, agent, { resource: other })).access_token, uri],
      ['for the issuer', (await signIn(app, site, agent)).access_token, uri],
      ['an ID Token', own.id_token ?? '', uri],
      ['an ID Token whose audience fits', own.id_token ?? '', site.client_id],
      ['unsigned', `${header}.${claims}.`, uri],
    ]
    for (const [name, token, resource] of refusals) await t.rejects(verify(token, resource), name)
  },
)
