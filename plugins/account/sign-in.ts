import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { codeForm } from '../pages/code-form.ts'
import { sendFramed } from '../pages/frame.ts'
import { passkeyScript } from '../pages/passkey-script.ts'
import { answerPersonError, readNext } from '../pages/person-errors.ts'

/** /account/sign-in: an owner signs in with a passkey, or with a code that is mailed. */
const signIn: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  const { ISSUER, OWNER_REGISTRATION } = app.settings
  const open = OWNER_REGISTRATION === 'open'

  app.get(
    '/account/sign-in',
    { schema: { hide: true, querystring: Next } },
    async (request, reply) => {
      const next = readNext(request.query.next)
      if ((await app.sessions.find(request)) !== undefined) {
        return reply.redirect(`${ISSUER}/${next}`, 303)
      }
      const { obstacle } = app.owners
      return sendFramed(app, reply, {
        title: 'Sign in',
        main: html`!${obstacle === undefined ? '' : html`<p class="caution">${obstacle}.</p>`}
!${app.passkeys.works ? passkeyForm(next) : ''}
!${app.mailCodes.works ? mailForm(next, open) : ''}
<p class="quiet">${open ? '' : 'An account is by invitation of whoever runs this server. '}If you have lost your passkey, ask for a new invitation.</p>`,
        script: passkeyScript,
      })
    },
  )

  app.post('/account/sign-in/options', { schema: { hide: true } }, async (request) => {
    app.ownOrigin.assert(request)
    app.strangers.admitSignIn(request.ip)
    return await app.passkeys.requestOptions('sign-in')
  })

  app.post(
    '/account/sign-in',
    { schema: { hide: true, body: Assertion } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      app.strangers.admitSignIn(request.ip)
      const { owner_id } = await app.passkeys.verify('sign-in', request.body.passkey)
      await app.sessions.start(owner_id, 'passkey', request, reply)
      await recordSignIn(owner_id, 'passkey', request.ip)
      return reply.redirect(`${ISSUER}/${readNext(request.body.next)}`, 303)
    },
  )

  app.post(
    '/account/sign-in/mail',
    { schema: { hide: true, body: Address } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      app.strangers.admitSignIn(request.ip)
      await app.mailCodes.ask('sign-in', request.body.email, request, reply)
      const query = new URLSearchParams({ next: readNext(request.body.next) })
      return reply.redirect(`${ISSUER}/account/sign-in/code?${query}`, 303)
    },
  )

  app.get(
    '/account/sign-in/code',
    { schema: { hide: true, querystring: Next } },
    async (request, reply) =>
      sendFramed(app, reply, {
        title: 'Enter the code',
        main: html`<p>If the address ${open ? 'can get' : 'is that of an account that takes'} mailed codes, one is on its way. It works within ten minutes, in this browser.</p>
!${codeForm({
          action: 'account/sign-in/code',
          next: readNext(request.query.next),
          button: 'Sign in',
          dataAction: 'sign-in-with-code',
        })}
<p><a href="account/sign-in">Sign in in another way</a></p>`,
      }),
  )

  app.post(
    '/account/sign-in/code',
    { schema: { hide: true, body: Code } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const { code, next } = request.body
      const owner = await app.mailCodes.verify('sign-in', code, request, reply)
      await app.sessions.start(owner.owner_id, 'mail', request, reply)
      await recordSignIn(owner.owner_id, 'mail', request.ip)
      return reply.redirect(`${ISSUER}/${readNext(next)}`, 303)
    },
  )

  function recordSignIn(owner_id: string, method: string, address: string): Promise<void> {
    return app.audit.record({ event: 'owner', outcome: 'signed_in', owner_id, method, address })
  }
}

const NextPage = Type.Optional(Type.Unknown())
const Next = Type.Object({ next: NextPage })
const Assertion = Type.Object({ passkey: Type.Optional(Type.String()), next: NextPage })
const Address = Type.Object({ email: Type.String({ maxLength: 320 }), next: NextPage })
const Code = Type.Object({ code: Type.String({ maxLength: 20 }), next: NextPage })

function passkeyForm(next: string): string {
  return html`<form class="card" method="post" action="account/sign-in" data-passkey-options="account/sign-in/options" data-passkey-verify="account/sign-in">
<input type="hidden" name="next" value="${next}">
<p>Your passkey is on this device, on your telephone or in your password manager.</p>
<button data-action="sign-in-with-passkey">Sign in with a passkey</button>
<noscript><p>A passkey needs JavaScript, which is off in this browser.</p></noscript>
</form>`
}

function mailForm(next: string, open: boolean): string {
  return html`<form class="card" method="post" action="account/sign-in/mail">
<input type="hidden" name="next" value="${next}">
<div class="field"><label for="email">E-mail address</label>
<input id="email" name="email" type="email" maxlength="254" autocomplete="email" required></div>
!${open ? html`<p class="quiet">If you have no account here yet, this makes one.</p>` : ''}
<button class="quiet" data-action="mail-code">Mail me a code</button>
</form>`
}

export default fp(signIn, {
  name: 'account/sign-in',
  encapsulate: true,
  decorators: {
    fastify: [
      'audit',
      'mailCodes',
      'ownOrigin',
      'owners',
      'passkeys',
      'sessions',
      'settings',
      'strangers',
    ],
  },
})
