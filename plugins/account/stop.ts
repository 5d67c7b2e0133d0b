import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { OAuthError } from '../core/http/errors.ts'
import { findOwnAgent } from '../core/persons/own-agent.ts'
import type { SignedIn } from '../core/persons/sessions.ts'
import { assertFound } from '../core/registry/found.ts'
import { sendFramed } from '../pages/frame.ts'
import { signInFacts } from '../pages/living-sign-in.ts'
import { agentName, websiteName } from '../pages/names.ts'
import { answerPersonError } from '../pages/person-errors.ts'

/**
 * /account/sign-ins/stop: ends one sign-in, those at one website, those of one agent, or all of an
 * owner. It takes away and gives nothing, so the session is enough.
 */
const stop: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get(
    '/account/sign-ins/stop',
    { schema: { hide: true, querystring: Which } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOwner(request)
      return sendFramed(app, reply, {
        title: 'Stop sign-ins',
        signedIn,
        section: 'account/sign-ins',
        main: html`!${await toOffers(signedIn, request.query)}
<p>A website that keeps a session of its own may go on with that until it asks here again. <a href="account/sign-ins">Back, and stop nothing</a></p>`,
      })
    },
  )

  app.post(
    '/account/sign-ins/stop',
    { schema: { hide: true, body: Body } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const { owner } = await app.sessions.assertOwner(request)
      const { forget, everything, grant_id, agent_id, client_id } = request.body
      if ((grant_id ?? agent_id ?? client_id ?? everything) === undefined) {
        throw new OAuthError('invalid_request', 'Say what is to be stopped')
      }
      const { owner_id } = owner
      await app.ownSignIns.stop({ owner_id, grant_id, agent_id, client_id }, forget === 'yes')
      return reply.redirect(`${app.settings.ISSUER}/account/sign-ins?done=stopped`, 303)
    },
  )

  async function toOffers(signedIn: SignedIn, which: typeof Which.static): Promise<string> {
    const { grant_id } = which
    const grant =
      grant_id === undefined
        ? undefined
        : assertFound(await app.store.grants.find(grant_id), grant_id)
    const agent_id = grant?.agent_id ?? which.agent_id
    const client_id = grant?.client_id ?? which.client_id
    const agent = agent_id === undefined ? undefined : await findOwnAgent(app, signedIn, agent_id)
    const client = client_id === undefined ? undefined : await app.store.clients.find(client_id)
    const offers: string[] = []
    if (grant !== undefined && client !== undefined && agent !== undefined) {
      offers.push(
        offer(signInFacts(grant, client, agent), { grant_id: grant.grant_id }, 'This sign-in'),
      )
    }
    if (client !== undefined) {
      const text = html`<h2 class="title">Everything at this website</h2><p>All sign-ins of all your agents at the website that !${client.origin === 'operator' ? 'is called ' : ''}!${websiteName(client)}.</p>`
      offers.push(offer(text, { client_id: client.client_id }, 'Everything at this website'))
    }
    if (agent !== undefined) {
      const text = html`<h2 class="title">Everything of this agent</h2><p>All sign-ins of <bdi>${agentName(agent)}</bdi> at all websites, and what it has asked approval for. It may sign in again; <a href="account/agents/${agent.agent_id}">disable it</a> if it may not.</p>`
      offers.push(offer(text, { agent_id: agent.agent_id }, 'Everything of this agent'))
    }
    const all = html`<h2 class="title">Everything</h2><p>All sign-ins of all your agents at all websites.</p>`
    offers.push(offer(all, { everything: 'yes' }, 'Everything'))
    return offers.join('\n')
  }
}

const Which = Type.Object({
  grant_id: Type.Optional(Type.String()),
  agent_id: Type.Optional(Type.String()),
  client_id: Type.Optional(Type.String()),
})
const Body = Type.Object({
  ...Which.properties,
  everything: Type.Optional(Type.Literal('yes')),
  forget: Type.Optional(Type.Literal('yes')),
})

function offer(text: string, fields: Record<string, string>, what: string): string {
  const hidden = Object.entries(fields).map(
    ([name, value]) => html`<input type="hidden" name="${name}" value="${value}">`,
  )
  return html`<form class="card" method="post" action="account/sign-ins/stop">!${text}!${hidden.join('')}
<p><label class="choice"><input type="checkbox" name="forget" value="yes"> <span>Also forget what I approved for the future, so that I am asked again</span></label></p>
<button class="danger" data-action="stop" aria-label="Stop: ${what}">Stop</button></form>`
}

export default fp(stop, {
  name: 'account/stop',
  encapsulate: true,
  decorators: { fastify: ['ownOrigin', 'ownSignIns', 'sessions', 'settings', 'store'] },
})
