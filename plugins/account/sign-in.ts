import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { sendFramed } from '../pages/frame.ts'
import { passkeyScript } from '../pages/passkey-script.ts'
import { answerPersonError, readNext } from '../pages/person-errors.ts'

/** The pages where an owner signs in: /account/sign-in. */
const signIn: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  const { ISSUER } = app.settings

  app.get(
    '/account/sign-in',
    { schema: { hide: true, querystring: Next } },
    async (request, reply) => {
      const next = readNext(request.query.next)
      if ((await app.sessions.find(request)) !== undefined) {
        return reply.redirect(`${ISSUER}/${next}`, 303)
      }
      return sendFramed(app, reply, {
        title: 'Sign in',
        main: passkeyForm(next),
        script: passkeyScript,
      })
    },
  )

  app.post('/account/sign-in/options', { schema: { hide: true } }, async (request) => {
    app.ownOrigin.assert(request)
    app.strangers.admitSignIn(request.ip)
    return await app.passkeys.requestOptions('sign-in')
  })

  app.post('/account/sign-in', { schema: { hide: true, body: Body } }, async (request, reply) => {
    app.ownOrigin.assert(request)
    const { owner_id } = await app.passkeys.verify('sign-in', request.body.passkey)
    await app.sessions.start(owner_id, 'passkey', request, reply)
    return reply.redirect(`${ISSUER}/${readNext(request.body.next)}`, 303)
  })
}

const Next = Type.Object({ next: Type.Optional(Type.Unknown()) })
const Body = Type.Object({
  passkey: Type.Optional(Type.String()),
  next: Type.Optional(Type.Unknown()),
})

function passkeyForm(next: string): string {
  return html`<form class="card" method="post" action="account/sign-in" data-passkey-options="account/sign-in/options" data-passkey-verify="account/sign-in">
<input type="hidden" name="next" value="${next}">
<p>Your passkey is on this device, on your telephone or in your password manager.</p>
<button data-action="sign-in-with-passkey">Sign in with a passkey</button>
<noscript><p>A passkey needs JavaScript, which is off in this browser.</p></noscript>
</form>`
}

export default fp(signIn, {
  name: 'account/sign-in',
  encapsulate: true,
  decorators: { fastify: ['ownOrigin', 'passkeys', 'sessions', 'settings', 'strangers'] },
})
