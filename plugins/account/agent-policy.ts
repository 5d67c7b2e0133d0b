import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { AgentPolicy } from '../../schemas/policy.ts'
import { findOwnAgent } from '../core/persons/own-agent.ts'
import { type PolicyForm, policyInputs, readPolicy } from '../pages/agent-policy-form.ts'
import { sendFramed } from '../pages/frame.ts'
import { agentName } from '../pages/names.ts'
import { answerPersonError } from '../pages/person-errors.ts'

/**
 * /account/agents/:agent_id/policy: what an agent may do. A policy can allow what would otherwise need
 * an approval, so changing it needs a fresh passkey.
 */
const agentPolicy: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get(
    '/account/agents/:agent_id/policy',
    { schema: { hide: true, params: Params } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOwner(request)
      const agent = await findOwnAgent(app, signedIn, request.params.agent_id)
      app.sessions.assertFreshPasskey(signedIn)
      const { agent_id } = agent
      const policy = await app.policies.ofAgent(agent_id)
      return sendFramed(app, reply, {
        title: `What ${agentName(agent)} may do`,
        signedIn,
        section: 'account/agents',
        main: html`<form class="card" method="post" action="account/agents/${agent_id}/policy">
!${policyInputs(policy)}
<div class="actions"><button data-action="change-policy">Save</button><a class="button quiet" href="account/agents/${agent_id}">Cancel</a></div></form>`,
      })
    },
  )

  app.post(
    '/account/agents/:agent_id/policy',
    { schema: { hide: true, params: Params, body: Body } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const signedIn = await app.sessions.assertOwner(request)
      const { agent_id } = await findOwnAgent(app, signedIn, request.params.agent_id)
      app.sessions.assertFreshPasskey(signedIn)
      const { owner_id } = signedIn.owner
      await app.policies.changeAgent(agent_id, readPolicy(request.body), { owner_id })
      const page = `${app.settings.ISSUER}/account/agents/${agent_id}`
      return reply.redirect(`${page}?done=policy`, 303)
    },
  )
}

const Params = Type.Object({ agent_id: Type.String() })
const Body = Type.Unsafe<PolicyForm>(
  Type.Partial(Type.Record(Type.KeyOf(AgentPolicy), Type.String())),
)

export default fp(agentPolicy, {
  name: 'account/agent-policy',
  encapsulate: true,
  decorators: { fastify: ['ownOrigin', 'policies', 'sessions', 'settings', 'store'] },
})
