import { type AddressInfo, connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { Ajv2020 } from 'ajv/dist/2020.js'
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import type { ApiDocument, ApiOperation } from '../../schemas/api-document.ts'
import { createWorld } from '../core/sign-in/approval-world.ts'
import {
  authorizeQuery,
  build,
  createAgent,
  createSite,
  encode,
  getCode,
  open,
  pkce,
} from '../harness.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

/** Holds answers to the API document, and counts which statuses of which operation it has seen. */
async function createJudge(t: Test, app: FastifyInstance) {
  const document: ApiDocument = (await app.inject('/openapi.json')).json()
  const ajv = new Ajv2020({ strict: false, validateFormats: false })
  ajv.addSchema(document, 'document')
  const seen = new Set<string>()

  function find(method: string, path: string): [name: string, operation?: ApiOperation] {
    for (const [template, methods] of Object.entries(document.paths)) {
      const pattern = new RegExp(`^${template.replace(/\{\w+\}/g, '[^/]+')}$`)
      const operation = methods[method.toLowerCase()]
      if (pattern.test(path) && operation) return [`${method} ${template}`, operation]
    }
    return [`${method} ${path}`]
  }

  function judge(
    method: string,
    url: string,
    answer: Pick<LightMyRequestResponse, 'statusCode' | 'headers' | 'body'>,
  ): void {
    const [name, operation] = find(method, url.split('?', 1)[0] ?? '')
    const { statusCode, headers, body } = answer
    const told = `${name} answers ${statusCode}`
    seen.add(`${name} ${statusCode}`)
    const response = operation?.responses[statusCode]
    if (response === undefined) return void t.fail(`${told}, which its schema does not have`)
    for (const header of ['location', 'etag', 'retry-after', 'www-authenticate']) {
      // @fastify/etag gives one to errors as well, which nobody asks for again.
      if (headers[header] === undefined || (header === 'etag' && statusCode >= 400)) continue
      const described = Object.keys(response.headers ?? {}).map((each) => each.toLowerCase())
      t.ok(described.includes(header), `${told}, with ${header}`)
    }
    if (response.content === undefined) return void t.equal(body, '', `${told}, without a body`)
    const [mediaType = ''] = String(headers['content-type']).split(';')
    const schema = response.content[mediaType]?.schema
    if (schema === undefined) return void t.fail(`${told} as ${mediaType}`)
    if (mediaType !== 'application/json') return void t.ok(body.length > 0, told)
    const path = `document#/paths/${toPointer(name.split(' ')[1] ?? '')}/${method.toLowerCase()}/responses/${statusCode}/content/${toPointer(mediaType)}/schema`
    const valid = ajv.validate({ $ref: path }, JSON.parse(body))
    t.ok(valid, told, { errors: ajv.errors, body })
  }

  async function ask(options: InjectOptions): Promise<LightMyRequestResponse> {
    const answer = await app.inject(options)
    judge(options.method ?? 'GET', String(options.url), answer)
    return answer
  }
  return { ask, judge, document, seen }
}

/** A segment of a JSON pointer in a URI fragment. */
function toPointer(segment: string): string {
  return encodeURIComponent(segment.replaceAll('~', '~0').replaceAll('/', '~1'))
}

t.test('every answer has a status and a shape that the schema of its route has', async (t) => {
  const world = await createWorld(t, { DYNAMIC_REGISTRATION: 'open' })
  const { app } = world
  const { ask, document, seen } = await createJudge(t, app)
  const post_logout_redirect_uris = ['https://site.example/']
  const site = await createSite(app, { post_logout_redirect_uris })
  const agent = await createAgent(app)
  const post = (url: string, parameters: object, headers = {}) =>
    ask({
      method: 'POST',
      url,
      headers: { ...FORM, ...headers },
      payload: encode({
        client_id: site.client_id,
        client_secret: site.client_secret,
        ...parameters,
      }),
    })
  const json = (url: string, payload: object) => ask({ method: 'POST', url, payload })

  // The same bad requests to every operation, whatever it is for.
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, { requestBody }] of Object.entries(methods)) {
      const options = {
        method: method.toUpperCase() as 'GET',
        url: path.replace(/\{\w+\}/, 'unknown'),
      }
      await ask(options)
      await ask({ ...options, headers: { accept: 'text/html' } })
      await ask({ ...options, headers: { host: 'a b' } })
      if (method === 'get') continue
      await ask({ ...options, payload: 'x', headers: { 'content-type': 'text/plain' } })
      await ask({ ...options, payload: '{', headers: { 'content-type': 'application/json' } })
      await ask({ ...options, payload: `a=${'x'.repeat(70_000)}`, headers: FORM })
      if (requestBody) await ask({ ...options, payload: 'a=1&a=2', headers: FORM })
    }
  }

  const { code_challenge } = pkce()
  const query = authorizeQuery(site, code_challenge)
  for (const change of [
    {},
    { code_challenge: undefined },
    { client_id: 'unknown' },
    { prompt: 'none', response_mode: 'form_post' },
  ]) {
    for (const accept of ['text/html', 'application/json']) {
      const parameters = encode({ ...query, ...change })
      await ask({ url: `/authorize?${parameters}`, headers: { accept } })
      await ask({
        method: 'POST',
        url: '/authorize',
        payload: parameters,
        headers: { ...FORM, accept },
      })
    }
  }

  const { request_id, cookie } = await open(app, site)
  const credentials = { ...agent, model: 'm' }
  const proof = { request_id, ...credentials }
  const status = (id: string, headers = {}) =>
    ask({ url: `/api/check-status?request_id=${id}`, headers })
  await status(request_id)
  await json('/api/agent/authenticate', { ...proof, agent_secret: 'ags_wrong' })
  await json('/api/agent/authenticate', { ...proof, expected_client_id: 'other' })
  await json('/api/agent/authenticate', { ...proof, request_id: 'req_unknown' })
  await json('/api/agent/verify-2fa', { ...proof, code: '123456' })
  await json('/api/agent/verify-2fa', { ...proof, agent_secret: 'ags_wrong', code: '123456' })
  await json('/api/agent/verify-2fa', { ...proof, request_id: 'req_unknown', code: '123456' })
  await json('/api/agent/authenticate', proof)
  await json('/api/agent/authenticate', proof)
  await json('/api/agent/verify-2fa', { ...proof, code: '123456' })
  await status(request_id, { cookie })
  await status(request_id)
  const asked = await open(app, world.site)
  const waiting = { ...world.agent, model: 'm', request_id: asked.request_id }
  await json('/api/agent/authenticate', waiting)
  await json('/api/agent/verify-2fa', { ...waiting, code: world.code() })

  const grant_type = 'authorization_code'
  const code = await getCode(app, site, agent, { scope: 'openid email' })
  const tokens = (await post('/token', { grant_type, ...code })).json()
  await post('/token', { grant_type, ...code, code: 'ac_unknown' })
  await post('/token', { grant_type, ...code, client_secret: 'cs_wrong' })
  await post('/token', { grant_type: 'fish' })
  const { access_token } = tokens
  const bearer = { authorization: `Bearer ${access_token}` }
  await ask({ url: '/userinfo', headers: bearer })
  await ask({ method: 'POST', url: '/userinfo', headers: bearer })
  await ask({ method: 'POST', url: '/userinfo', headers: FORM, payload: encode({ access_token }) })
  await post('/introspect', { token: access_token })
  await post('/introspect', { token: tokens.refresh_token })
  await post('/introspect', { token: 'unknown' })
  await post('/introspect', { token: 'unknown', client_secret: 'cs_wrong' })
  const logout = encode({
    id_token_hint: tokens.id_token,
    post_logout_redirect_uri: 'https://site.example/',
  })
  await ask({ url: `/logout?${logout}` })
  await ask({ method: 'POST', url: '/logout', headers: FORM, payload: logout })
  await post('/revoke', { token: access_token })
  await post('/revoke', { token: access_token, client_secret: 'cs_wrong' })

  const redirect_uris = ['https://new.example/callback']
  const registered = (await json('/register', { redirect_uris })).json()
  await json('/register', { redirect_uris: ['http://new.example'] })
  await json('/register', { redirect_uris, token_endpoint_auth_method: 'fish' })
  const url = `/register/${registered.client_id}`
  const headers = { authorization: `Bearer ${registered.registration_access_token}` }
  const { client_id } = registered
  await ask({ url, headers })
  await ask({ method: 'PUT', url, headers, payload: { client_id, redirect_uris } })
  await ask({ method: 'PUT', url, headers, payload: { client_id: 'other', redirect_uris } })
  await ask({ method: 'DELETE', url, headers })

  for (const url of [
    '/.well-known/jwks.json',
    '/.well-known/oauth-authorization-server',
    '/.well-known/openid-configuration',
  ]) {
    const { etag = '' } = (await ask({ url })).headers
    await ask({ url, headers: { 'if-none-match': String(etag) } })
  }
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, { responses }] of Object.entries(methods)) {
      const good = Object.keys(responses).filter((status) => Number(status) < 400)
      for (const status of good)
        t.ok(
          seen.has(`${method.toUpperCase()} ${path} ${status}`),
          `${method} ${path} ${status} was asked for`,
        )
    }
  }
})

t.test(
  'so has every answer of a server that is busy, closing or without its database',
  async (t) => {
    const app = await build(t, {
      THROTTLE_FAILURES: 1,
      DYNAMIC_REGISTRATION: 'open',
    })
    const { ask, judge, document, seen } = await createJudge(t, app)
    const site = await createSite(app)
    for (let failures = 0; failures < 3; failures++) {
      await ask({
        method: 'POST',
        url: '/token',
        headers: FORM,
        payload: encode({
          ...site,
          client_secret: 'cs_wrong',
          grant_type: 'refresh_token',
          refresh_token: 'x',
        }),
      })
      const { request_id } = await open(app, site)
      const payload = { request_id, agent_id: 'agent_x', agent_secret: 'ags_x', model: 'm' }
      await ask({ method: 'POST', url: '/api/agent/authenticate', payload })
    }
    t.ok(seen.has('POST /token 429'))
    t.ok(seen.has('POST /api/agent/authenticate 429'))

    await app.listen({ host: '127.0.0.1', port: 0 })
    const [{ port }] = app.addresses() as [AddressInfo]
    const socket = connect(port, '127.0.0.1')
    socket.write(`GET /healthz HTTP/1.1\r\nHost: x\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`)
    const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n')
    const status = Number(head.split(' ')[1])
    t.equal(status, 431)
    judge('GET', '/healthz', {
      statusCode: status,
      headers: { 'content-type': 'application/json' },
      body,
    })

    await app.store.close()
    for (const [path, methods] of Object.entries(document.paths)) {
      for (const method of Object.keys(methods)) {
        if (path === '/token' || path.startsWith('/api/')) continue
        await ask({
          method: method.toUpperCase() as 'GET',
          url: path.replace(/\{\w+\}/, 'unknown'),
        })
      }
    }
    t.ok(
      [...seen].some((answer) => / 50[03]$/.test(answer)),
      'the database is missed',
    )
  },
)
