import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { sendFramed } from '../pages/frame.ts'
import { passkeyScript } from '../pages/passkey-script.ts'
import { answerPersonError, readNext } from '../pages/person-errors.ts'

/** /account/confirm: the owner proves to be there before something dangerous, and goes on to `next`. */
const confirm: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get(
    '/account/confirm',
    { schema: { hide: true, querystring: Next } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOwner(request)
      return sendFramed(app, reply, {
        title: 'Confirm that it is you',
        signedIn,
        main: html`<form class="card" method="post" action="account/confirm" data-passkey-options="account/confirm/options" data-passkey-verify="account/confirm">
<input type="hidden" name="next" value="${readNext(request.query.next)}">
<p>What comes next needs your passkey. It counts for five minutes.</p>
<button data-action="confirm">Confirm with your passkey</button>
<noscript><p>A passkey needs JavaScript, which is off in this browser.</p></noscript>
</form>`,
        script: passkeyScript,
      })
    },
  )

  app.post('/account/confirm/options', { schema: { hide: true } }, async (request) => {
    app.ownOrigin.assert(request)
    const { owner } = await app.sessions.assertOwner(request)
    return await app.passkeys.requestOptions('confirm', { owner_id: owner.owner_id })
  })

  app.post('/account/confirm', { schema: { hide: true, body: Body } }, async (request, reply) => {
    app.ownOrigin.assert(request)
    const signedIn = await app.sessions.assertOwner(request)
    const { owner_id } = signedIn.owner
    await app.passkeys.verify('confirm', request.body.passkey, { owner_id })
    await app.sessions.prove(signedIn, 'passkey')
    return reply.redirect(`${app.settings.ISSUER}/${readNext(request.body.next)}`, 303)
  })
}

const Next = Type.Object({ next: Type.Optional(Type.Unknown()) })
const Body = Type.Object({
  passkey: Type.Optional(Type.String()),
  next: Type.Optional(Type.Unknown()),
})

export default fp(confirm, {
  name: 'account/confirm',
  encapsulate: true,
  decorators: { fastify: ['ownOrigin', 'passkeys', 'sessions', 'settings'] },
})
