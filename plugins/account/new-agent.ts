import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { MAX_NAME, NameText } from '../../schemas/name.ts'
import { readJwk } from '../core/registry/agent-keys.ts'
import { linesToPaste, secretShown } from '../pages/agent-credentials.ts'
import { sendFramed } from '../pages/frame.ts'
import { agentName } from '../pages/names.ts'
import { answerPersonError } from '../pages/person-errors.ts'

/**
 * /account/agents/new: the owner makes an agent. Whoever has its secret is taken for the owner by
 * websites, so it needs a fresh passkey.
 */
const newAgent: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get('/account/agents/new', { schema: { hide: true } }, async (request, reply) => {
    const signedIn = await app.sessions.assertOwner(request)
    app.sessions.assertFreshPasskey(signedIn)
    return sendFramed(app, reply, {
      title: 'New agent',
      signedIn,
      section: 'account/agents',
      main: form(signedIn.owner.email),
    })
  })

  app.post(
    '/account/agents/new',
    { schema: { hide: true, body: Body } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const signedIn = await app.sessions.assertOwner(request)
      app.sessions.assertFreshPasskey(signedIn)
      const { name, jwk: text } = request.body
      const jwk = text === undefined ? undefined : readJwk(text)
      if (jwk !== undefined) await app.agentKeys.assertKey(jwk)
      const by = { owner_id: signedIn.owner.owner_id }
      const { agent, agent_secret } = await app.registration.createOwnAgent(signedIn.owner, {
        name,
      })
      const { agent_id } = agent
      if (jwk !== undefined) {
        await app.agentKeys.add(agent_id, jwk, by)
        await app.policies.changeAgent(agent_id, { secret: 'forbid' }, by)
      }
      const { ISSUER } = app.settings
      return sendFramed(app, reply, {
        title: agentName(agent),
        signedIn,
        section: 'account/agents',
        notice: 'The agent was made.',
        main: html`<p>Its identifier is <code>${agent_id}</code>.</p>
!${
          jwk === undefined
            ? secretShown(ISSUER, agent_id, agent_secret)
            : html`<p>It proves itself by its key and by nothing else.</p>!${linesToPaste(ISSUER, agent_id, { AUTH_AGENT_KEY_FILE: 'agent.key' })}`
        }
<p class="actions"><a class="button" href="account/agents/${agent_id}">Go on to the agent</a></p>`,
      })
    },
  )
}

const Body = Type.Object({
  name: Type.Optional(NameText('What the agent is called')),
  jwk: Type.Optional(Type.String()),
})

function form(email: string): string {
  return html`<form class="card" method="post" action="account/agents/new">
<p>An agent signs in to websites for you. Websites are told your address, <bdi>${email}</bdi>.</p>
<div class="field"><label for="name">Name</label><span class="hint" id="name-hint">What you call it; you may leave it empty</span>
<input id="name" name="name" maxlength="${MAX_NAME}" autocomplete="off" aria-describedby="name-hint"></div>
<details><summary>It has a key of its own</summary>
<div class="field"><label for="jwk">Public key</label><span class="hint" id="jwk-hint">A public JSON Web Key (ES256 or EdDSA), as <code>generateKey</code> of the library gives it. Left empty, the agent gets a secret, which is shown once</span>
<textarea id="jwk" name="jwk" rows="5" spellcheck="false" aria-describedby="jwk-hint"></textarea></div></details>
<div class="actions"><button data-action="create-agent">Make the agent</button><a class="button quiet" href="account/agents">Cancel</a></div>
</form>`
}

export default fp(newAgent, {
  name: 'account/new-agent',
  encapsulate: true,
  decorators: {
    fastify: [
      'agentKeys',
      'ownOrigin',
      'policies',
      'registration',
      'sessions',
      'settings',
      'store',
    ],
  },
})
