import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { codeForm } from '../pages/code-form.ts'
import { sendFramed } from '../pages/frame.ts'
import { answerPersonError } from '../pages/person-errors.ts'

/** /account/security/mail and /address: mailed codes on or off, and the address verified by one. */
const securityMail: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  const { ISSUER } = app.settings

  app.get('/account/security/mail', { schema: { hide: true } }, async (request, reply) => {
    const signedIn = await app.sessions.assertOwner(request)
    app.sessions.assertFreshPasskey(signedIn)
    const { mail_sign_in, owner_id } = signedIn.owner
    const isLast = mail_sign_in && (await app.passkeys.listUsable(owner_id)).length === 0
    return sendFramed(app, reply, {
      title: 'Mailed codes',
      signedIn,
      section: 'account/security',
      main: html`<form class="card" method="post" action="account/security/mail">
<input type="hidden" name="mail_sign_in" value="${mail_sign_in ? 'off' : 'on'}">
<p>${
        mail_sign_in
          ? 'A code that is mailed to you signs you in. Switch it off where somebody else, such as an agent, reads your mail.'
          : 'No code is mailed to you. Switched on, whoever reads your mail can sign in to your account, though without a passkey nothing dangerous can be done in it.'
      }</p>
!${
        isLast
          ? html`<p class="caution">This is the last way in to your account. Without it you cannot sign in until whoever runs this server sends you a new invitation.</p>
<p><label class="choice"><input type="checkbox" name="even_if_last" value="yes" required> <span>Switch it off all the same</span></label></p>`
          : ''
      }
<button!${mail_sign_in ? ' class="danger"' : ''} data-action="change-mail-sign-in">Switch mailed codes ${mail_sign_in ? 'off' : 'on'}</button>
</form>
<p><a href="account/security">Back to Security</a></p>`,
    })
  })

  app.post(
    '/account/security/mail',
    { schema: { hide: true, body: MailSignIn } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const signedIn = await app.sessions.assertOwner(request)
      app.sessions.assertFreshPasskey(signedIn)
      const { mail_sign_in, even_if_last } = request.body
      const { owner_id } = signedIn.owner
      await app.owners.setMailSignIn(owner_id, mail_sign_in === 'on', {
        by: owner_id,
        address: request.ip,
        even_if_last: even_if_last === 'yes',
      })
      return reply.redirect(`${ISSUER}/account/security?done=mail`, 303)
    },
  )

  app.post('/account/security/address', { schema: { hide: true } }, async (request, reply) => {
    app.ownOrigin.assert(request)
    const { owner } = await app.sessions.assertOwner(request)
    await app.mailCodes.ask('verify', owner.email, request, reply)
    return reply.redirect(`${ISSUER}/account/security/address`, 303)
  })

  app.get('/account/security/address', { schema: { hide: true } }, async (request, reply) => {
    const signedIn = await app.sessions.assertOwner(request)
    return sendFramed(app, reply, {
      title: 'Verify your address',
      signedIn,
      section: 'account/security',
      main: html`<p>A code is on its way to ${signedIn.owner.email}. It works within ten minutes, in this browser.</p>
!${codeForm({
        action: 'account/security/address/code',
        button: 'Verify',
        dataAction: 'verify-address',
      })}
<p><a href="account/security">Back to Security</a></p>`,
    })
  })

  app.post(
    '/account/security/address/code',
    { schema: { hide: true, body: Code } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      await app.sessions.assertOwner(request)
      const { owner_id } = await app.mailCodes.verify('verify', request.body.code, request, reply)
      const event = { event: 'owner', outcome: 'verified', owner_id } as const
      await app.audit.record({ ...event, address: request.ip })
      return reply.redirect(`${ISSUER}/account/security?done=verified`, 303)
    },
  )
}

const MailSignIn = Type.Object({
  mail_sign_in: Type.Union([Type.Literal('on'), Type.Literal('off')]),
  even_if_last: Type.Optional(Type.Literal('yes')),
})
const Code = Type.Object({ code: Type.String({ maxLength: 20 }) })

export default fp(securityMail, {
  name: 'account/security-mail',
  encapsulate: true,
  decorators: {
    fastify: ['audit', 'mailCodes', 'ownOrigin', 'owners', 'passkeys', 'sessions', 'settings'],
  },
})
