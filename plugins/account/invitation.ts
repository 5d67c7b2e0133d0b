import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { sendFramed } from '../pages/frame.ts'
import { passkeyScript } from '../pages/passkey-script.ts'
import { answerPersonError } from '../pages/person-errors.ts'

/**
 * /account/invitation: who is invited makes a passkey and is signed in with it. Opening the page spends
 * nothing; the link is spent together with the passkey that it makes, or not at all.
 */
const invitation: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get(
    '/account/invitation',
    { schema: { hide: true, querystring: Invited } },
    async (request, reply) => {
      app.strangers.admitSignIn(request.ip)
      const { token } = request.query
      const { owner, expires_at } = await app.owners.findInvited(token)
      const until = new Date(expires_at * 1000).toISOString()
      return sendFramed(app, reply, {
        title: 'You are invited',
        main: html`<p>This link opens the account of <strong>${owner.email}</strong>${owner.operator ? ', who may administer this server' : ''}. There the owner sees and decides what the agents of this address may do.</p>
!${app.owners.obstacle === undefined ? '' : html`<p class="caution">${app.owners.obstacle}.</p>`}
!${app.passkeys.works ? passkeyForm(token) : ''}
!${app.mailCodes.works && owner.mail_sign_in ? mailForm(token, app.passkeys.works) : ''}
<p class="quiet">The link works once, until <time datetime="${until}">${until.slice(0, 16).replace('T', ' ')} UTC</time>. If you did not expect it, close the page: nothing happens.</p>`,
        script: passkeyScript,
      })
    },
  )

  app.post(
    '/account/invitation/options',
    { schema: { hide: true, body: Invited } },
    async (request) => {
      app.ownOrigin.assert(request)
      app.strangers.admitSignIn(request.ip)
      const { owner } = await app.owners.findInvited(request.body.token)
      return await app.passkeys.registrationOptions(owner.owner_id)
    },
  )

  app.post(
    '/account/invitation',
    { schema: { hide: true, body: Accepted } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      app.strangers.admitSignIn(request.ip)
      const { token, name = 'Passkey', passkey, way } = request.body
      const made = way === 'mail' ? undefined : { name, response: passkey }
      await app.owners.acceptInvitation(token, made, request, reply)
      return reply.redirect(`${app.settings.ISSUER}/account`, 303)
    },
  )
}

const Token = Type.String({ maxLength: 100 })
const Invited = Type.Object({ token: Token })
const Accepted = Type.Object({
  token: Token,
  name: Type.Optional(Type.String({ maxLength: 1024 })),
  passkey: Type.Optional(Type.String()),
  way: Type.Optional(Type.Literal('mail')),
})

function passkeyForm(token: string): string {
  return html`<form class="card" method="post" action="account/invitation" data-passkey-kind="create" data-passkey-options="account/invitation/options" data-passkey-verify="account/invitation">
<input type="hidden" name="token" value="${token}">
<h2>Make a passkey</h2>
<p>You will sign in with it from now on, by a fingerprint, a face or a PIN. It stays on this device or in your password manager, and no agent can use it for you.</p>
<div class="field"><label for="name">What to call it <span class="hint">so that you know it again, such as Laptop</span></label>
<input id="name" name="name" value="Passkey" maxlength="80" required autocomplete="off"></div>
<button data-action="create-passkey">Make a passkey and sign in</button>
<noscript><p>A passkey needs JavaScript, which is off in this browser.</p></noscript>
</form>`
}

function mailForm(token: string, beside: boolean): string {
  return html`<form class="card" method="post" action="account/invitation">
<input type="hidden" name="token" value="${token}">
<input type="hidden" name="way" value="mail">
<h2>${beside ? 'Without a passkey' : 'Sign in'}</h2>
<p>You will sign in with codes that are mailed to you. ${beside ? 'What is dangerous needs a passkey, which you can make later.' : ''}</p>
<button!${beside ? ' class="quiet"' : ''} data-action="accept-invitation">Sign in without a passkey</button>
</form>`
}

export default fp(invitation, {
  name: 'account/invitation',
  encapsulate: true,
  decorators: {
    fastify: ['mailCodes', 'ownOrigin', 'owners', 'passkeys', 'settings', 'strangers'],
  },
})
