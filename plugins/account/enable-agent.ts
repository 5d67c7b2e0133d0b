import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { findOwnAgent } from '../core/persons/own-agent.ts'
import { sendFramed } from '../pages/frame.ts'
import { agentName } from '../pages/names.ts'
import { answerPersonError } from '../pages/person-errors.ts'

/** /account/agents/:agent_id/enable: a disabled agent may sign in again, with a fresh passkey. */
const enableAgent: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get(
    '/account/agents/:agent_id/enable',
    { schema: { hide: true, params: Params } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOwner(request)
      const agent = await findOwnAgent(app, signedIn, request.params.agent_id)
      app.sessions.assertFreshPasskey(signedIn)
      return sendFramed(app, reply, {
        title: `Let ${agentName(agent)} sign in again?`,
        signedIn,
        section: 'account/agents',
        main: html`<form class="card" method="post" action="account/agents/${agent.agent_id}/enable">
<p>It can sign in as its policy says. What had ended stays ended.</p>
<div class="actions"><button data-action="enable">Allow sign-ins again</button><a class="button quiet" href="account/agents/${agent.agent_id}">Cancel</a></div></form>`,
      })
    },
  )

  app.post(
    '/account/agents/:agent_id/enable',
    { schema: { hide: true, params: Params } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const signedIn = await app.sessions.assertOwner(request)
      const { agent_id } = await findOwnAgent(app, signedIn, request.params.agent_id)
      app.sessions.assertFreshPasskey(signedIn)
      const { owner_id } = signedIn.owner
      await app.registration.updateAgent(agent_id, { disabled_at: null }, { owner_id })
      const page = `${app.settings.ISSUER}/account/agents/${agent_id}`
      return reply.redirect(`${page}?done=enabled`, 303)
    },
  )
}

const Params = Type.Object({ agent_id: Type.String() })

export default fp(enableAgent, {
  name: 'account/enable-agent',
  encapsulate: true,
  decorators: { fastify: ['ownOrigin', 'registration', 'sessions', 'settings', 'store'] },
})
