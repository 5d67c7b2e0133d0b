import t from 'tap'
import { build } from '../../harness.ts'

const CACHED = [
  ['GET', '/.well-known/oauth-authorization-server'],
  ['GET', '/.well-known/openid-configuration'],
  ['GET', '/.well-known/jwks.json'],
] as const
const CALLED = [
  ['POST', '/token'],
  ['GET', '/userinfo'],
  ['POST', '/userinfo'],
  ['POST', '/introspect'],
  ['POST', '/revoke'],
  ['GET', '/api/check-status'],
] as const
const CLOSED = [
  ['GET', '/authorize'],
  ['POST', '/authorize'],
  ['POST', '/api/agent/authenticate'],
  ['GET', '/healthz'],
  ['GET', '/readyz'],
  ['GET', '/nothing-here'],
] as const

const origin = 'https://app.example'
const corsHeaders = (headers: Record<string, unknown>) =>
  Object.keys(headers).filter((name) => name.startsWith('access-control-') || name === 'vary')

const preflight = (method: string) => ({
  origin,
  'access-control-request-method': method,
  'access-control-request-headers': 'authorization,content-type,mcp-protocol-version',
})

t.test('scripts of any origin may call what they need, without credentials', async (t) => {
  const app = await build(t)
  for (const [method, url] of [...CACHED, ...CALLED]) {
    const { statusCode, headers } = await app.inject({
      method: 'OPTIONS',
      url,
      headers: preflight(method),
    })
    t.equal(statusCode, 204, url)
    t.equal(headers['access-control-allow-origin'], '*', url)
    t.match(String(headers['access-control-allow-methods']).split(', '), new Set([method]), url)
    t.match(headers['access-control-allow-headers'], /^\*, Authorization\b/, url)
    t.match(headers['access-control-allow-headers'], /\bMCP-Protocol-Version\b/, url)
    t.equal(Number(headers['access-control-max-age']), 7200, url)
    t.notOk(headers['access-control-allow-credentials'], url)
    t.notOk(headers.vary, `${url}: the same for every origin`)

    const answer = await app.inject({ method, url, headers: { origin } })
    t.equal(answer.headers['access-control-allow-origin'], '*', `${url}, ${answer.statusCode}`)
    t.notOk(answer.headers['access-control-allow-credentials'], url)
    t.notOk(answer.headers.vary, url)
  }
})

t.test('scripts may read why they were refused', async (t) => {
  const app = await build(t)
  for (const [method, url] of CALLED) {
    const { headers } = await app.inject({ method, url, headers: { origin } })
    t.match(headers['access-control-expose-headers'], 'WWW-Authenticate', url)
  }
})

t.test('an answer that caches keep is readable whoever asked first', async (t) => {
  const app = await build(t)
  for (const [method, url] of [...CACHED, ...CALLED]) {
    const { headers } = await app.inject({ method, url })
    t.equal(headers['access-control-allow-origin'], '*', url)
  }
})

t.test('nothing else has a header of CORS', async (t) => {
  const app = await build(t)
  for (const [method, url] of CLOSED) {
    t.same(corsHeaders((await app.inject({ method, url })).headers), [], `${method} ${url}`)
  }
})

t.test('OAuth 2.1 section 3.1: no script may read the authorization endpoint', async (t) => {
  const app = await build(t)
  for (const [method, url] of CLOSED) {
    const asked = await app.inject({ method: 'OPTIONS', url, headers: preflight(method) })
    t.match(asked.statusCode, /^40[45]$/, `OPTIONS ${url}`)
    t.same(corsHeaders(asked.headers), [], `OPTIONS ${url}`)
    const answer = await app.inject({ method, url, headers: { origin } })
    t.same(corsHeaders(answer.headers), [], `${method} ${url}`)
  }
})
