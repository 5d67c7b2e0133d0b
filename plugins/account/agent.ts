import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { MAX_NAME, NameText } from '../../schemas/name.ts'
import { describeScope } from '../core/audit/sign-in-lines.ts'
import {
  type Agent,
  type Client,
  isEmailVerified,
  type Owner,
  type RememberedApproval,
} from '../core/core.ts'
import { findOwnAgent } from '../core/persons/own-agent.ts'
import { policyRows } from '../pages/agent-policy-form.ts'
import { sendFramed } from '../pages/frame.ts'
import { agentName, websiteName } from '../pages/names.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { timeElement } from '../pages/time.ts'

/** /account/agents/:agent_id: one agent, and what is done to it without a passkey. */
const agent: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get(
    '/account/agents/:agent_id',
    { schema: { hide: true, params: Params, querystring: Query } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOwner(request)
      const agent = await findOwnAgent(app, signedIn, request.params.agent_id)
      const { agent_id } = agent
      const [policy, remembered, keys] = await Promise.all([
        app.policies.ofAgent(agent_id),
        app.policies.remembered(agent_id),
        app.agentKeys.list(agent_id),
      ])
      const clients = await findClients(remembered)
      return sendFramed(app, reply, {
        title: agentName(agent),
        signedIn,
        section: 'account/agents',
        notice: DONE[request.query.done ?? ''],
        main: html`!${facts(agent, signedIn.owner)}
<h2>What it may do</h2>
<dl class="card">!${policyRows(policy)}</dl>
<p class="actions"><a class="button quiet" href="account/agents/${agent_id}/policy">Change what it may do</a></p>
<h2>How it proves itself</h2>
<p>!${proves(policy.secret, keys.length)}</p>
<p class="actions"><a class="button quiet" href="account/agents/${agent_id}/keys">Keys</a><a class="button quiet" href="account/agents/${agent_id}/secret">New secret</a></p>
<h2>What you approved for the future</h2>
!${remembered.map((each) => rememberedCard(each, clients.get(each.client_id))).join('\n') || '<p>Nothing is remembered: the agent is not let in anywhere because of an earlier approval.</p>'}
<h2>More</h2>
!${renameForm(agent)}
<div class="actions"><a class="button quiet" href="account/sign-ins?agent_id=${agent_id}">Where it is signed in</a><a class="button quiet" href="account/history?agent_id=${agent_id}">What it did</a>
!${switchForm(agent)}<a class="button danger" href="account/agents/${agent_id}/delete">Delete</a></div>`,
      })
    },
  )

  async function findClients(remembered: RememberedApproval[]) {
    const ids = [...new Set(remembered.map(({ client_id }) => client_id))]
    const found = await Promise.all(ids.map((id) => app.store.clients.find(id)))
    return new Map(found.map((client) => [client?.client_id, client]))
  }

  app.post(
    '/account/agents/:agent_id/name',
    { schema: { hide: true, params: Params, body: Name } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const signedIn = await app.sessions.assertOwner(request)
      const { agent_id } = await findOwnAgent(app, signedIn, request.params.agent_id)
      const by = { owner_id: signedIn.owner.owner_id }
      await app.registration.updateAgent(agent_id, { name: request.body.name ?? null }, by)
      return reply.redirect(toPage(agent_id, 'renamed'), 303)
    },
  )

  app.post(
    '/account/agents/:agent_id/disable',
    { schema: { hide: true, params: Params } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const signedIn = await app.sessions.assertOwner(request)
      const { agent_id } = await findOwnAgent(app, signedIn, request.params.agent_id)
      const by = { owner_id: signedIn.owner.owner_id }
      await app.registration.updateAgent(agent_id, { disabled_at: app.clock.now() }, by)
      return reply.redirect(toPage(agent_id, 'disabled'), 303)
    },
  )

  app.post(
    '/account/agents/:agent_id/forget',
    { schema: { hide: true, params: Params, body: Forget } },
    async (request, reply) => {
      app.ownOrigin.assert(request)
      const signedIn = await app.sessions.assertOwner(request)
      const { agent_id } = await findOwnAgent(app, signedIn, request.params.agent_id)
      const by = { owner_id: signedIn.owner.owner_id }
      await app.policies.forget(agent_id, request.body.client_id, by)
      return reply.redirect(toPage(agent_id, 'forgotten'), 303)
    },
  )

  function toPage(agent_id: string, done: string): string {
    return `${app.settings.ISSUER}/account/agents/${agent_id}?done=${done}`
  }
}

const Params = Type.Object({ agent_id: Type.String() })
const Query = Type.Object({ done: Type.Optional(Type.String()) })
const Name = Type.Object({ name: Type.Optional(NameText('What the agent is called')) })
const Forget = Type.Object({ client_id: Type.String() })

const DONE: Record<string, string> = {
  renamed: 'The name was changed.',
  disabled: 'The agent is disabled. All its sign-ins have ended.',
  enabled: 'The agent may sign in again.',
  forgotten: 'It is forgotten: you will be asked about that website again.',
  policy: 'What the agent may do was changed.',
}

function facts(agent: Agent, owner: Owner): string {
  const { agent_id, email, created_at, disabled_at } = agent
  const disabled =
    disabled_at === null
      ? ''
      : html`<p class="caution">Disabled !${timeElement(disabled_at)}: it can sign in nowhere.</p>`
  const verified = isEmailVerified(agent, owner) ? 'told as verified' : 'told as not verified'
  return html`!${disabled}<dl class="card"><div><dt>Identifier</dt><dd><code>${agent_id}</code></dd></div>
<div><dt>Websites are told</dt><dd><bdi>${email}</bdi>, ${verified}</dd></div>
<div><dt>Made</dt><dd>!${timeElement(created_at)}</dd></div></dl>`
}

function proves(secret: 'allow' | 'forbid', keys: number): string {
  const by = keys === 0 ? 'It has no key' : keys === 1 ? 'It has one key' : `It has ${keys} keys`
  return `${by}; its secret ${secret === 'allow' ? 'counts' : 'is refused'}.`
}

function rememberedCard(
  { agent_id, client_id, redirect_host, scope, resource, created_at }: RememberedApproval,
  client: Client | undefined,
): string {
  const apis: string[] = resource === null ? [] : JSON.parse(resource)
  return html`<section class="card"><h3>!${client === undefined ? client_id : websiteName(client)}</h3>
<dl><div><dt>Leads to</dt><dd>${redirect_host}</dd></div>
<div><dt>It gets</dt><dd>${describeScope(scope)}</dd></div>
!${apis.length === 0 ? '' : html`<div><dt>Gives access to</dt><dd>${apis.join(', ')}</dd></div>`}
<div><dt>Since</dt><dd>!${timeElement(created_at)}</dd></div></dl>
<form method="post" action="account/agents/${agent_id}/forget"><input type="hidden" name="client_id" value="${client_id}"><button class="quiet" data-action="forget" aria-label="Forget what you approved of ${redirect_host}">Forget</button></form></section>`
}

function renameForm({ agent_id, name }: Agent): string {
  return html`<form class="card" method="post" action="account/agents/${agent_id}/name"><div class="field"><label for="name">Name</label>
<input id="name" name="name" value="${name ?? ''}" maxlength="${MAX_NAME}" autocomplete="off"></div><button class="quiet">Change the name</button></form>`
}

function switchForm({ agent_id, disabled_at }: Agent): string {
  return disabled_at === null
    ? html`<form method="post" action="account/agents/${agent_id}/disable"><button class="danger" data-action="disable">Disable and end all sign-ins</button></form>`
    : html`<a class="button quiet" href="account/agents/${agent_id}/enable">Allow sign-ins again</a>`
}

export default fp(agent, {
  name: 'account/agent',
  encapsulate: true,
  decorators: {
    fastify: [
      'agentKeys',
      'clock',
      'ownOrigin',
      'policies',
      'registration',
      'sessions',
      'settings',
      'store',
    ],
  },
})
