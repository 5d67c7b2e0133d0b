import { createConfig, lintFromString } from '@redocly/openapi-core'
import { Validator } from '@seriousme/openapi-schema-validator'
import about from 'auth-agent/package.json' with { type: 'json' }
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

t.test(
  'endpoints that accept a form also accept JSON, which the document leaves out',
  async (t) => {
    const app = await build(t, everything)
    const site = await createSite(app)
    const document: ApiDocument = (await app.inject('/openapi.json')).json()
    for (const path of ['/token', '/introspect', '/revoke']) {
      const { requestBody, security } = document.paths[path]?.post ?? {}
      t.same(Object.keys(requestBody?.content ?? {}), ['application/x-www-form-urlencoded'])
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
  },
)

t.test('linters find nothing, with and without a path in the issuer', async (t) => {
  const config = await createConfig({ extends: ['recommended'] })
  for (const ISSUER of ['https://auth.test', 'https://auth.test/id']) {
    const app = await build(t, { ...everything, ISSUER })
    const source = (await app.inject('/openapi.json')).body
    const problems = await lintFromString({ source, config })
    t.same(
      problems.map(({ ruleId, message, location }) => [ruleId, message, location[0]?.pointer]),
      [],
    )
  }
  const broken = await lintFromString({ source: '{"openapi":"3.1.0","paths":{}}', config })
  t.ok(broken.length > 0, 'they find what is wrong elsewhere')
})

t.test('the document has what generators of clients need', async (t) => {
  const app = await build(t, everything)
  const text = (await app.inject('/openapi.json')).body
  const document: ApiDocument = JSON.parse(text)
  t.equal(document.info.version, about.version)
  t.notMatch(text, /"const":(true|false)/, 'no boolean constant')
  for (const { name, operation } of operations(document)) {
    t.match(operation.operationId, /^[a-z][A-Za-z]+$/, name)
    t.ok(operation.security, `${name}: how to authenticate, or that nobody has to`)
    const { responses } = operation
    for (const status of ['400', '431', '500', '503']) t.ok(responses[status], `${name} ${status}`)
    t.ok(responses['503']?.headers?.['Retry-After'], `${name}: Retry-After`)
    if (operation.requestBody === undefined) continue
    for (const status of ['408', '413', '415']) t.ok(responses[status], `${name} ${status}`)
  }
  const words = ['pending', 'authenticated', 'completed', 'error']
  const answer = document.paths['/api/check-status']?.get?.responses['200']?.content
  t.match(answer?.['application/json']?.schema?.properties?.status, { enum: words })
  t.match(document.components.schemas.Error?.properties?.reason, {
    enum: ['site', 'agent', 'policy', 'owner', 'attempts'],
    description: /which check refused. `site`: .*; `agent`: /,
  })
  t.notMatch(text, /"anyOf":\[\{"const"/, 'no choice of constants')

  const ids = operations(document).map(({ operation }) => operation.operationId)
  t.equal(new Set(ids).size, ids.length, 'each operationId is of one operation')
  t.same(document.paths['/register/{client_id}']?.get?.security, [{ accessToken: [] }])
  t.same(document.paths['/api/agent/authenticate']?.post?.security, [])
  const { get, post } = document.paths['/userinfo'] ?? {}
  t.same(get?.security, [{ accessToken: [] }])
  t.same(post?.security, [{ accessToken: [] }, {}], 'the token can be in the form')

  const opened = document.paths['/authorize']?.get?.responses
  t.same(Object.keys(opened?.['200']?.content ?? {}), ['application/json', 'text/html'])
  t.same(Object.keys(opened?.['400']?.content ?? {}), ['application/json', 'text/html'])
  t.ok(opened?.['303']?.headers?.Location)
  const keySet = document.paths['/.well-known/jwks.json']?.get?.responses
  t.ok(keySet?.['200']?.headers?.ETag)
  t.ok(keySet?.['304'])
  t.ok(document.paths['/token']?.post?.responses['401']?.headers?.['WWW-Authenticate'])

  const registered = document.paths['/register']?.post?.requestBody?.content['application/json']
  const { token_endpoint_auth_method } = registered?.schema?.properties ?? {}
  t.ok(token_endpoint_auth_method?.enum?.includes('private_key_jwt'))
  const required = (path: string) => document.paths[path]?.post?.requestBody?.required
  t.equal(required('/token'), true)
  t.equal(required('/userinfo'), false, 'the token can be in the header')
})
