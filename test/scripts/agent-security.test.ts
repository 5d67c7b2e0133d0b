import { writeFileSync } from 'node:fs'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose'
import t from 'tap'
import { buildApp } from '../../plugins/app.ts'
import { authenticate, createAgent, createSite, open } from '../harness.ts'
import { fresh, json, run } from './command.ts'

t.test('an agent gets keys and a policy, and its trail is shown', async (t) => {
  const environment = fresh(t)
  const { agent_id } = await json(environment, 'agent', 'create', '--email', 'o@example.com')
  const file = `${t.testdirName}/public.jwk`
  const { publicKey, privateKey } = await generateKeyPair('EdDSA', { extractable: true })
  writeFileSync(file, JSON.stringify(await exportJWK(publicKey)))
  const added = await json(environment, 'agent', 'add-key', agent_id, '--jwk', file)
  t.match(added, { agent_id, alg: 'EdDSA', kid: String })
  const made = await json(environment, 'agent', 'add-key', agent_id, '--generate')
  t.match(made, { kty: 'EC', alg: 'ES256', d: String, kid: String })
  await json(environment, 'agent', 'remove-key', agent_id, added.kid)
  const keys = await json(environment, 'agent', 'list-keys', agent_id)
  t.match(keys, [{ kid: made.kid }])
  t.notOk(JSON.stringify(keys).includes(made.d), 'the private key is nowhere')

  writeFileSync(file, JSON.stringify(await keyNamedLikeAnOption()))
  const { kid } = await json(environment, 'agent', 'add-key', agent_id, '--jwk', file)
  t.match(kid, /^-/)
  await json(environment, 'agent', 'remove-key', agent_id, kid)
  t.match(await json(environment, 'agent', 'list-keys', agent_id), [{ kid: made.kid }])

  writeFileSync(file, JSON.stringify(await exportJWK(privateKey)))
  const refused = await run(environment, 'agent', 'add-key', agent_id, '--jwk', file)
  t.match(refused, { code: 1, err: /is private/ })

  const options = [
    '--sites',
    'list',
    '--allow-site',
    'shop.example',
    'client_1',
    '--remember',
    'no',
  ]
  const more = ['--deliver', 'agent', '--secret', 'forbid', '--allow-model', 'one-*', 'two']
  const policy = {
    sites: 'list',
    allowed_sites: ['client_1', 'shop.example'],
    remember_sites: false,
    deliver: 'agent',
    secret: 'forbid',
    allowed_models: ['one-*', 'two'],
  }
  t.match(await json(environment, 'agent', 'policy', agent_id, ...options, ...more), policy)
  const cleared = ['agent', 'policy', agent_id, '--allow-model', 'none', '--allow-site', 'none']
  t.match(await json(environment, ...cleared), { allowed_models: [], allowed_sites: [] })
  t.match(await json(environment, 'agent', 'policy', agent_id), { sites: 'list', secret: 'forbid' })
  t.match(await json(environment, 'agent', 'sign-ins', agent_id, '--limit', '2'), [
    { event: 'policy', outcome: 'changed' },
    { event: 'policy', outcome: 'changed' },
  ])
})

t.test('the operator answers for owners while the server runs', async (t) => {
  const environment = fresh(t)
  const app = await buildApp({ DATABASE_URL: environment.DATABASE_URL, LOG_LEVEL: 'silent' })
  t.teardown(() => app.close())
  const site = await createSite(app)
  const agent = await createAgent(app)
  await json(environment, 'agent', 'policy', agent.agent_id, '--sites', 'ask')
  const [yes, no] = [await open(app, site), await open(app, site)]
  for (const { request_id } of [yes, no]) {
    t.match((await authenticate(app, request_id, agent)).json(), { requires_2fa: true })
  }
  t.equal((await json(environment, 'approval', 'list')).length, 2)
  const { out } = await run(environment, 'approval', 'list')
  t.match(out, /Leads to +site\.example/)
  t.match(out, /Name +calls itself “Example Site”/)

  const approved = await json(
    environment,
    'approval',
    'approve',
    yes.request_id,
    '--remember',
    'no',
  )
  t.same(approved, {
    request_id: yes.request_id,
    agent_id: agent.agent_id,
    status: 'approved',
  })
  const twice = await run(environment, 'approval', 'deny', yes.request_id)
  t.match(twice, { code: 1, err: /No approval/ })
  t.equal((await authenticate(app, yes.request_id, agent)).statusCode, 200)

  await json(environment, 'approval', 'deny', no.request_id)
  t.equal((await authenticate(app, no.request_id, agent)).statusCode, 403)
  const trail = await json(environment, 'agent', 'sign-ins', agent.agent_id)
  t.match(trail[0], { event: 'sign_in', outcome: 'access_denied', address: '127.0.0.1' })
  const refuse = ['client', 'policy', site.client_id, '--refuse-model', 'bad-*']
  t.match(await json(environment, ...refuse), { refused_models: ['bad-*'] })
})

t.test('what an owner approved is shown, and forgotten by client', async (t) => {
  const environment = fresh(t)
  const app = await buildApp({ DATABASE_URL: environment.DATABASE_URL, LOG_LEVEL: 'silent' })
  t.teardown(() => app.close())
  const site = await createSite(app)
  const { client_id } = site
  const agent = await createAgent(app)
  const other = await createAgent(app)
  const { agent_id } = agent
  const allow = ['--sites', 'ask', '--allow-site', 'shop.example']
  for (const each of [agent, other]) {
    await json(environment, 'agent', 'policy', each.agent_id, ...allow)
  }
  const { request_id } = await open(app, site, { scope: 'openid email' })
  for (const each of [agent, other]) await authenticate(app, request_id, each)
  const ambiguous = await run(environment, 'approval', 'approve', request_id)
  t.match(ambiguous, { code: 1, err: /Several agents wait/ })
  await json(environment, 'approval', 'approve', request_id, '--agent', agent_id)
  t.equal((await authenticate(app, request_id, agent)).statusCode, 200)

  const shown = await json(environment, 'agent', 'policy', agent_id)
  t.match(shown, {
    allowed_sites: ['shop.example'],
    remembered_approvals: [
      { client_id, redirect_host: 'site.example', scope: 'openid email', resources: [] },
    ],
  })
  const text = (await run(environment, 'agent', 'policy', agent_id)).out
  t.match(text, /site\.example +openid email/)
  const forget = ['agent', 'policy', agent_id, '--forget-site', client_id]
  t.match(await json(environment, ...forget), {
    allowed_sites: ['shop.example'],
    remembered_approvals: [],
  })
  t.match(await run(environment, ...forget), { code: 1, err: /Nothing is remembered of client_/ })
  t.match(
    (await run(environment, 'agent', 'policy', agent_id)).out,
    /There are no remembered approvals/,
  )
})

t.test('a key that others may have is removed with all that it gave', async (t) => {
  const environment = fresh(t)
  const app = await buildApp({ DATABASE_URL: environment.DATABASE_URL, LOG_LEVEL: 'silent' })
  t.teardown(() => app.close())
  const site = await createSite(app)
  const agent = await createAgent(app)
  const { agent_id } = agent
  const made = await json(environment, 'agent', 'add-key', agent_id, '--generate')
  const more = await json(environment, 'agent', 'add-key', agent_id, '--generate')
  await authenticate(app, (await open(app, site)).request_id, agent)
  await json(environment, 'agent', 'remove-key', agent_id, more.kid)
  t.match(await app.store.grants.list({ agent_id }), [{ revoked_at: null }])
  await json(environment, 'agent', 'remove-key', agent_id, made.kid, '--compromised')
  t.match(await app.store.grants.list({ agent_id }), [{ revoked_at: Number }])
})

/** One public key in 64 has a thumbprint that starts with a dash. */
async function keyNamedLikeAnOption(): Promise<JWK> {
  for (;;) {
    const { publicKey } = await generateKeyPair('EdDSA')
    const jwk = await exportJWK(publicKey)
    if ((await calculateJwkThumbprint(jwk)).startsWith('-')) return jwk
  }
}
