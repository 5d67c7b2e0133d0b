import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { quoteName } from '../../schemas/name.ts'
import type { SignInDescription } from '../../schemas/sign-in-description.ts'
import type { Agent } from '../core/core.ts'
import { sendFramed } from '../pages/frame.ts'
import { agentName } from '../pages/names.ts'
import { toQuery } from '../pages/pager.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { timeElement } from '../pages/time.ts'

/** GET /account/approvals: what waits for the owner's answer. */
const approvals: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  app.get(
    '/account/approvals',
    { schema: { hide: true, querystring: Query } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOwner(request)
      const { owner_id } = signedIn.owner
      const open = await app.approvals.listOpen(owner_id)
      const agents = new Map(
        (await app.store.agents.listOfOwner(owner_id)).map((agent) => [agent.agent_id, agent]),
      )
      return sendFramed(app, reply, {
        title: 'Waiting for your answer',
        signedIn,
        section: 'account/approvals',
        notice: DONE[request.query.done ?? ''],
        main: open.map((each) => toCard(each, agents.get(each.agent_id))).join('\n') || NONE,
      })
    },
  )
}

const Query = Type.Object({ done: Type.Optional(Type.String()) })

const NONE =
  '<p>Nothing waits for you. When an agent needs your approval to sign in somewhere, it is shown here.</p>'

const DONE: Record<string, string> = {
  approved: 'Approved. The agent signs in when it tries again, within the time it has.',
  denied: 'Denied. Nobody was signed in.',
}

function toCard(
  open: SignInDescription & { request_id: string; agent_id: string; expires_at: number },
  agent: Agent | undefined,
): string {
  const { request_id, agent_id, redirect_host, client_name, expires_at } = open
  return html`<section class="card"><h2 class="title">${redirect_host}</h2>
<p><bdi>${agent === undefined ? agent_id : agentName(agent)}</bdi> asks to sign in to a website that calls itself <bdi>${quoteName(client_name)}</bdi>.</p>
<p class="quiet">Until !${timeElement(expires_at)}</p>
<a class="button" href="account/approvals/${request_id}?${toQuery({ agent_id })}" aria-label="Look at the sign-in to ${redirect_host}">Look at it and answer</a></section>`
}

export default fp(approvals, {
  name: 'account/approvals',
  encapsulate: true,
  decorators: { fastify: ['approvals', 'sessions', 'settings', 'store'] },
})
