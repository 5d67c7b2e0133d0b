import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { OAuthError } from '../core/http/errors.ts'
import { findOwnAgent } from '../core/persons/own-agent.ts'
import { secretShown } from '../pages/agent-credentials.ts'
import { sendFramed } from '../pages/frame.ts'
import { agentName } from '../pages/names.ts'
import { answerPersonError } from '../pages/person-errors.ts'

/** /account/agents/:agent_id/secret: a new secret for an agent, with a fresh passkey. */
const agentSecret: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get(
    '/account/agents/:agent_id/secret',
    { schema: { hide: true, params: Params } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOwner(request)
      const agent = await findOwnAgent(app, signedIn, request.params.agent_id)
      app.sessions.assertFreshPasskey(signedIn)
      return sendFramed(app, reply, {
        title: `New secret for ${agentName(agent)}`,
        signedIn,
        section: 'account/agents',
        main: form(agent.agent_id),
      })
    },
  )

  app.post(
    '/account/agents/:agent_id/secret',
    { schema: { hide: true, params: Params, body: Body } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const signedIn = await app.sessions.assertOwner(request)
      const agent = await findOwnAgent(app, signedIn, request.params.agent_id)
      app.sessions.assertFreshPasskey(signedIn)
      const { agent_id } = agent
      const { owner_id } = signedIn.owner
      const secret = await app.registration.rotateAgentSecret(
        agent_id,
        readRotation(request.body.old),
        { owner_id },
      )
      return sendFramed(app, reply, {
        title: agentName(agent),
        signedIn,
        section: 'account/agents',
        notice: 'The agent has a new secret.',
        main: html`!${secretShown(app.settings.ISSUER, agent_id, secret)}
<p class="actions"><a class="button" href="account/agents/${agent_id}">Go on to the agent</a></p>`,
      })
    },
  )
}

const Params = Type.Object({ agent_id: Type.String() })
const Body = Type.Object({ old: Type.Optional(Type.String()) })

/** What becomes of the old secret: the word of the form, its meaning, and what is done. */
const ROTATIONS: Record<string, { label: string; overlap?: number; compromised?: true }> = {
  ends: { label: 'It ends now; sign-ins go on' },
  hour: { label: 'It is good for one more hour', overlap: 3600 },
  day: { label: 'It is good for one more day', overlap: 86_400 },
  compromised: {
    label:
      'Somebody else may have it: it ends now with all sign-ins of the agent, and what I approved is forgotten',
    compromised: true,
  },
}

function readRotation(word = ''): { overlap?: number; compromised?: true } {
  const { label, ...rotation } = ROTATIONS[word] ?? {}
  if (label !== undefined) return rotation
  throw new OAuthError('invalid_request', 'Choose what becomes of the old secret')
}

function form(agent_id: string): string {
  const choices = Object.entries(ROTATIONS).map(
    ([word, { label }]) =>
      html`<label class="choice"><input type="radio" name="old" value="${word}"!${word === 'ends' ? ' checked' : ''}> <span>${label}</span></label>`,
  )
  return html`<form class="card" method="post" action="account/agents/${agent_id}/secret">
<p>The new secret is shown once, on the next page.</p>
<fieldset><legend>What becomes of the old secret</legend>!${choices.join('\n')}</fieldset>
<div class="actions"><button data-action="rotate-secret">Make a new secret</button><a class="button quiet" href="account/agents/${agent_id}">Cancel</a></div></form>`
}

export default fp(agentSecret, {
  name: 'account/agent-secret',
  encapsulate: true,
  decorators: { fastify: ['ownOrigin', 'registration', 'sessions', 'settings', 'store'] },
})
