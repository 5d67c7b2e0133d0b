import t, { type Test } from 'tap'
import type { SignInDescription } from '../../../schemas/sign-in-description.ts'
import {
  authenticate,
  authorize,
  authorizeQuery,
  build,
  createAgent,
  createApi,
  encode,
  open,
  pkce,
  startWeb,
} from '../../harness.ts'
import { createMailbox } from '../../mailbox.ts'
import { text } from '../../text.ts'

const PAYMENTS = { uri: 'https://mcp.corp.example/', name: 'Payments “live”' }
const scope = 'email payments.send files.delete'

/** A stranger whose document calls itself like a shop and leads to the shop's host. */
async function createWorld(t: Test) {
  const web = await startWeb(t)
  const { url: SMTP_URL, mails } = await createMailbox(t)
  const app = await build(t, { SMTP_URL, MAIL_FROM: 'auth@auth.example' }, { network: web.network })
  const client_id = web.url('client.example', '/client.json')
  web.serveJson('/client.json', {
    client_id,
    client_name: 'Shop',
    'client_name#ja': '店',
    redirect_uris: ['https://shop.example/callback'],
  })
  const scopes = ['payments.send', 'files.delete', 'files.read']
  const api = await createApi(app, { ...PAYMENTS, scopes, open_to: 'anyone' })
  const site = {
    client_id,
    client_secret: undefined,
    redirect_uri: 'https://shop.example/callback',
  }
  return { app, mails, site, api, agent: await createAgent(app), host: new URL(client_id).host }
}

t.test('every place that tells of a sign-in tells all facts of it', async (t) => {
  const { app, mails, site, agent, host } = await createWorld(t)
  const { agent_id } = agent
  const query = { resource: PAYMENTS.uri, scope }
  const { request_id } = await open(app, site, query)
  const answer = await authenticate(app, request_id, agent, {
    deliver: 'agent',
    model: 'gpt-5 (x)',
  })
  t.equal(answer.statusCode, 200)
  const { opened_at, ...facts }: SignInDescription = answer.json().sign_in
  const expected = {
    redirect_host: 'shop.example',
    client_origin: 'document',
    client_host: host,
    client_id: site.client_id,
    apis: [{ ...PAYMENTS, scopes: ['payments.send', 'files.delete'] }],
    scope,
    opened_from: '127.0.0.1',
    agent_id,
    agent_address: '127.0.0.1',
    delivery: 'agent',
    client_name: 'Shop',
    model: 'gpt-5 (x)',
  }
  t.same(facts, expected, 'the answer to the agent')

  const words = [
    /Leads to: +shop\.example/,
    /Vouched for by: +nobody here/,
    new RegExp(`Document at: +${host}`),
    `${site.client_id}`,
    /Gives access to: +https:\/\/mcp\.corp\.example\/ \(“Payments 'live'”\), for payments\.send files\.delete/,
    /It gets: +the e-mail address of the agent's owner, payments\.send, files\.delete/,
    /Opened from: +127\.0\.0\.1/,
    /Opened at: +20\d\d-\d\d-\d\d \d\d:\d\d UTC/,
    `${agent_id}`,
    /Agent came from: +127\.0\.0\.1/,
    /Code goes to: +the agent alone/,
    /calls itself “Shop”/,
    /calls itself “gpt-5 \(x\)”/,
  ]
  const events = await app.store.events.list({ agent_id, limit: 1 })
  for (const [place, told] of [
    ['the mail', text(mails[0])],
    ['the audit trail', events[0]?.detail ?? ''],
  ] as const) {
    for (const word of words) t.match(told, word, place)
    t.ok(told.indexOf(host) < told.indexOf('“Shop”'), `${place} tells what is certain first`)
    t.notMatch(told, '店', place)
  }
  const [listed] = await app.approvals.listOpen()
  t.match(listed, { request_id, email: 'owner@example.com', ...expected, opened_at })

  await app.approvals.approve(request_id)
  await authenticate(app, request_id, agent, { deliver: 'agent', model: 'gpt-5 (x)' })
  for (const { event, outcome, detail } of await app.store.events.list({ agent_id, limit: 3 })) {
    for (const word of words) t.match(detail, word, `${event} ${outcome}`)
  }
})

t.test('the waiting page and its JSON tell what is known before an agent comes', async (t) => {
  const { app, site, host } = await createWorld(t)
  const query = authorizeQuery(site, pkce().code_challenge, { resource: PAYMENTS.uri, scope })
  const facts = { headers: { accept: 'application/json' }, url: `/authorize?${encode(query)}` }
  t.match((await app.inject(facts)).json(), {
    redirect_host: 'shop.example',
    client_origin: 'document',
    client_host: host,
    client_id: site.client_id,
    apis: [{ ...PAYMENTS, scopes: ['payments.send', 'files.delete'] }],
    resource: [PAYMENTS.uri],
    scope,
    opened_from: '127.0.0.1',
    opened_at: Number,
    client_name: 'Shop',
  })
  const { body } = await authorize(app, query)
  const page = body.slice(body.indexOf('<h1'))
  t.match(
    page,
    /<h1 [^>]*>Sign in to <bdi class="name">shop\.example<\/bdi>/,
    'no name comes first',
  )
  for (const row of [
    '<dt>Returns to</dt><dd><strong>shop.example</strong>',
    `<dt>Asked by</dt><dd><strong>${host}</strong>`,
    '<dt>Gives access to</dt><dd>https://mcp.corp.example/ (“Payments &#39;live&#39;”)',
    'payments.send, files.delete</dd>',
    'Calls itself <bdi class="name">“Shop”</bdi>',
    '<dt>Vouched for by</dt><dd>nobody here',
    `<dt>Client</dt><dd>${site.client_id}</dd>`,
    '<dt>Opened from</dt><dd>127.0.0.1</dd>',
    '<dt>Opened at</dt><dd>20',
  ]) {
    t.ok(page.includes(row), row)
  }
})

t.test(
  'names from before there was a rule for names are shown so that they stay names',
  async (t) => {
    const { app, mails, site, agent } = await createWorld(t)
    const name = `Shop” at\u2028\u202ehttps://evil.example ${'x'.repeat(200)}`
    const { request_id } = await open(app, site)
    await app.store.clients.update(site.client_id, { client_name: name }, 0)
    const { client_name } = (await authenticate(app, request_id, agent)).json().sign_in
    t.notMatch(client_name, /[\u2028\u202e]|:\/\//u)
    t.ok([...client_name].length <= 80)
    const [line = ''] = text(mails[0]).match(/calls itself “.*/) ?? []
    t.match(line, /^calls itself “Shop' at\?\?https:\?evil\.example x+…”$/)
  },
)
