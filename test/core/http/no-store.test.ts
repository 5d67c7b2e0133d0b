import t from 'tap'
import { build } from '../../harness.ts'

t.test('no answer may be cached unless its route says so', async (t) => {
  const app = await build(t)
  const cases: [method: 'GET' | 'POST' | 'OPTIONS', url: string, cacheControl: string][] = [
    ['GET', '/healthz', 'no-store'],
    ['GET', '/authorize', 'no-store'],
    ['POST', '/token', 'no-store'],
    ['GET', '/no-such-path', 'no-store'],
    ['OPTIONS', '/token', 'no-store'],
    ['GET', '/.well-known/jwks.json', 'public, max-age=300'],
    ['GET', '/.well-known/oauth-authorization-server', 'public, max-age=300'],
  ]
  for (const [method, url, cacheControl] of cases) {
    const { headers } = await app.inject({ method, url })
    t.equal(headers['cache-control'], cacheControl, `${method} ${url}`)
  }
})
