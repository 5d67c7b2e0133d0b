import t from 'tap'
import type { ApiDocument } from '../../schemas/api-document.ts'
import { build } from '../harness.ts'

t.test('the reference has every endpoint and needs nothing from elsewhere', async (t) => {
  const app = await build(t)
  const document: ApiDocument = (await app.inject('/openapi.json')).json()
  const page = await app.inject('/docs')
  t.match(page.headers['content-type'], 'text/html')
  t.match(page.headers['content-security-policy'], "default-src 'none'")
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const method of Object.keys(methods)) {
      t.match(page.body, `<h2><code><b>${method.toUpperCase()}</b> ${path}</code></h2>`)
    }
  }
  t.notMatch(page.body, /(?:src|href|action)="(?:https?:)?\/\//, 'no address of another host')
  t.notMatch(page.body, /<script|<img|<link|@import|url\(/)
  t.notMatch(page.body, /undefined|\[object/)
  for (const [, id = ''] of page.body.matchAll(/href="#([^"]+)"/g)) {
    t.ok(page.body.includes(`id="${id}"`), `#${id} leads somewhere`)
  }
})
