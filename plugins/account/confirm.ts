import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { codeForm } from '../pages/code-form.ts'
import { sendFramed } from '../pages/frame.ts'
import { passkeyScript } from '../pages/passkey-script.ts'
import { answerPersonError, readNext } from '../pages/person-errors.ts'

/**
 * /account/confirm: the owner proves to be there before something dangerous, and goes on to `next`:
 * with a passkey, or, where there can be none yet, with a mailed code.
 */
const confirm: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  const { ISSUER } = app.settings

  app.get(
    '/account/confirm',
    { schema: { hide: true, querystring: Asked } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOwner(request)
      const { owner } = signedIn
      const next = readNext(request.query.next)
      const hasPasskey = (await app.passkeys.listUsable(owner.owner_id)).length > 0
      const byMail = !app.passkeys.works || request.query.by === 'mail'
      return sendFramed(app, reply, {
        title: 'Confirm that it is you',
        signedIn,
        main: hasPasskey
          ? passkeyForm(next)
          : !byMail
            ? html`<div class="card"><p>What comes next needs a passkey, and you have none here yet.</p>
<p><a class="button" href="account/security/passkeys/new">Make a passkey</a></p></div>`
            : app.mailCodes.works && owner.mail_sign_in
              ? mailForm(next, owner.email)
              : html`<p class="caution">${app.owners.obstacle ?? 'You have no passkey, and no code can be mailed to you: ask whoever runs this server for a new invitation'}.</p>`,
        script: passkeyScript,
      })
    },
  )

  app.post('/account/confirm/options', { schema: { hide: true } }, async (request) => {
    app.ownOrigin.assert(request)
    const { owner } = await app.sessions.assertOwner(request)
    return await app.passkeys.requestOptions('confirm', { owner_id: owner.owner_id })
  })

  app.post(
    '/account/confirm',
    { schema: { hide: true, body: Assertion } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const signedIn = await app.sessions.assertOwner(request)
      const { owner_id } = signedIn.owner
      await app.passkeys.verify('confirm', request.body.passkey, { owner_id })
      await app.sessions.prove(signedIn, 'passkey')
      return reply.redirect(`${ISSUER}/${readNext(request.body.next)}`, 303)
    },
  )

  app.post(
    '/account/confirm/mail',
    { schema: { hide: true, body: Next } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const { owner } = await app.sessions.assertOwner(request)
      await app.mailCodes.ask('confirm', owner.email, request, reply)
      const query = new URLSearchParams({ next: readNext(request.body.next) })
      return reply.redirect(`${ISSUER}/account/confirm/code?${query}`, 303)
    },
  )

  app.get(
    '/account/confirm/code',
    { schema: { hide: true, querystring: Next } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOwner(request)
      return sendFramed(app, reply, {
        title: 'Enter the code',
        signedIn,
        main: html`<p>A code is on its way to ${signedIn.owner.email}. It works within ten minutes, in this browser.</p>
!${codeForm({
          action: 'account/confirm/code',
          next: readNext(request.query.next),
          button: 'Confirm',
          dataAction: 'confirm-with-code',
        })}`,
      })
    },
  )

  app.post(
    '/account/confirm/code',
    { schema: { hide: true, body: Code } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const signedIn = await app.sessions.assertOwner(request)
      const { owner_id } = await app.mailCodes.verify('confirm', request.body.code, request, reply)
      if (owner_id === signedIn.owner.owner_id) await app.sessions.prove(signedIn, 'mail')
      return reply.redirect(`${ISSUER}/${readNext(request.body.next)}`, 303)
    },
  )
}

const NextPage = Type.Optional(Type.Unknown())
const Next = Type.Object({ next: NextPage })
const Asked = Type.Object({ next: NextPage, by: Type.Optional(Type.Unknown()) })
const Assertion = Type.Object({ passkey: Type.Optional(Type.String()), next: NextPage })
const Code = Type.Object({ code: Type.String({ maxLength: 20 }), next: NextPage })

function passkeyForm(next: string): string {
  return html`<form class="card" method="post" action="account/confirm" data-passkey-options="account/confirm/options" data-passkey-verify="account/confirm">
<input type="hidden" name="next" value="${next}">
<p>What comes next needs your passkey. It counts for five minutes.</p>
<button data-action="confirm">Confirm with your passkey</button>
<noscript><p>A passkey needs JavaScript, which is off in this browser.</p></noscript>
</form>`
}

function mailForm(next: string, email: string): string {
  return html`<form class="card" method="post" action="account/confirm/mail">
<input type="hidden" name="next" value="${next}">
<p>What comes next needs a code that is mailed to ${email}. It counts for five minutes.</p>
<button data-action="mail-code">Mail me a code</button>
</form>`
}

export default fp(confirm, {
  name: 'account/confirm',
  encapsulate: true,
  decorators: {
    fastify: ['mailCodes', 'ownOrigin', 'owners', 'passkeys', 'sessions', 'settings'],
  },
})
