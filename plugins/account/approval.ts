import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { OAuthError } from '../core/http/errors.ts'
import { findOwnAgent } from '../core/persons/own-agent.ts'
import type { AskedOwner } from '../core/sign-in/approvals.ts'
import { sendFramed } from '../pages/frame.ts'
import { agentName } from '../pages/names.ts'
import { passkeyScript } from '../pages/passkey-script.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { cautions, rowsOf } from '../pages/sign-in-rows.ts'
import { timeElement } from '../pages/time.ts'

/**
 * /account/approvals/:request_id: one sign-in that waits for its owner. To approve it takes an assertion
 * of a passkey that is bound to all that the page shows; to deny it, the session.
 */
const approval: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get(
    '/account/approvals/:request_id',
    { schema: { hide: true, params: Params, querystring: Query } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOwner(request)
      const { request_id } = request.params
      const { agent_id } = request.query
      const asked = await app.approvals.findAsked(signedIn.owner.owner_id, { request_id, agent_id })
      const agent = await findOwnAgent(app, signedIn, asked.approval.agent_id)
      return sendFramed(app, reply, {
        title: `Sign in to ${asked.description.redirect_host}?`,
        signedIn,
        section: 'account/approvals',
        main: page(asked, agentName(agent), app.passkeys.works),
        script: passkeyScript,
      })
    },
  )

  app.post(
    '/account/approvals/:request_id/options',
    { schema: { hide: true, params: Params, body: Answer } },
    async (request) => {
      app.ownOrigin.assert(request)
      const { owner } = await app.sessions.assertOwner(request)
      const { subject } = await readAnswer(owner.owner_id, request)
      return await app.passkeys.requestOptions('approve', { owner_id: owner.owner_id, subject })
    },
  )

  app.post(
    '/account/approvals/:request_id/approve',
    { schema: { hide: true, params: Params, body: Answer } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const { owner } = await app.sessions.assertOwner(request)
      const { owner_id } = owner
      const { asked, subject, remember } = await readAnswer(owner_id, request)
      const { passkey } = request.body
      const { proof } = await app.passkeys.verify('approve', passkey, { owner_id, subject })
      await app.approvals.approveAsOwner(owner_id, asked, remember, { subject, proof })
      return reply.redirect(`${app.settings.ISSUER}/account/approvals?done=approved`, 303)
    },
  )

  app.post(
    '/account/approvals/:request_id/deny',
    { schema: { hide: true, params: Params, body: Deny } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const { owner } = await app.sessions.assertOwner(request)
      const { request_id } = request.params
      await app.approvals.denyAsOwner(owner.owner_id, request_id, request.body.agent_id)
      return reply.redirect(`${app.settings.ISSUER}/account/approvals?done=denied`, 303)
    },
  )

  /** What the form says, which has to be about what the page shows. */
  async function readAnswer(
    owner_id: string,
    { params, body }: { params: typeof Params.static; body: typeof Answer.static },
  ) {
    const { request_id } = params
    const { agent_id, shown, remember: choice } = body
    if (choice !== 'yes' && choice !== 'no') {
      throw new OAuthError('invalid_request', 'Choose whether it is remembered')
    }
    const remember = choice === 'yes'
    const asked = await app.approvals.findAsked(owner_id, { request_id, agent_id })
    return { asked, remember, subject: app.approvals.toSubject(asked, shown, remember) }
  }
}

const Params = Type.Object({ request_id: Type.String() })
const Query = Type.Object({ agent_id: Type.Optional(Type.String()) })
const Deny = Type.Object({ agent_id: Type.String() })
const Answer = Type.Object({
  agent_id: Type.String(),
  shown: Type.String(),
  remember: Type.Optional(Type.String()),
  passkey: Type.Optional(Type.String()),
})

function page({ approval, description, shown }: AskedOwner, name: string, works: boolean): string {
  const { agent_id, expires_at } = approval
  const path = `account/approvals/${approval.request_id}`
  return html`<p><bdi>${name}</bdi> asks to sign in for you, until !${timeElement(expires_at)}. Approve it only if you want that: no agent can do it for you.</p>
!${cautions(description)}
<dl class="card">!${rowsOf(description, 'first')}
!${rowsOf(description, 'more')}</dl>
!${works ? approveForm(approval, path, shown) : WITHOUT_PASSKEYS}
<form class="card" method="post" action="${path}/deny"><input type="hidden" name="agent_id" value="${agent_id}">
<p>If you did not expect this, deny it: nobody is signed in.</p>
<button class="danger" data-action="deny">Deny</button></form>`
}

function approveForm(
  { agent_id, remember }: AskedOwner['approval'],
  path: string,
  shown: string,
): string {
  const choice = (value: string, checked: boolean, label: string) =>
    html`<label class="choice"><input type="radio" name="remember" value="${value}"!${checked ? ' checked' : ''}> <span>${label}</span></label>`
  return html`<form class="card" method="post" action="${path}/approve" data-passkey-options="${path}/options" data-passkey-verify="${path}/approve">
<input type="hidden" name="agent_id" value="${agent_id}"><input type="hidden" name="shown" value="${shown}">
<fieldset><legend>For how long</legend>!${choice('no', remember === 0, 'This once')}
!${choice('yes', remember === 1, 'Remember it: this agent may have the same here again without asking')}</fieldset>
<button data-action="approve">Approve with your passkey</button>
<noscript><p class="hint">A passkey needs JavaScript, which is off in this browser.</p></noscript></form>`
}

const WITHOUT_PASSKEYS =
  '<p class="caution">The address of this server is a number, for which there are no passkeys. Only the mailed code, or the operator on the command line, can approve.</p>'

export default fp(approval, {
  name: 'account/approval',
  encapsulate: true,
  decorators: {
    fastify: ['approvals', 'ownOrigin', 'passkeys', 'sessions', 'settings', 'store'],
  },
})
