import t from 'tap'
import { build, createAgent, createSite, signIn } from '../../harness.ts'

t.test('an empty body is no body, whatever its Content-Type', async (t) => {
  const app = await build(t, { DYNAMIC_REGISTRATION: 'open' })
  const site = await createSite(app)
  const { access_token } = await signIn(app, site, await createAgent(app))
  for (const type of [
    'application/json',
    'Application/JSON; charset=utf-8',
    'application/x-www-form-urlencoded',
    'text/plain',
    'application/octet-stream',
    'multipart/form-data; boundary=x',
  ]) {
    const headers = { 'content-type': type, authorization: `Bearer ${access_token}` }
    const userinfo = await app.inject({ method: 'POST', url: '/userinfo', headers })
    t.equal(userinfo.statusCode, 200, `POST /userinfo as ${type}`)

    const registered = await app.inject({
      method: 'POST',
      url: '/register',
      payload: { redirect_uris: ['https://site.example/callback'] },
    })
    const { client_id, registration_access_token } = registered.json()
    const removed = await app.inject({
      method: 'DELETE',
      url: `/register/${client_id}`,
      headers: { 'content-type': type, authorization: `Bearer ${registration_access_token}` },
    })
    t.equal(removed.statusCode, 204, `DELETE /register as ${type}`)

    const token = await app.inject({
      method: 'POST',
      url: '/token',
      headers: { 'content-type': type },
    })
    t.equal(token.statusCode, 400, `POST /token as ${type}`)
    t.equal(token.json().error, 'invalid_request')
  }
})

t.test('media types compare without case', async (t) => {
  const app = await build(t)
  const site = await createSite(app)
  const { access_token } = await signIn(app, site, await createAgent(app))
  const posted = await app.inject({
    method: 'POST',
    url: '/userinfo',
    headers: { 'content-type': 'Application/X-WWW-Form-URLEncoded; Charset=UTF-8' },
    payload: `access_token=${access_token}`,
  })
  t.equal(posted.statusCode, 200, 'RFC 6750 section 2.2')
  for (const [type, payload] of [
    ['APPLICATION/JSON', '{"grant_type":"fish"}'],
    ['Application/x-www-form-URLENCODED', 'grant_type=fish'],
  ] as const) {
    const headers = { 'content-type': type }
    const response = await app.inject({ method: 'POST', url: '/token', headers, payload })
    t.equal(response.json().error, 'unsupported_grant_type', type)
  }
})

t.test('a body that is not read says why', async (t) => {
  const app = await build(t)
  const refusals: [type: string, payload: string, status: number, description: RegExp][] = [
    ['text/plain', '{"grant_type":"fish"}', 415, /Content-Type must be/],
    ['application/jsonx', '{}', 415, /Content-Type must be/],
    ['application/json', '{"grant_type"', 400, /not valid JSON/],
    ['application/json', ' ', 400, /not valid JSON/],
    ['application/json', '{"__proto__":{"a":1}}', 400, /no member called __proto__/],
    ['application/json', '{"a":{"constructor":{"prototype":1}}}', 400, /no member called/],
  ]
  for (const [type, payload, status, description] of refusals) {
    const headers = { 'content-type': type }
    const response = await app.inject({ method: 'POST', url: '/token', headers, payload })
    t.equal(response.statusCode, status, payload)
    t.equal(response.json().error, 'invalid_request', payload)
    t.match(response.json().error_description, description, payload)
  }
})
