import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { shownName } from '../../schemas/name.ts'
import type { OwnerSession, Passkey } from '../core/core.ts'
import { OAuthError } from '../core/http/errors.ts'
import type { SignedIn } from '../core/persons/sessions.ts'
import { sendFramed } from '../pages/frame.ts'
import { answerPersonError } from '../pages/person-errors.ts'

const NOTICES: Record<string, string> = {
  added: 'The passkey was added.',
  renamed: 'The passkey has its new name.',
  removed: 'The passkey was removed.',
  ended: 'The session was ended.',
  others: 'All other sessions were ended.',
  mail: 'Sign-in by mailed codes was changed.',
  verified: 'The address is verified: the agents that bear it are yours.',
}

const SESSION_METHODS: Record<OwnerSession['method'], string> = {
  passkey: 'a passkey',
  mail: 'a mailed code',
  invitation: 'an invitation',
}

/** /account/security: the owner's passkeys and sessions, the address, and mailed codes. */
const security: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  const { ISSUER } = app.settings

  app.get(
    '/account/security',
    { schema: { hide: true, querystring: Done } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOwner(request)
      const { owner_id } = signedIn.owner
      const [passkeys, sessions] = await Promise.all([
        app.store.passkeys.listOfOwner(owner_id),
        app.store.ownerSessions.listOfOwner(owner_id, app.clock.now(), app.sessions.limits),
      ])
      return sendFramed(app, reply, {
        title: 'Security',
        signedIn,
        section: 'account/security',
        notice: NOTICES[String(request.query.done)],
        main: [
          passkeyList(passkeys, app.passkeys.rp_id),
          sessionList(sessions, signedIn),
          addressPart(signedIn, app.mailCodes.works),
          mailPart(signedIn, app.mailCodes.works),
        ].join(''),
      })
    },
  )

  app.post(
    '/account/security/sessions/:session_id/end',
    { schema: { hide: true, params: SessionId } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const { owner } = await app.sessions.assertOwner(request)
      const ended = await app.store.ownerSessions.end(owner.owner_id, request.params.session_id)
      if (!ended) throw new OAuthError('not_found', 'There is no such session')
      return reply.redirect(`${ISSUER}/account/security?done=ended`, 303)
    },
  )

  app.post(
    '/account/security/sessions/end-others',
    { schema: { hide: true } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const { owner, session } = await app.sessions.assertOwner(request)
      await app.store.ownerSessions.endAll(owner.owner_id, session.session_id)
      return reply.redirect(`${ISSUER}/account/security?done=others`, 303)
    },
  )
}

const Done = Type.Object({ done: Type.Optional(Type.Unknown()) })
const SessionId = Type.Object({ session_id: Type.String({ maxLength: 100 }) })

function passkeyList(passkeys: Passkey[], rp_id: string | undefined): string {
  const rows = passkeys.map(
    ({ credential_id, name, created_at, last_used_at, rp_id: host }) =>
      html`<tr><th scope="row"><bdi>${shownName(name)}</bdi>!${host === rp_id ? '' : html` <span class="tag bad">lost</span><span class="hint">It is for ${host}, where this server was before, and no longer works.</span>`}</th>
<td>!${at(created_at)}</td><td>!${last_used_at === null ? 'never' : at(last_used_at)}</td>
<td><a href="account/security/passkeys/${credential_id}" aria-label="Change ${shownName(name)}">Change</a></td></tr>`,
  )
  const list =
    rows.length === 0
      ? '<p>You have no passkey yet.</p>'
      : html`<div class="scroll"><table><thead><tr><th scope="col">Name</th><th scope="col">Added</th><th scope="col">Last used</th><th scope="col">Change it</th></tr></thead>
<tbody>!${rows.join('')}</tbody></table></div>`
  return html`<h2>Passkeys</h2>
<p>With a passkey you sign in, and approve what no agent may approve for you.</p>
!${list}
!${
    rp_id === undefined
      ? '<p class="caution">This server is reached by an address, and passkeys need a name. You confirm with mailed codes in their place.</p>'
      : '<p><a class="button" href="account/security/passkeys/new">Add a passkey</a></p>'
  }`
}

function sessionList(sessions: OwnerSession[], { session: own }: SignedIn): string {
  const rows = sessions.map(
    ({ session_id, browser, address, method, created_at, seen_at }) =>
      html`<tr><th scope="row">${browser ?? 'Some browser'}!${session_id === own.session_id ? ' <span class="tag good">this one</span>' : ''}<span class="hint">${address ?? ''}</span></th>
<td>!${at(created_at)}<span class="hint">with ${SESSION_METHODS[method]}</span></td><td>!${at(seen_at)}</td>
<td><form method="post" action="account/security/sessions/${session_id}/end"><button class="danger" data-action="end-session" aria-label="End the session of ${browser ?? 'some browser'} since ${iso(created_at)}">End</button></form></td></tr>`,
  )
  return html`<h2>Sessions</h2>
<p>The browsers in which you are signed in. End those that are not yours.</p>
<div class="scroll"><table><thead><tr><th scope="col">Browser</th><th scope="col">Signed in</th><th scope="col">Last used</th><th scope="col">End it</th></tr></thead>
<tbody>!${rows.join('')}</tbody></table></div>
!${sessions.length < 2 ? '' : '<form method="post" action="account/security/sessions/end-others"><button class="danger" data-action="end-other-sessions">End all other sessions</button></form>'}`
}

function addressPart({ owner }: SignedIn, canMail: boolean): string {
  const state = owner.email_verified
    ? html`<p><strong>${owner.email}</strong> <span class="tag good">verified</span></p>
<p>The agents that bear this address are yours.</p>`
    : html`<p><strong>${owner.email}</strong> <span class="tag">not verified</span></p>
<p>The agents that bear this address become yours when you answer a mail to it.</p>
!${
        canMail
          ? '<form method="post" action="account/security/address"><button data-action="verify-address">Mail me a code</button></form>'
          : html`<p class="quiet">This server sends no mail. Its operator can vouch for the address: <code>auth-agent owner verify ${owner.owner_id}</code></p>`
      }`
  return html`<h2>E-mail address</h2>!${state}`
}

function mailPart({ owner }: SignedIn, canMail: boolean): string {
  return html`<h2>Mailed codes</h2>
<p>!${
    owner.mail_sign_in
      ? 'A code that is mailed to you signs you in too: whoever reads your mail, an agent for instance, can do it.'
      : 'Only a passkey signs you in.'
  }${canMail ? '' : ' This server sends no mail at present.'}</p>
<p><a class="button quiet" href="account/security/mail">Change this</a></p>`
}

function iso(seconds: number): string {
  return new Date(seconds * 1000).toISOString()
}

function at(seconds: number): string {
  const text = iso(seconds)
  return html`<time datetime="${text}">${text.slice(0, 16).replace('T', ' ')} UTC</time>`
}

export default fp(security, {
  name: 'account/security',
  encapsulate: true,
  decorators: {
    fastify: ['clock', 'mailCodes', 'ownOrigin', 'passkeys', 'sessions', 'settings', 'store'],
  },
})
