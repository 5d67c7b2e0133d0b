import { Validator } from '@seriousme/openapi-schema-validator'
import t from 'tap'
import { endpoints } from '../../plugins/app.ts'
import type { ApiDocument, ApiOperation } from '../../schemas/api-document.ts'
import { build, createSite, post } from '../harness.ts'

interface Documented {
  name: string
  operation: ApiOperation
}

function operations(document: ApiDocument): Documented[] {
  return Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      operation,
    })),
  )
}

/** So that every endpoint there can be is there. */
const everything = { DYNAMIC_REGISTRATION: 'open' } as const

t.test('the document is valid OpenAPI 3.1', async (t) => {
  const app = await build(t, everything)
  const response = await app.inject('/openapi.json')
  t.equal(response.headers['content-type'], 'application/json; charset=utf-8')
  const validator = new Validator()
  t.match(await validator.validate(response.json()), { valid: true })
  t.equal(validator.version, '3.1')
  t.match(response.json(), { servers: [{ url: app.settings.ISSUER }] })
})

t.test('the document has every route, whatever the order of registration', async (t) => {
  const app = await build(t, everything, { endpoints: endpoints.toReversed() })
  const reversed: ApiDocument = (await app.inject('/openapi.json')).json()
  const document: ApiDocument = (await (await build(t, everything)).inject('/openapi.json')).json()
  t.same(Object.keys(reversed.paths).sort(), Object.keys(document.paths).sort())
  const routes = operations(document).map(({ name }) => name)
  for (const name of [
    'GET /authorize',
    'POST /token',
    'GET /userinfo',
    'POST /userinfo',
    'POST /introspect',
    'POST /revoke',
    'POST /api/agent/authenticate',
    'GET /api/check-status',
    'GET /.well-known/oauth-authorization-server',
    'GET /.well-known/jwks.json',
    'GET /openapi.json',
    'GET /docs',
    'GET /llms.txt',
    'POST /register',
    'GET /register/{client_id}',
    'PUT /register/{client_id}',
    'DELETE /register/{client_id}',
    'GET /healthz',
    'GET /readyz',
  ]) {
    t.ok(routes.includes(name), name)
  }
  for (const name of routes) {
    const [method = '', url = ''] = name.split(' ')
    t.ok(app.hasRoute({ method, url: url.replaceAll(/\{(\w+)\}/g, ':$1') }), `${name} is served`)
  }
})

t.test('every endpoint says what it is for and what it answers', async (t) => {
  const app = await build(t, everything)
  const document: ApiDocument = (await app.inject('/openapi.json')).json()
  for (const { name, operation } of operations(document)) {
    t.match(operation.summary, /\w{3}/, name)
    t.match(operation.tags, [/\w/], name)
    for (const [status, { description, content }] of Object.entries(operation.responses)) {
      t.notMatch(description, 'Default Response', `${name} ${status}`)
      if (Number(status) < 400) continue
      t.same(content?.['application/json']?.schema, { $ref: '#/components/schemas/Error' })
    }
  }
})

t.test('what takes a form takes JSON, and both are in the document', async (t) => {
  const app = await build(t, everything)
  const site = await createSite(app)
  const document: ApiDocument = (await app.inject('/openapi.json')).json()
  for (const path of ['/token', '/introspect', '/revoke']) {
    const { requestBody, security } = document.paths[path]?.post ?? {}
    t.same(Object.keys(requestBody?.content ?? {}), [
      'application/x-www-form-urlencoded',
      'application/json',
    ])
    t.same(security, [{ client: [] }, {}], 'Basic, or credentials in the body')
    const answers = Object.keys(document.paths[path]?.post?.responses ?? {})
    const { client_id } = site
    for (const status of [
      (await post(app, path, site, {})).statusCode,
      (await post(app, path, { ...site, client_secret: 'cs_wrong' }, { token: 'x' })).statusCode,
      (await app.inject({ method: 'POST', url: path, payload: { client_id } })).statusCode,
    ]) {
      t.ok(answers.includes(String(status)), `${path} answers ${status}`)
    }
  }
})
