import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import type { Agent } from '../core/core.ts'
import { sendFramed } from '../pages/frame.ts'
import { agentName } from '../pages/names.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { timeElement } from '../pages/time.ts'

/** GET /account/agents: the owner's agents. */
const agents: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  app.get(
    '/account/agents',
    { schema: { hide: true, querystring: Query } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOwner(request)
      const agents = await app.store.agents.listOfOwner(signedIn.owner.owner_id)
      return sendFramed(app, reply, {
        title: 'Your agents',
        signedIn,
        section: 'account/agents',
        notice: request.query.done === 'deleted' ? 'The agent was deleted.' : undefined,
        main: html`!${agents.map(toCard).join('\n') || NONE}
<p class="actions"><a class="button" href="account/agents/new">New agent</a></p>`,
      })
    },
  )
}

const Query = Type.Object({ done: Type.Optional(Type.String()) })

const NONE = `<p>You have no agent yet. An agent is a program that signs in to websites for you.</p>`

function toCard(agent: Agent): string {
  const { agent_id, created_at, disabled_at } = agent
  return html`<section class="card"><h2 class="title"><a href="account/agents/${agent_id}"><bdi>${agentName(agent)}</bdi></a></h2>
<p>!${disabled_at === null ? '' : '<span class="tag bad">disabled</span> '}<code>${agent_id}</code></p>
<p class="quiet">Made !${timeElement(created_at)}</p></section>`
}

export default fp(agents, {
  name: 'account/agents',
  encapsulate: true,
  decorators: { fastify: ['sessions', 'settings', 'store'] },
})
