import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { findOwnAgent } from '../core/persons/own-agent.ts'
import { sendFramed } from '../pages/frame.ts'
import { agentName } from '../pages/names.ts'
import { answerPersonError } from '../pages/person-errors.ts'

/** /account/agents/:agent_id/delete: the end of an agent, with a fresh passkey. */
const deleteAgent: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get(
    '/account/agents/:agent_id/delete',
    { schema: { hide: true, params: Params } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOwner(request)
      const agent = await findOwnAgent(app, signedIn, request.params.agent_id)
      app.sessions.assertFreshPasskey(signedIn)
      return sendFramed(app, reply, {
        title: `Delete ${agentName(agent)}?`,
        signedIn,
        section: 'account/agents',
        main: html`<form class="card" method="post" action="account/agents/${agent.agent_id}/delete">
<p>Its sign-ins end at every website, and its secret, keys, policy and approvals are removed. Accounts that it has at websites stay there, and no new agent can sign in to them as this one did. This cannot be undone; to stop it for a while, disable it instead.</p>
<div class="actions"><button class="danger" data-action="delete">Delete the agent</button><a class="button quiet" href="account/agents/${agent.agent_id}">Cancel</a></div></form>`,
      })
    },
  )

  app.post(
    '/account/agents/:agent_id/delete',
    { schema: { hide: true, params: Params } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const signedIn = await app.sessions.assertOwner(request)
      const { agent_id } = await findOwnAgent(app, signedIn, request.params.agent_id)
      app.sessions.assertFreshPasskey(signedIn)
      await app.registration.deleteAgent(agent_id, { owner_id: signedIn.owner.owner_id })
      return reply.redirect(`${app.settings.ISSUER}/account/agents?done=deleted`, 303)
    },
  )
}

const Params = Type.Object({ agent_id: Type.String() })

export default fp(deleteAgent, {
  name: 'account/delete-agent',
  encapsulate: true,
  decorators: { fastify: ['ownOrigin', 'registration', 'sessions', 'settings', 'store'] },
})
