import t from 'tap'
import type { AgentPolicy } from '../../schemas/policy.ts'
import {
  authenticate,
  build,
  createAgent,
  createSite,
  open,
  type Site,
  startWeb,
  statusOf,
} from '../harness.ts'

t.test('a host stands for no client but one that is known to belong there', async (t) => {
  const web = await startWeb(t)
  const app = await build(t, { DYNAMIC_REGISTRATION: 'open' }, { network: web.network })
  /** The client_id of a document at a host, which leads to a URL. */
  const publish = (host: string, redirect_uri: string) => {
    const path = `/${host}/${encodeURIComponent(redirect_uri)}`
    const client_id = web.url(host, path)
    web.serveJson(path, { client_id, client_name: 'Shop', redirect_uris: [redirect_uri] })
    return { client_id, client_secret: undefined, redirect_uri }
  }
  const siteHost = new URL(web.url('site.example', '/')).host
  const redirect_uri = `https://${siteHost}/out?to=evil`
  const registered = await app.inject({
    method: 'POST',
    url: '/register',
    payload: { redirect_uris: [redirect_uri] },
  })
  const operators = await createSite(app, {
    redirect_uris: ['https://xn--bcher-kva.example:8443/a'],
  })
  const own = publish('site.example', redirect_uri)
  const elsewhere = publish('client.example', redirect_uri)
  const dynamic = { ...elsewhere, client_id: registered.json().client_id }
  const leaving = publish('site.example', 'https://evil.example/callback')
  const program = publish('client.example', 'http://127.0.0.1/callback')

  const cases: [name: string, client: Site, site: string, allowed: boolean][] = [
    ['the host of a document', own, siteHost, true],
    ['it in capitals', own, siteHost.toUpperCase(), true],
    ['it with a dot', own, siteHost.replace(':', '.:'), true],
    ['it without its port', own, 'site.example', false],
    ['a document of another host', elsewhere, siteHost, false],
    ['the other host', elsewhere, new URL(elsewhere.client_id).host, false],
    ['a client that registered itself', dynamic, siteHost, false],
    ['a document that leads away', leaving, siteHost, false],
    ['where it leads', leaving, 'evil.example', false],
    ['a program on a computer', program, '127.0.0.1', false],
    ['the document of a program', program, new URL(program.client_id).host, false],
    ['a client of the operator', operators, 'xn--bcher-kva.example:8443', true],
    ['its name in its own letters', operators, 'Bücher.example:8443', true],
    ['it with another port', operators, 'xn--bcher-kva.example', false],
  ]
  const agent = await createAgent(app)
  for (const [name, client, site, allowed] of cases) {
    const change: Partial<AgentPolicy> = { sites: 'list', allowed_sites: [site] }
    const status = async (body: object = {}) => {
      const { request_id } = await open(app, client, { redirect_uri: client.redirect_uri })
      const answer = await authenticate(app, request_id, agent, { ...body })
      if (answer.statusCode === 403) t.equal(await statusOf(app, request_id), 'pending', name)
      return answer.statusCode
    }
    await app.policies.changeAgent(agent.agent_id, change)
    t.equal(await status(), allowed ? 200 : 403, `on the list: ${name}`)
    await app.policies.changeAgent(agent.agent_id, { sites: 'any' })
    const expected = { expected_redirect_host: site }
    t.equal(await status(expected), allowed ? 200 : 403, `expected: ${name}`)
  }

  for (const { client_id, ...client } of [own, elsewhere, dynamic, leaving, program, operators]) {
    await app.policies.changeAgent(agent.agent_id, { sites: 'list', allowed_sites: [client_id] })
    const opened = await open(app, { client_id, ...client })
    const named = {
      expected_client_id: client_id,
      expected_redirect_host: new URL(client.redirect_uri).host,
    }
    const answer = await authenticate(app, opened.request_id, agent, named)
    t.equal(answer.statusCode, 200, 'a client_id stands for itself')
  }
})

t.test('what is neither a client_id nor a host is no site', async (t) => {
  const app = await build(t)
  const { agent_id } = await createAgent(app)
  for (const site of [
    'shop.example/login',
    'a@shop.example',
    '*.shop.example',
    'a..b',
    '?',
    'a\\b',
  ]) {
    const changing = app.policies.changeAgent(agent_id, { allowed_sites: [site] })
    await t.rejects(changing, { code: 'invalid_request' }, site)
  }
  const allowed_sites = [
    'Shop.Example.',
    'bücher.example',
    'client_A',
    'https://a.example/B',
    '[::1]:8',
  ]
  const { allowed_sites: stored } = await app.policies.changeAgent(agent_id, { allowed_sites })
  t.same(
    new Set(stored),
    new Set([
      'shop.example',
      'xn--bcher-kva.example',
      'client_A',
      'https://a.example/B',
      '[::1]:8',
    ]),
  )
})
