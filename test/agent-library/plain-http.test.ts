import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { createAgent, generateKey, type Page, readKey } from '../../agent/index.ts'
import { findFreePort } from '../../scripts/demo/free-port.ts'
import {
  authorizeQuery,
  build,
  createSite,
  encode,
  pkce,
  redeem,
  createAgent as registerAgent,
  statusOf,
} from '../harness.ts'
import { createMailbox } from '../mailbox.ts'
import { makeFolder } from '../processes.ts'

const port = await findFreePort()
const issuer = `http://localhost:${port}`
const app = await build(t, { ISSUER: issuer })
await app.listen({ host: 'localhost', port })

/** A registered agent with a key of its own. */
async function makeCredentials(t: Test, server: FastifyInstance = app) {
  const file = join(makeFolder(t), 'agent.key')
  const public_jwk = await generateKey(file)
  const { agent_id } = await registerAgent(server)
  await server.agentKeys.add(agent_id, public_jwk)
  return { agent_id, private_jwk: await readKey(file) }
}

const site = await createSite(app)
const { client_id } = site
const model = 'test-model'

/** The URL that the website sends the agent to. */
function makeSignIn(change = {}) {
  const { code_verifier, code_challenge } = pkce()
  const query = encode(authorizeQuery(site, code_challenge, change))
  return { url: `${issuer}/authorize?${query}`, code_verifier }
}

/** Another server, which tells what it was asked. */
async function listen(
  t: Test,
  answer: (path: string) => { status: number; location?: string; body?: object },
) {
  const requests: string[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk) => chunks.push(chunk))
    request.on('end', () => {
      requests.push(`${request.method} ${request.url} ${Buffer.concat(chunks)}`)
      const { status, body = {}, ...headers } = answer(request.url ?? '')
      response.writeHead(status, { 'content-type': 'application/json', ...headers })
      response.end(JSON.stringify(body))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, requests }
}

t.test('an agent without a browser signs in by its key', async (t) => {
  const agent = createAgent({ issuer, credentials: await makeCredentials(t), model })
  const { url, code_verifier } = makeSignIn()
  const signedIn = await agent.openSignIn(url, { site: { client_id } })
  t.match(signedIn, { client_id, redirect_host: 'site.example' })
  const callback = new URL(signedIn.redirect_to)
  t.equal(callback.origin + callback.pathname, site.redirect_uri)
  t.equal(callback.searchParams.get('state'), 'the state')
  const code = callback.searchParams.get('code') ?? ''
  const tokens = (await redeem(app, site, { code, code_verifier })).json()
  const introspected = await app.inject({
    method: 'POST',
    url: '/introspect',
    payload: { token: tokens.access_token, client_id, client_secret: site.client_secret },
  })
  t.match(introspected.json(), { active: true, model })
})

t.test('an agent signs in by its secret when that is what it was given', async (t) => {
  const agent = createAgent({ issuer, credentials: () => registerAgent(app), model })
  const { redirect_to } = await agent.openSignIn(makeSignIn().url, {
    site: { redirect_host: 'Site.Example' },
    model: 'another-model',
  })
  t.match(redirect_to, /code=ac_/)
})

t.test(
  'a site may be named by a URL, and null and an empty string are as if left out',
  async (t) => {
    const agent = createAgent({ issuer, credentials: await makeCredentials(t), model })
    for (const redirect_host of [
      'https://site.example',
      'https://Site.Example/login?next=/#top',
      'HTTPS://site.example:443/',
      ' site.example ',
      'site.example/login',
    ]) {
      for (const empty of [null, '']) {
        const meant = { client_id: empty, redirect_host }
        await t.resolves(
          agent.openSignIn(makeSignIn().url, { site: meant, model: empty }),
          redirect_host,
        )
      }
    }
    for (const [redirect_host, code] of [
      ['https://site.example.evil.example/', 'wrong_site'],
      ['https://evil.example/https://site.example', 'wrong_site'],
      ['http://site.example:8080', 'wrong_site'],
      ['https://site.example@evil.example/', 'configuration'],
      ['https://evil.example\\@site.example/', 'configuration'],
      ['ftp://site.example', 'configuration'],
      ['https://', 'configuration'],
      ['', 'configuration'],
    ] as const) {
      const refused = agent.openSignIn(makeSignIn().url, { site: { redirect_host } })
      await t.rejects(refused, { code }, redirect_host)
    }
  },
)

t.test('a refusal says whether the policy or the owner refused', async (t) => {
  const credentials = await makeCredentials(t)
  const agent = createAgent({ issuer, credentials, model })
  await app.policies.changeAgent(credentials.agent_id, { sites: 'list' })
  const refused = agent.openSignIn(makeSignIn().url, { site: { client_id } })
  await t.rejects(refused, { code: 'refused', reason: 'policy' })

  await app.policies.changeAgent(credentials.agent_id, { sites: 'ask' })
  const { url } = makeSignIn()
  const facts = await app.inject({ url, headers: { accept: 'application/json' } })
  const page: Page = {
    url: () => url,
    evaluate: async () => facts.json(),
    goto: async () => t.fail('the page was navigated'),
  }
  await t.rejects(agent.signIn(page, { site: { client_id } }), { code: 'approval_required' })
  await app.approvals.deny(facts.json().request_id)
  const denied = agent.signIn(page, { site: { client_id } })
  await t.rejects(denied, { code: 'refused', reason: 'owner' })
})

t.test('response_mode=form_post gives the form that the agent posts', async (t) => {
  const agent = createAgent({ issuer, credentials: await makeCredentials(t), model })
  const { url } = makeSignIn({ response_mode: 'form_post' })
  const { redirect_to, form_post } = await agent.openSignIn(url, { site: { client_id } })
  t.equal(redirect_to, site.redirect_uri)
  t.match(form_post, { code: /^ac_/, state: 'the state' })
})

t.test('the code goes to nobody but the agent', async (t) => {
  const agent = createAgent({ issuer, credentials: await makeCredentials(t), model })
  const { request_id } = (
    await app.inject({ url: makeSignIn().url, headers: { accept: 'application/json' } })
  ).json()
  const page: Page = {
    url: () => makeSignIn().url,
    evaluate: async () => ({ request_id, client_id, redirect_host: 'site.example' }),
    goto: async () => {},
  }
  await agent.signIn(page, { site: { client_id } })
  const status = await app.inject({ url: `/api/check-status?request_id=${request_id}` })
  t.same(status.json(), { status: 'completed', deliver: 'agent' })
})

t.test('a URL that is not the issuer’s own is refused before anything is sent', async (t) => {
  const evil = await listen(t, () => ({ status: 200 }))
  const evilHost = new URL(evil.origin).host
  const query = new URL(makeSignIn().url).search
  let asked = 0
  const credentials = async () => {
    asked += 1
    return await makeCredentials(t)
  }
  const agent = createAgent({ issuer, credentials, model })
  const elsewhere = [
    ['another host', `${evil.origin}/authorize${query}`],
    ['another port', `http://localhost:1/authorize${query}`],
    ['no port', `http://localhost/authorize${query}`],
    ['https for http', `https://localhost:${port}/authorize${query}`],
    ['another name for this machine', `http://127.0.0.1:${port}/authorize${query}`],
    ['the issuer as a subdomain', `http://localhost.evil.example:${port}/authorize${query}`],
    ['the issuer as the user', `http://localhost:${port}@${evilHost}/authorize${query}`],
    ['the issuer as user and password', `http://localhost:x@${evilHost}/authorize${query}`],
    ['a user at the issuer', `http://evil@localhost:${port}/authorize${query}`],
    ['a backslash', `http:\\\\${evilHost}\\@localhost:${port}/authorize${query}`],
    ['a trailing dot', `http://localhost.:${port}/authorize${query}`],
    ['a letter that looks alike', `http://lоcalhost:${port}/authorize${query}`],
    ['the issuer in the path', `${evil.origin}/${issuer}/authorize${query}`],
    ['the issuer in the fragment', `${evil.origin}/authorize${query}#${issuer}/authorize`],
    ['another page of the issuer', `${issuer}/authorize/../token${query}`],
    ['a page below', `${issuer}/authorize/evil${query}`],
    ['a blob', `blob:${issuer}/authorize`],
    ['data', `data:text/html,${issuer}/authorize`],
    ['a script', `javascript:location="${issuer}/authorize"`],
    ['an empty page', 'about:blank'],
    ['a file', 'file:///authorize'],
    ['no URL', 'authorize'],
  ] as const
  const good = { request_id: 'req_a', client_id, redirect_host: 'site.example' }
  for (const [name, url] of elsewhere) {
    const refused = { name: 'SignInError', code: 'wrong_origin' }
    await t.rejects(agent.openSignIn(url, { site: { client_id } }), refused, name)
    const page: Page = {
      url: () => url,
      evaluate: async () => t.fail(`${name}: the page was read`),
      goto: async () => t.fail(`${name}: the page was navigated`),
    }
    await t.rejects(agent.signIn(page, { site: { client_id } }), refused, `${name}, as a page`)
    const urls = [makeSignIn().url, url]
    const leaving: Page = { ...page, url: () => urls.shift() ?? '', evaluate: async () => good }
    await t.rejects(agent.signIn(leaving, { site: { client_id } }), refused, `${name}, meanwhile`)
  }
  t.same(evil.requests, [])
  t.equal(asked, 0, 'no credentials were even read')
})

t.test('an issuer with a path is that path alone', async (t) => {
  const agent = createAgent({ issuer: 'https://example.com/agents', model })
  for (const path of ['/authorize', '/other/authorize', '/agents/../authorize', '/agents']) {
    const url = `https://example.com${path}`
    await t.rejects(agent.openSignIn(url, { site: { client_id } }), { code: 'wrong_origin' }, path)
  }
})

t.test('what cannot be an issuer is refused', async (t) => {
  for (const wrong of [
    'http://auth.example',
    'auth.example',
    'https://auth.example/',
    'https://auth.example?a',
    'https://auth.example#a',
    'https://user@auth.example',
    'file:///authorize',
    '',
  ]) {
    t.throws(() => createAgent({ issuer: wrong, model }), { code: 'configuration' }, wrong)
  }
})

t.test('a sign-in for another site than was meant is refused and stays pending', async (t) => {
  let asked = 0
  const known = await makeCredentials(t)
  const credentials = () => {
    asked += 1
    return known
  }
  const agent = createAgent({ issuer, credentials, model })
  for (const meant of [
    { client_id: 'client_another' },
    { redirect_host: 'another.example' },
    { redirect_host: 'example' },
    { client_id, redirect_host: 'another.example' },
  ]) {
    const refused = agent.openSignIn(makeSignIn().url, { site: meant })
    const error = { code: 'wrong_site', reason: 'site' }
    await t.rejects(refused, error, JSON.stringify(meant))
  }
  const none = agent.openSignIn(makeSignIn().url, { site: {} })
  await t.rejects(none, { code: 'configuration' }, 'a site has to be named')
  t.equal(asked, 0)

  const other = await createSite(app, { redirect_uris: ['https://other.example/callback'] })
  const facts = await app.inject({ url: makeSignIn().url, headers: { accept: 'application/json' } })
  const { request_id } = facts.json()
  for (const lie of [
    { client_id: other.client_id, redirect_host: 'site.example' },
    { client_id, redirect_host: 'other.example' },
    { client_id: other.client_id, redirect_host: 'other.example' },
  ]) {
    const page: Page = {
      url: () => makeSignIn().url,
      evaluate: async () => ({ request_id, ...lie }),
      goto: async () => t.fail('the page was navigated'),
    }
    const refused = agent.signIn(page, { site: lie })
    const error = { code: 'refused', reason: 'site' }
    await t.rejects(refused, error, 'the issuer knows better than the page')
    t.equal(await statusOf(app, request_id), 'pending')
  }
})

t.test('a request that is over, and proof that does not hold, have their own codes', async (t) => {
  const known = await makeCredentials(t)
  const agent = createAgent({ issuer, credentials: known, model })
  const facts = await app.inject({ url: makeSignIn().url, headers: { accept: 'application/json' } })
  const shown = { ...facts.json() }
  const page = (request_id = shown.request_id): Page => ({
    url: () => makeSignIn().url,
    evaluate: async () => ({ ...shown, request_id }),
    goto: async () => {},
  })
  const options = { site: { client_id } }
  const stranger = createAgent({
    issuer,
    credentials: { ...known, agent_id: (await makeCredentials(t)).agent_id },
    model,
  })
  await t.rejects(stranger.signIn(page(), options), { code: 'invalid_credentials' })
  await t.rejects(agent.signIn(page('req_unknown'), options), { code: 'expired' })
  await agent.signIn(page(), options)
  await t.rejects(agent.signIn(page(), options), { code: 'expired' }, 'it was used')
  const empty = { ...page(), evaluate: async () => undefined }
  await t.rejects(agent.signIn(empty, options), { code: 'no_request' })
  const gone = { ...page(), evaluate: async () => Promise.reject(new Error('navigated')) }
  await t.rejects(agent.signIn(gone, options), { code: 'no_request' })
  await t.rejects(agent.openSignIn(`${issuer}/authorize?client_id=no`, options), {
    code: 'refused',
  })
})

t.test(
  'where the owner has to approve, the digits come from a callback or a second call',
  async (t) => {
    const { url: SMTP_URL, mails } = await createMailbox(t)
    const mailPort = await findFreePort()
    const settings = {
      ISSUER: `http://localhost:${mailPort}`,
      SMTP_URL,
      MAIL_FROM: 'a@auth.example',
    }
    const asking = await build(t, settings)
    await asking.listen({ host: 'localhost', port: mailPort })
    const credentials = await makeCredentials(t, asking)
    await asking.policies.changeAgent(credentials.agent_id, {
      sites: 'ask',
      remember_sites: false,
    })
    const client = await createSite(asking)
    const agent = createAgent({ issuer: settings.ISSUER, credentials, model })
    const site = { client_id: client.client_id }
    const query = encode(authorizeQuery(client, pkce().code_challenge))
    const url = `${settings.ISSUER}/authorize?${query}`
    const digits = () => mails.at(-1)?.match(/^ {2}(\d{6})\r$/m)?.[1] ?? ''

    const { redirect_to } = await agent.openSignIn(url, {
      site,
      onApproval: ({ expires_in, message, sign_in }) => {
        t.ok(expires_in > 500)
        t.match(message, /has to approve/)
        t.match(sign_in, { redirect_host: 'site.example', client_origin: 'operator', model })
        return digits()
      },
    })
    t.match(redirect_to, /code=ac_/)

    const facts = await asking.inject({ url, headers: { accept: 'application/json' } })
    const went: string[] = []
    const page: Page = {
      url: () => url,
      evaluate: async () => facts.json(),
      goto: async (to) => went.push(to),
    }
    await t.rejects(agent.signIn(page, { site }), {
      code: 'approval_required',
      approval: { sign_in: { client_id: client.client_id, client_name: 'Example Site' } },
    })
    const guess = String((Number(digits()) + 1) % 1_000_000).padStart(6, '0')
    await t.rejects(agent.signIn(page, { site, approval_code: guess }), {
      code: 'wrong_approval_code',
    })
    const mailed = mails.length
    for (const approval_code of [undefined, '', null]) {
      await t.rejects(agent.signIn(page, { site, approval_code }), {
        code: 'approval_required',
        message: /were sent by mail at 20\d\d-\d\d-\d\d \d\d:\d\d UTC/,
        approval: { mailed_at: Number, expires_in: Number },
      })
    }
    t.equal(mails.length, mailed, 'no second mail is sent, and none is claimed')
    t.same(went, [])
    await agent.signIn(page, { site, approval_code: Number(digits()) })
    t.match(went, [/code=ac_/])
  },
)

t.test('where no digits were sent nobody is asked for them', async (t) => {
  const credentials = await makeCredentials(t)
  await app.policies.changeAgent(credentials.agent_id, { sites: 'ask', remember_sites: false })
  const agent = createAgent({ issuer, credentials, model })
  const { url } = makeSignIn()
  const facts = await app.inject({ url, headers: { accept: 'application/json' } })
  const went: string[] = []
  const page: Page = {
    url: () => url,
    evaluate: async () => facts.json(),
    goto: async (to) => went.push(to),
  }
  const onApproval = () => {
    throw new Error('somebody was asked')
  }
  const options = { site: { client_id }, onApproval }
  for (const approval_code of [undefined, '123456']) {
    await t.rejects(agent.signIn(page, { ...options, approval_code }), {
      code: 'approval_required',
      message: /the operator of the issuer answers/,
      approval: { mailed_at: null },
    })
  }
  await app.approvals.approve(facts.json().request_id)
  await agent.signIn(page, options)
  t.match(went, [/code=ac_/])
})

t.test('no redirect of the issuer’s address is followed', async (t) => {
  const evil = await listen(t, () => ({ status: 200 }))
  const moved = await listen(t, () => ({ status: 307, location: `${evil.origin}/authorize` }))
  const agent = createAgent({ issuer: moved.origin, credentials: await makeCredentials(t), model })
  const options = { site: { client_id } }
  await t.rejects(agent.openSignIn(`${moved.origin}/authorize?a`, options), { code: 'network' })
  const page: Page = {
    url: () => `${moved.origin}/authorize?a`,
    evaluate: async () => ({ request_id: 'req_a', client_id, redirect_host: 'site.example' }),
    goto: async () => t.fail('the page was navigated'),
  }
  await t.rejects(agent.signIn(page, options), { code: 'network' })
  t.equal(moved.requests.length, 2)
  t.same(evil.requests, [])
})

t.test('a callback URL that other parsers read as one of another host is refused', async (t) => {
  const facts = { request_id: 'req_a', client_id, redirect_host: 'site.example' }
  for (const redirect_to of [
    'https://site.example\\@evil.example/cb?code=x',
    'https://user@site.example/cb?code=x',
    'https:/site.example/cb?code=x',
    'https:\\\\site.example/cb?code=x',
    ' https://site.example/cb?code=x',
    'https://SITE.example/cb?code=x',
    'https://evil.example/cb?code=x',
  ]) {
    const body = { ...facts, redirect_to }
    const { origin } = await listen(t, () => ({ status: 200, body }))
    const agent = createAgent({ issuer: origin, credentials: await makeCredentials(t), model })
    const refused = agent.openSignIn(`${origin}/authorize`, { site: { client_id } })
    await t.rejects(refused, { code: 'wrong_site' }, redirect_to)
  }
})

t.test('an error of the browser does not carry the code any further', async (t) => {
  const agent = createAgent({ issuer, credentials: await makeCredentials(t), model })
  const facts = await app.inject({ url: makeSignIn().url, headers: { accept: 'application/json' } })
  let went = ''
  const page: Page = {
    url: () => makeSignIn().url,
    evaluate: async () => facts.json(),
    goto: async (url) => {
      went = url
      throw new Error(`net::ERR_CONNECTION_REFUSED at ${url}`)
    },
  }
  const error = await agent.signIn(page, { site: { client_id } }).catch((error) => error)
  t.match(went, /code=ac_/)
  t.match(error, { code: 'navigation', message: /site\.example/, cause: undefined })
  t.notMatch(error.stack, /ac_/)
})

t.test('a sign-in that is called off ends with the reason', async (t) => {
  const agent = createAgent({ issuer, credentials: await makeCredentials(t), model })
  const reason = new Error('the task is over')
  const options = { site: { client_id }, signal: AbortSignal.abort(reason) }
  await t.rejects(agent.openSignIn(makeSignIn().url, options), reason)
  const controller = new AbortController()
  const stuck: Page = {
    url: () => makeSignIn().url,
    evaluate: () => {
      controller.abort(reason)
      return new Promise(() => {})
    },
    goto: async () => t.fail('the page was navigated'),
  }
  const called = agent.signIn(stuck, { site: { client_id }, signal: controller.signal })
  await t.rejects(called, reason)
})

t.test('a server that does not answer is a network error', async (t) => {
  const nowhere = `http://127.0.0.1:${await findFreePort()}`
  const agent = createAgent({ issuer: nowhere, credentials: await makeCredentials(t), model })
  const refused = agent.openSignIn(`${nowhere}/authorize?a`, { site: { client_id } })
  await t.rejects(refused, { code: 'network', message: `${nowhere} did not answer as it should` })
})
