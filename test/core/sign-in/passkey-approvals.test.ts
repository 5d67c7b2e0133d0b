import type { FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { authenticate, open, signInOwner } from '../../harness.ts'
import { createWorld } from './approval-world.ts'

/** An agent whose owner approves with a passkey. */
async function setUp(t: Test) {
  const world = await createWorld(t, { ISSUER: 'https://auth.example' })
  const { app, agent } = world
  const { owner } = await signInOwner(app)
  await app.policies.changeAgent(agent.agent_id, { approval: 'passkey' })
  return { ...world, owner_id: owner.owner_id }
}

const proof = { subject: '{}', proof: '{"signature":"x"}' }

/** The owner's answer on the page, whose passkey was verified. */
async function approve(
  app: FastifyInstance,
  owner_id: string,
  request_id: string,
  remember = false,
) {
  const asked = await app.approvals.findAsked(owner_id, { request_id })
  return await app.approvals.approveAsOwner(owner_id, asked, remember, proof)
}

t.test('with approval: passkey no digits are made or mailed, but a link', async (t) => {
  const { app, site, agent, mails, owner_id, guess, verify } = await setUp(t)
  const { request_id } = await open(app, site)
  const asked = await authenticate(app, request_id, agent)
  const page = `https://auth.example/account/approvals/${request_id}?agent_id=${agent.agent_id}`
  t.match(asked.json(), { status: 'requires_2fa', requires_2fa: true })
  t.match(asked.json().message, page)
  t.equal(mails.length, 1)
  const mail = mails[0]?.replaceAll('=3D', '=') ?? ''
  t.match(mail, page)
  t.notMatch(mail, 'Example Site', 'nothing that others chose')
  const [, ...body] = mail.split('\r\n\r\n')
  t.notMatch(body.join(' ').replaceAll(request_id, '').replaceAll(agent.agent_id, ''), /\d{6}/)

  t.equal((await guess(request_id, '123456')).json().status, 'requires_2fa', 'no code is good')
  t.equal((await verify(request_id, '123456')).json().error, 'invalid_grant')
  t.equal((await authenticate(app, request_id, agent)).json().status, 'requires_2fa')
  t.equal(mails.length, 1, 'one mail')

  t.match(await approve(app, owner_id, request_id), { status: 'approved' })
  t.match(await app.store.approvals.listProofs(owner_id), [proof])
  const [event] = await app.store.events.list({ limit: 1 })
  t.match(event, { event: 'approval', outcome: 'approved', owner_id, method: 'passkey' })
  t.equal((await authenticate(app, request_id, agent)).json().status, 'authenticated')
  await t.rejects(approve(app, owner_id, request_id), { code: 'not_found' })
})

t.test('nobody but the owner approves it', async (t) => {
  const { app, site, agent, owner_id } = await setUp(t)
  const { owner: other } = await signInOwner(app, { owner_id: 'owner_2', email: 'b@example.com' })
  const { request_id } = await open(app, site)
  await authenticate(app, request_id, agent)
  await t.rejects(app.approvals.approve(request_id), { code: 'access_denied' }, 'the operator')
  await t.rejects(approve(app, other.owner_id, request_id), { code: 'not_found' })
  const forged = await app.store.approvals.answer(
    { request_id, agent_id: agent.agent_id },
    { status: 'approved' },
    app.clock.now(),
    app.audit.toRow({ event: 'approval', outcome: 'approved' }),
  )
  t.equal(forged, undefined, 'the write itself decides')
  t.equal((await authenticate(app, request_id, agent)).json().status, 'requires_2fa')

  await app.approvals.denyAsOwner(owner_id, request_id)
  t.match((await authenticate(app, request_id, agent)).json(), { reason: 'owner' })
  const second = await open(app, site)
  await authenticate(app, second.request_id, agent)
  t.equal((await app.approvals.deny(second.request_id)).status, 'denied', 'the operator may deny')
})

t.test('what the owner approves can be remembered', async (t) => {
  const { app, site, agent, owner_id } = await setUp(t)
  const { request_id } = await open(app, site)
  await authenticate(app, request_id, agent)
  await approve(app, owner_id, request_id, true)
  await authenticate(app, request_id, agent)
  const next = await open(app, site)
  t.equal((await authenticate(app, next.request_id, agent)).json().status, 'authenticated')
})

t.test('a code that was mailed before is good no more when a passkey is demanded', async (t) => {
  const { app, site, agent, guess, code } = await createWorld(t)
  await signInOwner(app)
  const { request_id } = await open(app, site)
  await authenticate(app, request_id, agent)
  await app.policies.changeAgent(agent.agent_id, { approval: 'passkey' })
  t.equal((await guess(request_id, code())).json().status, 'requires_2fa')
  await app.policies.changeAgent(agent.agent_id, { approval: 'mail' })
  const next = await open(app, site)
  await authenticate(app, next.request_id, agent)
  t.equal((await guess(next.request_id, code())).json().status, 'authenticated')
})

t.test('an agent without an owner cannot be given the policy, nor ask under it', async (t) => {
  const { app, site, agent } = await createWorld(t)
  await t.rejects(app.policies.changeAgent(agent.agent_id, { approval: 'passkey' }), {
    code: 'invalid_request',
  })
  const { owner } = await signInOwner(app)
  await app.policies.changeAgent(agent.agent_id, { approval: 'passkey' })
  await app.registration.updateAgent(agent.agent_id, { email: 'other@example.com' })
  t.equal((await app.store.agents.find(agent.agent_id))?.owner_id, null)
  t.ok(owner)
  const { request_id } = await open(app, site)
  const refused = await authenticate(app, request_id, agent)
  t.equal(refused.statusCode, 403)
  t.match(refused.json().error_description, 'belongs to no owner')
})
