import t from 'tap'
import { MOST_UNPROVED } from '../../../db/remote-documents.ts'
import {
  authenticate,
  authorizeFrom,
  createAgent,
  createSite,
  open,
  registerFrom,
  setUp,
  setUpDocuments,
  signIn,
  statusOf,
} from '../../harness.ts'

const OPEN = { DYNAMIC_REGISTRATION: 'open' } as const
const OURS = '192.0.2.1'
const REDIRECT = 'https://client.example/callback'
const anySite = { sites: 'any' } as const

t.test('a request that was never authenticated goes minutes after its end', async (t) => {
  const { app, clock, site, agent } = await setUp(t, OPEN)
  const dead = await open(app, site)
  const done = await open(app, site)
  t.equal((await authenticate(app, done.request_id, agent)).statusCode, 200)
  const sweep = () => app.store.authorizationRequests.removeUnproved(clock.now() - 180)
  const status = async () =>
    (await app.inject({ url: `/api/check-status?request_id=${dead.request_id}` })).json()

  clock.advance(app.settings.AUTHORIZATION_REQUEST_TTL)
  await sweep()
  t.equal((await status()).error, 'request_expired', 'its page is told')
  clock.advance(180)
  await sweep()
  t.equal((await status()).error, 'request_expired')
  clock.advance(1)
  await sweep()
  t.equal((await status()).error, 'not_found')
  t.ok(await app.store.authorizationRequests.find(done.request_id), 'an authenticated one stays')
})

t.test('a client that led to no sign-in within the hour goes, all others stay', async (t) => {
  const { app, clock, site: operators } = await setUp(t, OPEN)
  const agent = await createAgent(app, undefined, anySite)
  const registered = async () => {
    const { client_id } = (await registerFrom(app, OURS)).json()
    return { client_id, client_secret: undefined, redirect_uri: REDIRECT }
  }
  const used = await registered()
  await signIn(app, used, agent)
  const disabled = await registered()
  await app.registration.updateClient(disabled.client_id, { disabled_at: clock.now() })
  const enabled = await registered()
  await app.registration.updateClient(enabled.client_id, { disabled_at: clock.now() })
  await app.registration.updateClient(enabled.client_id, { disabled_at: null })
  const renamed = await registered()
  await app.registration.updateClient(renamed.client_id, { client_name: 'The operator says' })
  const judged = await registered()
  await app.policies.changeClient(judged.client_id, { allowed_models: ['m'] })
  const unused = await registered()
  const own = (await registerFrom(app, OURS)).json()
  const changed = await app.inject({
    method: 'PUT',
    url: `/register/${own.client_id}`,
    headers: { authorization: `Bearer ${own.registration_access_token}` },
    payload: { ...own, client_name: 'Its own change' },
  })
  t.equal(changed.statusCode, 200, changed.body)

  const sweep = async () => {
    while (await app.store.clients.removeUnproved(clock.now()));
    return (await app.store.clients.list()).map(({ client_id }) => client_id).sort()
  }
  const before = await sweep()
  clock.advance(3599)
  t.same(await sweep(), before, 'not before its hour is over')
  const late = await open(app, unused)
  clock.advance(1)
  t.equal(await statusOf(app, late.request_id), 'pending')
  const sites = [operators, used, disabled, enabled, renamed, judged]
  const kept = sites.map(({ client_id }) => client_id)
  t.same(await sweep(), [...kept, unused.client_id].sort(), 'an open request is waited for')
  t.equal(await statusOf(app, late.request_id), 'pending')
  clock.advance(600)
  t.same(await sweep(), kept.sort())
})

t.test('a document that led to no sign-in within the hour goes, all others stay', async (t) => {
  const { app, clock, web, serveSite } = await setUpDocuments(t)
  const agent = await createAgent(app, undefined, anySite)
  const keys = web.url('site.example', '/keys')
  await createSite(app, { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: keys })
  const [used, unused] = [serveSite('used'), serveSite('unused')]
  await signIn(app, used, agent)
  t.equal((await authorizeFrom(app, OURS, unused)).statusCode, 200)
  const now = clock.now()
  const copy = { body: '{}', fetched_at: now, fresh_until: now + 60, expires_at: now + 604_800 }
  await app.store.remoteDocuments.save({ url: keys, ...copy })

  const left = async () => {
    while (await app.store.clients.removeUnproved(clock.now()));
    while (await app.store.remoteDocuments.removeUnproved(clock.now()));
    const urls = [used.client_id, unused.client_id, keys]
    const found = await Promise.all(urls.map((url) => app.store.remoteDocuments.find(url)))
    return found.map((document) => document !== undefined)
  }
  t.same(await left(), [true, true, true])
  clock.advance(3600)
  t.same(await left(), [true, false, true])
  clock.advance(3600)
  t.same(await left(), [true, false, true], 'what is in use is not looked at again')
})

t.test('no more than so many documents are kept that strangers had fetched', async (t) => {
  const { app, clock, web, serveSite } = await setUpDocuments(t)
  const agent = await createAgent(app, undefined, anySite)
  const now = clock.now()
  const copy = { body: '{}', fetched_at: now, fresh_until: now + 60, expires_at: now + 604_800 }
  const fill = Array.from({ length: MOST_UNPROVED }, (_, n) =>
    app.store.remoteDocuments.save({ url: `https://x.example/${n}`, ...copy }),
  )
  await Promise.all(fill)
  await app.store.remoteDocuments.save({ url: 'https://x.example/0', ...copy, body: '[]' })
  t.equal((await app.store.remoteDocuments.find('https://x.example/0'))?.body, '[]', 'changed')

  const late = serveSite('late')
  t.equal((await authorizeFrom(app, OURS, late)).statusCode, 200, 'one more is used')
  t.equal(await app.store.remoteDocuments.find(late.client_id), undefined, 'and not kept')
  await signIn(app, late, agent)
  t.equal((await authorizeFrom(app, OURS, late)).statusCode, 200)
  t.ok(await app.store.remoteDocuments.find(late.client_id), 'but of a client in use it is')
  t.ok(web.requests('/late') > 1)
})

t.test('what a request may have stored has a bound', async (t) => {
  const { app, site } = await setUp(t, OPEN)
  const sizes: [string, state: string, nonce: string, status: number][] = [
    ['both at the bound', 's'.repeat(3072), 'n'.repeat(1024), 200],
    ['one byte more', 's'.repeat(3073), 'n'.repeat(1024), 400],
    ['the state alone at the bound', 's'.repeat(4096), '', 200],
    ['a longer state', 's'.repeat(4097), '', 400],
    ['a longer nonce', '', 'n'.repeat(1025), 400],
    ['characters of several bytes', '\u20ac'.repeat(1366), '', 400],
    ['characters of several bytes that fit', '\u20ac'.repeat(1365), 'n', 200],
  ]
  for (const [name, state, nonce, status] of sizes) {
    const answer = await authorizeFrom(app, OURS, site, 'application/json', { state, nonce })
    t.equal(answer.statusCode, status, name)
    if (status === 400) t.match(answer.json(), { error: 'invalid_request' }, name)
  }
  const long = await authorizeFrom(app, OURS, site, 'application/json', {
    state: 's'.repeat(4096),
    nonce: 'n',
  })
  t.match(long.json(), {
    error: 'invalid_request',
    error_description: 'state and nonce must not have more than 4096 bytes together',
  })
})

t.test('what a client that registers itself may have stored has a bound', async (t) => {
  const { app } = await setUp(t, OPEN)
  const uri = (n: number) => `https://client.example/${'x'.repeat(500)}${n}`
  const key = { kty: 'EC', crv: 'P-256', x: 'x'.repeat(43), y: 'y'.repeat(43) }
  const keyed = { token_endpoint_auth_method: 'private_key_jwt' }
  const sizes: [string, Record<string, unknown>, status: number][] = [
    [
      'some long redirect URIs',
      { redirect_uris: Array.from({ length: 10 }, (_, n) => uri(n)) },
      201,
    ],
    [
      'many long redirect URIs',
      { redirect_uris: Array.from({ length: 20 }, (_, n) => uri(n)) },
      400,
    ],
    ['a key', { ...keyed, jwks: { keys: [key] } }, 201],
    [
      'a key with a chain',
      { ...keyed, jwks: { keys: [{ ...key, x5c: ['A'.repeat(9000)] }] } },
      400,
    ],
    ['a key set with more', { ...keyed, jwks: { keys: [key], more: 'x'.repeat(9000) } }, 400],
    ['a name in many bytes', { client_name: '\u20ac'.repeat(9000) }, 400],
    ['a grant type many times', { grant_types: Array(2000).fill('authorization_code') }, 201],
  ]
  for (const [name, change, status] of sizes) {
    const answer = await registerFrom(app, OURS, change)
    t.equal(answer.statusCode, status, `${name}: ${answer.body.slice(0, 200)}`)
    if (status === 400) t.equal(answer.json().error, 'invalid_client_metadata', name)
    else t.ok(answer.body.length < 9000, name)
  }
  const { client_id, registration_access_token } = (await registerFrom(app, OURS)).json()
  const changed = await app.inject({
    method: 'PUT',
    url: `/register/${client_id}`,
    headers: { authorization: `Bearer ${registration_access_token}` },
    payload: {
      client_id,
      token_endpoint_auth_method: 'none',
      redirect_uris: Array.from({ length: 20 }, (_, n) => uri(n)),
    },
  })
  t.match([changed.statusCode, changed.json().error], [400, 'invalid_client_metadata'])
})
