import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { secretShown } from '../pages/agent-credentials.ts'
import { agentFields } from '../pages/agent-fields.ts'
import { actForm, CONSOLE_NEEDS, serveAct } from '../pages/console-act.ts'
import { listPage, pathOf, readPage, stateTag } from '../pages/console-list.ts'
import { sendFramed } from '../pages/frame.ts'
import { agentName } from '../pages/names.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { timeElement } from '../pages/time.ts'

const SECTION = 'console/agents'

/** /console/agents: every agent, whoever owns it, and the registration of one. */
const agents: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get(
    '/console/agents',
    { schema: { hide: true, querystring: Query } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOperator(request)
      const { done = '', ...query } = request.query
      return sendFramed(app, reply, {
        title: 'All agents',
        signedIn,
        section: SECTION,
        notice: done === 'deleted' ? 'The agent was deleted.' : undefined,
        main: html`<p class="actions"><a class="button" href="console/agents/new">Register an agent</a></p>
!${listPage({
          path: SECTION,
          query,
          rows: await app.store.agents.page(readPage(query)),
          searched: 'Name or e-mail address (its beginning), or agent_id',
          none: '<p>No agent is registered.</p>',
          idOf: ({ agent_id }) => agent_id,
          toItem: (agent) =>
            html`<a href="${pathOf('agents', agent.agent_id)}"><bdi>${agentName(agent)}</bdi></a>!${stateTag(agent.disabled_at)} of <bdi>${agent.email}</bdi><br><code>${agent.agent_id}</code> <span class="quiet">!${timeElement(agent.created_at)}</span>`,
        })}`,
      })
    },
  )

  serveAct<undefined>(app, {
    path: '/console/agents/new',
    section: SECTION,
    find: async () => undefined,
    ask: () => ({
      title: 'Register an agent',
      main: actForm({
        path: 'console/agents/new',
        main: agentFields.toInputs({ email: '', email_verified: false, name: null }),
        button: 'Register',
        action: 'create-agent',
        back: SECTION,
      }),
    }),
    async act(_subject, form) {
      const { name, ...given } = agentFields.read(form)
      const { agent, agent_secret } = await app.registration.createAgent({
        ...given,
        ...(name !== null && { name }),
      })
      const { agent_id } = agent
      return {
        event: { event: 'agent', outcome: 'created', agent_id },
        page: {
          title: agentName(agent),
          notice: 'The agent is registered.',
          main: html`!${secretShown(app.settings.ISSUER, agent_id, agent_secret)}
<p class="actions"><a class="button" href="${pathOf('agents', agent_id)}">Go on to the agent</a></p>`,
        },
      }
    },
  })
}

const Query = Type.Object({
  search: Type.Optional(Type.String()),
  before: Type.Optional(Type.String()),
  done: Type.Optional(Type.String()),
})

export default fp(agents, {
  name: 'console/agents',
  encapsulate: true,
  decorators: { fastify: [...CONSOLE_NEEDS, 'registration'] },
})
