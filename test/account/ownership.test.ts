import t from 'tap'
import type { Parameters } from '../harness.ts'
import { listRoutes } from './forms.ts'
import { alive, createWorld, type OwnerWithAgent } from './world.ts'

const jwk = '{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}'

/** Forms that are good for the owner whose identifiers they name. */
function formsOf({ agent, kid, grant_id }: OwnerWithAgent, client_id: string) {
  const { agent_id } = agent
  const forms: Record<string, Parameters> = {
    '/account/agents/:agent_id/name': { name: 'Stolen' },
    '/account/agents/:agent_id/policy': { sites: 'any', deliver: 'any', secret: 'allow' },
    '/account/agents/:agent_id/keys': { jwk },
    '/account/agents/:agent_id/keys/remove': { kid, compromised: 'yes' },
    '/account/agents/:agent_id/secret': { old: 'compromised' },
    '/account/agents/:agent_id/forget': { client_id },
    '/account/approvals/:request_id/options': { agent_id, shown: 'x', remember: 'no' },
    '/account/approvals/:request_id/approve': { agent_id, shown: 'x', remember: 'no' },
    '/account/approvals/:request_id/deny': { agent_id },
    '/account/sign-ins/stop': { grant_id },
  }
  return forms
}

t.test('identifiers of another owner are not found, in any path and any form', async (t) => {
  const { app, site, ann, bob } = await createWorld(t)
  const { agent_id } = bob.agent
  const { request_id } = bob.waiting
  const forms = formsOf(bob, site.client_id)
  const toPath = (url: string) =>
    url.replace(':agent_id', agent_id).replace(':request_id', request_id)
  const isMine = (url: string) => /:(agent_id|request_id)|sign-ins\/stop/.test(url)
  const [getting, posting] = await Promise.all([listRoutes('GET'), listRoutes('POST')])
  for (const url of getting.filter((url) => /:(agent_id|request_id)/.test(url))) {
    t.equal((await ann.get(toPath(url))).statusCode, 404, `GET ${url}`)
  }
  t.ok(posting.filter(isMine).length >= 12)
  for (const url of posting.filter(isMine)) {
    t.equal((await ann.post(toPath(url), forms[url])).statusCode, 404, `POST ${url}`)
  }
  const fields: [string, Parameters][] = [
    ['/account/sign-ins/stop', { grant_id: bob.grant_id }],
    ['/account/sign-ins/stop', { agent_id }],
    ['/account/sign-ins/stop', { grant_id: bob.grant_id, agent_id: ann.agent.agent_id }],
    [`/account/approvals/${ann.waiting.request_id}/deny`, { agent_id }],
  ]
  for (const [url, form] of fields) {
    t.equal((await ann.post(url, form)).statusCode, 404, `POST ${url} ${JSON.stringify(form)}`)
  }
  for (const path of [`stop?grant_id=${bob.grant_id}`, `stop?agent_id=${agent_id}`]) {
    t.equal((await ann.get(`/account/sign-ins/${path}`)).statusCode, 404, path)
  }

  const agent = await app.store.agents.find(agent_id)
  t.match(agent, { name: 'Of bob@example.com', disabled_at: null })
  t.equal((await app.agentKeys.list(agent_id)).length, 1)
  t.same(await alive(app, site, bob.tokens), { access: true, refresh: 200, userinfo: 200 })
  t.equal((await bob.get(`/account/approvals/${request_id}`)).statusCode, 200)
  t.equal((await bob.get(`/account/agents/${agent_id}`)).statusCode, 200)
})

t.test('stopping everything at a website leaves the sign-ins of others there', async (t) => {
  const { app, site, ann, bob } = await createWorld(t)
  const { client_id } = site
  t.equal((await ann.post('/account/sign-ins/stop', { client_id })).statusCode, 303)
  t.same(await alive(app, site, ann.tokens), { access: false, refresh: 400, userinfo: 401 })
  t.same(await alive(app, site, bob.tokens), { access: true, refresh: 200, userinfo: 200 })
})

t.test('no page shows anything of another owner', async (t) => {
  const { app, ann, bob } = await createWorld(t)
  const secrets = [
    'bob@example.com',
    bob.owner_id,
    bob.agent.agent_id,
    bob.grant_id,
    bob.waiting.request_id,
    bob.kid,
  ]
  const pages = (await listRoutes('GET')).filter((url) => !url.includes(':'))
  const exports = ['/account/history/export?format=json', '/account/history/export?format=csv']
  const named = [
    `/account/sign-ins?agent_id=${bob.agent.agent_id}`,
    `/account/history?agent_id=${bob.agent.agent_id}`,
  ]
  for (const url of [...pages, ...exports, '/account/data/export']) {
    const { body } = await ann.get(url)
    for (const secret of secrets) t.notOk(body.includes(secret), `${url} ${secret}`)
  }
  for (const url of named) {
    const { body } = await ann.get(url)
    t.notOk(body.includes('bob@example.com') || body.includes(bob.grant_id), url)
  }
  t.match((await bob.get('/account/data/export')).body, bob.grant_id)
  t.equal((await app.store.owners.list()).length, 2)
})

t.test('names that are HTML are shown as text, on every page', async (t) => {
  const { app, site, other, ann } = await createWorld(t)
  const name = '<img src=x onerror=alert(1)>"\'&amp;'
  for (const { client_id } of [site, other]) {
    await app.store.clients.update(client_id, { client_name: name }, 0)
  }
  const { agent_id } = ann.agent
  await app.registration.updateAgent(agent_id, { name })
  const { request_id } = ann.waiting
  const paths = [
    '/account',
    '/account/agents',
    `/account/agents/${agent_id}`,
    `/account/agents/${agent_id}/policy`,
    `/account/agents/${agent_id}/keys`,
    `/account/agents/${agent_id}/secret`,
    `/account/agents/${agent_id}/delete`,
    `/account/agents/${agent_id}/enable`,
    '/account/sign-ins',
    `/account/sign-ins?agent_id=${agent_id}`,
    `/account/sign-ins/stop?grant_id=${ann.grant_id}`,
    '/account/history',
  ]
  for (const path of paths) {
    const { body, statusCode } = await ann.get(path)
    t.equal(statusCode, 200, path)
    t.notMatch(body, '<img', path)
    t.match(body, /&(#60|lt);img/, path)
  }
  // A change of the name ends what was asked; the page of what waits shows the agent's name.
  const page = await ann.get(`/account/approvals/${request_id}`)
  t.notMatch(page.body, '<img')
})
