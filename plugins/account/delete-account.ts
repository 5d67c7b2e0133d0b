import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { sendFramed } from '../pages/frame.ts'
import { answerPersonError } from '../pages/person-errors.ts'

/** /account/data/delete: the end of an account, with a fresh passkey. */
const deleteAccount: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get('/account/data/delete', { schema: { hide: true } }, async (request, reply) => {
    const signedIn = await app.sessions.assertOwner(request)
    app.sessions.assertFreshPasskey(signedIn)
    return sendFramed(app, reply, {
      title: 'Delete your account?',
      signedIn,
      section: 'account/data',
      main: form(signedIn.owner.email),
    })
  })

  app.post(
    '/account/data/delete',
    { schema: { hide: true, body: Body } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const signedIn = await app.sessions.assertOwner(request)
      app.sessions.assertFreshPasskey(signedIn)
      const { owner_id } = signedIn.owner
      const deletesAgents = request.body.agents === 'delete'
      await app.owners.delete(owner_id, {
        agents: deletesAgents,
        by: owner_id,
        address: request.ip,
      })
      await app.sessions.end(request, reply)
      return sendFramed(app, reply, {
        title: 'Your account is deleted',
        main: html`<p>${deletesAgents ? 'Your agents are deleted with it, and all their sign-ins have ended.' : 'Your agents stay with the operator of this server.'}</p>`,
      })
    },
  )
}

const Body = Type.Object({ agents: Type.Union([Type.Literal('delete'), Type.Literal('keep')]) })

function form(email: string): string {
  return html`<form class="card" method="post" action="account/data/delete">
<p>The account of <bdi>${email}</bdi>, its passkeys and its sessions are removed. This cannot be undone.</p>
<fieldset><legend>What becomes of your agents</legend>
<label class="choice"><input type="radio" name="agents" value="delete" checked> <span>Delete them: all their sign-ins end at every website</span></label>
<label class="choice"><input type="radio" name="agents" value="keep"> <span>Leave them to the operator of this server: they go on with your address, and nobody but the operator can stop them</span></label></fieldset>
<div class="actions"><button class="danger" data-action="delete-account">Delete the account</button><a class="button quiet" href="account/data">Cancel</a></div></form>`
}

export default fp(deleteAccount, {
  name: 'account/delete-account',
  encapsulate: true,
  decorators: { fastify: ['ownOrigin', 'owners', 'sessions', 'settings'] },
})
