import { createHash } from 'node:crypto'
import t from 'tap'
import type { Deviation } from '../authenticator.ts'
import { authenticate, encode, type Parameters, redeem, statusOf } from '../harness.ts'
import { approve, createWorld, fieldsOf, type OwnerWithAgent } from './world.ts'

/** The form of the page that a person looks at. */
async function readForm(owner: OwnerWithAgent): Promise<Parameters> {
  const path = `account/approvals/${owner.waiting.request_id}`
  const { body } = await owner.get(`/${path}?agent_id=${owner.agent.agent_id}`)
  return fieldsOf(body, `${path}/approve`)
}

t.test('the page shows every fact of the sign-in, in words', async (t) => {
  const { app, ann, other } = await createWorld(t)
  t.match((await ann.get('/account')).body, 'Sign in to other.example?')
  t.match((await ann.get('/account/approvals')).body, 'Other Site')
  const { body } = await ann.get(`/account/approvals/${ann.waiting.request_id}`)
  const [asked] = await app.approvals.listOpen(ann.owner_id)
  for (const fact of [
    asked?.redirect_host,
    other.client_id,
    asked?.client_name,
    asked?.agent_id,
    asked?.agent_address,
    asked?.opened_from,
    'test-model',
    'the operator of this server, who registered it',
    /Opened at<\/dt><dd>2027-01-15 08:00 UTC/,
  ]) {
    t.match(body, fact)
  }
})

t.test('an owner approves with a passkey, and the website redeems the code', async (t) => {
  const { app, ann, other } = await createWorld(t)
  const { request_id, code_verifier } = ann.waiting
  const form = await readForm(ann)
  const approved = await approve(ann, { ...form, remember: 'no' })
  t.equal(approved.statusCode, 303, approved.body)
  t.match(approved.headers.location, '/account/approvals?done=approved')
  t.equal(await statusOf(app, request_id), 'pending', 'the agent signs in by itself')
  const { redirect_to } = (await authenticate(app, request_id, ann.agent)).json()
  const code = new URL(redirect_to).searchParams.get('code') ?? ''
  t.equal((await redeem(app, other, { code, code_verifier })).statusCode, 200)
  t.same(await app.policies.remembered(ann.agent.agent_id), [], 'this once')

  const [proof] = await app.store.approvals.listProofs(ann.owner_id)
  t.match(JSON.parse(proof?.subject ?? ''), {
    request_id,
    agent_id: ann.agent.agent_id,
    remember: false,
    sign_in: { redirect_host: 'other.example', client_id: other.client_id, model: 'test-model' },
  })
  const { client_data, ...signed } = JSON.parse(proof?.proof ?? '')
  t.match(signed, { credential_id: ann.passkey.id, authenticator_data: /./, signature: /./ })
  t.match(JSON.parse(String(Buffer.from(client_data, 'base64url'))), { type: 'webauthn.get' })
  const events = await app.store.events.list({ agent_id: ann.agent.agent_id, limit: 5 })
  t.match(
    events.find(({ outcome }) => outcome === 'approved'),
    { event: 'approval', method: 'passkey', owner_id: ann.owner_id },
  )
})

t.test('approved and remembered, the agent is not asked about again', async (t) => {
  const { app, ann, other } = await createWorld(t)
  await approve(ann, { ...(await readForm(ann)), remember: 'yes' })
  await authenticate(app, ann.waiting.request_id, ann.agent)
  t.match(await app.policies.remembered(ann.agent.agent_id), [{ client_id: other.client_id }])
})

t.test('denying needs the session alone, and ends the sign-in', async (t) => {
  const { app, ann } = await createWorld(t)
  const { request_id } = ann.waiting
  const { agent_id } = ann.agent
  const denied = await ann.post(`/account/approvals/${request_id}/deny`, { agent_id })
  t.equal(denied.statusCode, 303)
  const refused = await authenticate(app, request_id, ann.agent)
  t.match(refused.json(), { error: 'access_denied', reason: 'owner' })
  const again = await approve(ann, { agent_id, shown: 'x', remember: 'no' })
  t.equal(again.statusCode, 404, 'the first answer counts')
})

t.test('nothing but a passkey that signed what the page shows approves', async (t) => {
  const { app, ann, bob } = await createWorld(t)
  const { request_id } = ann.waiting
  const path = `/account/approvals/${request_id}`
  const form: Parameters = { ...(await readForm(ann)), remember: 'no' }
  const shown = String(form.shown)
  const optionsOf = async (change: Parameters = {}) =>
    (await ann.post(`${path}/options`, { ...form, ...change })).json()
  const send = (fields: Parameters) => ann.post(`${path}/approve`, { ...form, ...fields })
  const deviations: [string, Deviation][] = [
    ['without user verification', { userVerified: false }],
    ['from another origin', { origin: 'https://evil.example' }],
    ['from a frame', { crossOrigin: true }],
    ['for another relying party', { rp_id: 'evil.example' }],
    ['a registration', { type: 'webauthn.create' }],
    ['a wrong signature', { garble: true }],
    ['a challenge of its own', { challenge: 'AAAA' }],
  ]
  for (const [title, deviation] of deviations) {
    const answer = await approve(ann, form, { deviation })
    t.equal(answer.statusCode, 403, title)
  }
  const other = createHash('sha256').update('other').digest('base64url')
  const refused: [string, () => Promise<{ statusCode: number }>, number][] = [
    ['the session alone', () => send({}), 400],
    ['no JSON', () => send({ passkey: 'x' }), 400],
    [
      'another choice than was signed',
      () => approve(ann, form, { sent: { remember: 'yes' } }),
      403,
    ],
    ['something else was shown', () => approve(ann, { ...form, shown: other }), 409],
    [
      'something else is sent than was shown',
      () => approve(ann, form, { sent: { shown: other } }),
      409,
    ],
    ['no choice', () => approve(ann, { ...form, remember: undefined }), 400],
    [
      "another owner's passkey",
      async () => send({ passkey: JSON.stringify(bob.passkey.get(await optionsOf())) }),
      403,
    ],
    [
      'an assertion for confirming',
      async () => {
        const options = (await ann.post('/account/confirm/options')).json()
        return send({ passkey: JSON.stringify(ann.passkey.get(options)) })
      },
      403,
    ],
    [
      'a confirmation with an assertion for approving',
      async () => {
        const passkey = JSON.stringify(ann.passkey.get(await optionsOf()))
        return ann.post('/account/confirm', { passkey })
      },
      403,
    ],
    [
      'no session',
      async () =>
        app.inject({
          method: 'POST',
          url: `${path}/approve`,
          headers: {
            origin: 'http://localhost:8080',
            'content-type': 'application/x-www-form-urlencoded',
          },
          payload: encode({
            ...form,
            passkey: JSON.stringify(ann.passkey.get(await optionsOf())),
          }),
        }),
      303,
    ],
  ]
  for (const [title, attempt, status] of refused) {
    t.equal((await attempt()).statusCode, status, title)
  }
  t.match((await app.approvals.find(request_id, ann.agent.agent_id))?.status, 'pending')
  t.same(await app.store.approvals.listProofs(ann.owner_id), [])

  const passkey = JSON.stringify(ann.passkey.get(await optionsOf()))
  t.equal((await send({ passkey, shown })).statusCode, 303, 'the good answer still works')
  t.equal((await send({ passkey })).statusCode, 404, 'and works once')
})

t.test('what waits is not there once its time has passed', async (t) => {
  const { ann, clock } = await createWorld(t)
  const form = await readForm(ann)
  clock.advance(600)
  t.equal((await approve(ann, form)).statusCode, 404)
  t.match((await ann.get('/account/approvals')).body, 'Nothing waits for you')
})
