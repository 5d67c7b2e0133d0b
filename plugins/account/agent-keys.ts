import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { findOwnAgent } from '../core/persons/own-agent.ts'
import { readJwk } from '../core/registry/agent-keys.ts'
import { sendFramed } from '../pages/frame.ts'
import { agentName } from '../pages/names.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { timeElement } from '../pages/time.ts'

/**
 * /account/agents/:agent_id/keys: the keys by which an agent proves itself. Whoever adds one can act as
 * the agent, so the page needs a fresh passkey; a key can be removed when that is older.
 */
const agentKeys: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get(
    '/account/agents/:agent_id/keys',
    { schema: { hide: true, params: Params, querystring: Query } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOwner(request)
      const agent = await findOwnAgent(app, signedIn, request.params.agent_id)
      app.sessions.assertFreshPasskey(signedIn)
      const { agent_id } = agent
      const keys = await app.agentKeys.list(agent_id)
      return sendFramed(app, reply, {
        title: `Keys of ${agentName(agent)}`,
        signedIn,
        section: 'account/agents',
        notice: DONE[request.query.done ?? ''],
        main: html`!${keys.map(toCard).join('\n') || '<p>It has no key. It proves itself by its secret.</p>'}
<h2>Add a key</h2>
<form class="card" method="post" action="account/agents/${agent_id}/keys"><div class="field"><label for="jwk">Public key</label>
<span class="hint" id="jwk-hint">A public JSON Web Key (ES256 or EdDSA). The private part stays with the agent</span>
<textarea id="jwk" name="jwk" rows="5" required spellcheck="false" aria-describedby="jwk-hint"></textarea></div>
<button data-action="add-key">Add the key</button></form>
<p><a href="account/agents/${agent_id}">Back to the agent</a></p>`,
      })
    },
  )

  app.post(
    '/account/agents/:agent_id/keys',
    { schema: { hide: true, params: Params, body: Added } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const signedIn = await app.sessions.assertOwner(request)
      const { agent_id } = await findOwnAgent(app, signedIn, request.params.agent_id)
      app.sessions.assertFreshPasskey(signedIn)
      const { owner_id } = signedIn.owner
      await app.agentKeys.add(agent_id, readJwk(request.body.jwk), { owner_id })
      return reply.redirect(toPage(agent_id, 'added'), 303)
    },
  )

  app.post(
    '/account/agents/:agent_id/keys/remove',
    { schema: { hide: true, params: Params, body: Removed } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const signedIn = await app.sessions.assertOwner(request)
      const { agent_id } = await findOwnAgent(app, signedIn, request.params.agent_id)
      const { owner_id } = signedIn.owner
      const { kid, compromised } = request.body
      await app.agentKeys.remove(agent_id, kid, compromised === 'yes', { owner_id })
      return reply.redirect(toPage(agent_id, 'removed'), 303)
    },
  )

  function toPage(agent_id: string, done: string): string {
    return `${app.settings.ISSUER}/account/agents/${agent_id}/keys?done=${done}`
  }
}

const Params = Type.Object({ agent_id: Type.String() })
const Query = Type.Object({ done: Type.Optional(Type.String()) })
const Added = Type.Object({ jwk: Type.String() })
const Removed = Type.Object({
  kid: Type.String(),
  compromised: Type.Optional(Type.Literal('yes')),
})

const DONE: Record<string, string> = {
  added: 'The key was added.',
  removed: 'The key was removed and proves nothing any more.',
}

interface Key {
  agent_id: string
  kid: string
  alg: string
  created_at: number
}

function toCard({ agent_id, kid, alg, created_at }: Key): string {
  return html`<section class="card"><h2 class="title"><code>${kid}</code></h2><p class="quiet">${alg}, added !${timeElement(created_at)}</p>
<form method="post" action="account/agents/${agent_id}/keys/remove"><input type="hidden" name="kid" value="${kid}">
<p><label class="choice"><input type="checkbox" name="compromised" value="yes"> <span>Somebody else may have it: end all sign-ins of the agent and forget what I approved</span></label></p>
<button class="danger" data-action="remove-key" aria-label="Remove the key ${kid}">Remove</button></form></section>`
}

export default fp(agentKeys, {
  name: 'account/agent-keys',
  encapsulate: true,
  decorators: { fastify: ['agentKeys', 'ownOrigin', 'sessions', 'settings', 'store'] },
})
