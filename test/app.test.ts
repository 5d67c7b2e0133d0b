import t from 'tap'
import { endpoints } from '../plugins/app.ts'
import { build } from './harness.ts'

const WELL_KNOWN = '/.well-known/oauth-authorization-server'

t.test('every endpoint boots alone on the core', async (t) => {
  for (const [index, endpoint] of endpoints.entries()) {
    const app = await build(t, {}, { endpoints: [endpoint] })
    t.equal((await app.inject({ url: '/nothing' })).statusCode, 404, `endpoint ${index}`)
  }
})

t.test(
  'a server without one endpoint boots and advertises nothing that is not there',
  async (t) => {
    for (const [index, missing] of endpoints.entries()) {
      const app = await build(t, {}, { endpoints: endpoints.filter((each) => each !== missing) })
      const response = await app.inject({ url: WELL_KNOWN })
      if (response.statusCode === 404) continue
      for (const [name, value] of Object.entries<unknown>(response.json())) {
        if (typeof value !== 'string' || name === 'issuer') continue
        if (!value.startsWith(app.settings.ISSUER)) continue
        const path = value.slice(app.settings.ISSUER.length)
        const { statusCode } = await app.inject({ url: path })
        t.not(statusCode, 404, `without endpoint ${index}, ${name} answers`)
      }
    }
  },
)

t.test('RFC 8414 section 2: no member is an empty array', async (t) => {
  const app = await build(t)
  const metadata = (await app.inject({ url: WELL_KNOWN })).json()
  t.equal(metadata.issuer, app.settings.ISSUER, 'section 3.3: byte for byte')
  for (const [name, value] of Object.entries<unknown>(metadata)) {
    if (Array.isArray(value)) t.ok(value.length > 0, name)
  }
})
