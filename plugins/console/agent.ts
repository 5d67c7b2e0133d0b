import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import type { Agent } from '../core/core.ts'
import { OAuthError } from '../core/http/errors.ts'
import { readJwk } from '../core/registry/agent-keys.ts'
import { assertFound } from '../core/registry/found.ts'
import { agentFields } from '../pages/agent-fields.ts'
import { policyInputs, policyRows, readPolicy } from '../pages/agent-policy-form.ts'
import {
  CONSOLE_NEEDS,
  type ConsoleNoun,
  readRotation,
  rotationInputs,
  serveDeed,
} from '../pages/console-act.ts'
import { actLinks, pathOf, stateTag } from '../pages/console-list.ts'
import { choice, FieldSet, lines, text, yesOrNo } from '../pages/fields.ts'
import { sendFramed } from '../pages/frame.ts'
import { agentName } from '../pages/names.ts'
import { toQuery } from '../pages/pager.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { timeElement } from '../pages/time.ts'

const SECTION = 'console/agents'

/** /console/agents/:id: one agent, and all that an operator can do with it. */
const agent: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  const find = async ({ id = '' }: Record<string, string>): Promise<Agent> =>
    assertFound(await app.store.agents.find(id), id)
  const noun: ConsoleNoun<Agent> = {
    noun: 'agents',
    section: SECTION,
    find,
    idOf: ({ agent_id }) => agent_id,
    nameOf: agentName,
    toEvent: ({ agent_id }, outcome, detail) => ({ event: 'agent', outcome, agent_id, detail }),
  }

  app.get(
    '/console/agents/:id',
    { schema: { hide: true, params: Params, querystring: Query } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOperator(request)
      const found = await find(request.params)
      const { agent_id, disabled_at, owner_id } = found
      const [policy, keys, remembered] = await Promise.all([
        app.policies.ofAgent(agent_id),
        app.agentKeys.list(agent_id),
        app.policies.remembered(agent_id),
      ])
      const at = (more: string) => pathOf('agents', agent_id, more)
      return sendFramed(app, reply, {
        title: agentName(found),
        signedIn,
        section: SECTION,
        notice: DONE[request.query.done ?? ''],
        main: html`<section class="card"><dl><div><dt>agent_id</dt><dd><code>${agent_id}</code>!${stateTag(disabled_at)}</dd></div>
<div><dt>Registered</dt><dd>!${timeElement(found.created_at)}</dd></div>
!${disabled_at === null ? '' : html`<div><dt>Disabled</dt><dd>!${timeElement(disabled_at)}</dd></div>`}
<div><dt>Account</dt><dd>!${owner_id === null ? 'of nobody' : html`<a href="${pathOf('owners', owner_id)}"><code>${owner_id}</code></a>`}</dd></div>
!${agentFields.toRows(found)}</dl></section>
<h2>What it may do</h2><section class="card"><dl>!${policyRows(policy)}</dl></section>
<h2>Its keys</h2>!${keys.length === 0 ? '<p>It has none, and proves itself by its secret.</p>' : html`<ul class="plain">!${keys.map(({ kid, alg, created_at }) => html`<li><code>${kid}</code> ${alg}, <span class="quiet">added !${timeElement(created_at)}</span></li>`).join('')}</ul>`}
<h2>What its owner approved for the future</h2>!${remembered.length === 0 ? '<p>Nothing.</p>' : html`<ul class="plain">!${remembered.map(({ client_id, redirect_host, created_at }) => html`<li><bdi>${redirect_host}</bdi> <code>${client_id}</code> <span class="quiet">!${timeElement(created_at)}</span></li>`).join('')}</ul>`}
!${actLinks([
          [at('/edit'), 'Change'],
          [at('/policy'), 'Change policy'],
          [at('/secret'), 'New secret'],
          [at('/add-key'), 'Add a key'],
          ...(keys.length > 0 ? ([[at('/remove-key'), 'Remove a key']] as [string, string][]) : []),
          ...(remembered.length > 0
            ? ([[at('/forget'), 'Forget approvals']] as [string, string][])
            : []),
          [`console/history?${toQuery({ agent_id })}`, 'Audit trail'],
          ...(disabled_at === null
            ? ([[at('/disable'), 'Disable', 'danger']] as [string, string, 'danger'][])
            : ([[at('/enable'), 'Enable']] as [string, string][])),
          [at('/delete'), 'Delete', 'danger'],
        ])}`,
      })
    },
  )

  serveDeed(app, noun, 'edit', {
    verb: 'Change',
    ask: (found) => ({ main: agentFields.toInputs(found), button: 'Save' }),
    async act(found, form, { owner_id }) {
      const change = agentFields.readChange(form, found)
      if (Object.keys(change).length === 0) return { done: 'same' }
      if (change.name === null) throw new OAuthError('invalid_request', 'The name is required')
      await app.registration.updateAgent(found.agent_id, change, { owner_id })
      return { done: 'changed', outcome: 'changed', detail: Object.keys(change).join(', ') }
    },
  })

  serveDeed(app, noun, 'policy', {
    verb: 'What may be done by',
    async ask({ agent_id }) {
      return { main: policyInputs(await app.policies.ofAgent(agent_id)), button: 'Save' }
    },
    async act({ agent_id }, form, { owner_id }) {
      await app.policies.changeAgent(agent_id, readPolicy(form), { owner_id })
      return { done: 'changed' }
    },
  })

  serveDeed(app, noun, 'secret', {
    verb: 'New secret for',
    ask: () => ({ main: rotationInputs(), button: 'Make a new secret' }),
    async act({ agent_id }, form, { owner_id }) {
      const rotation = readRotation(form)
      const secret = await app.registration.rotateAgentSecret(agent_id, rotation, { owner_id })
      return { secret: ['Its secret', secret] }
    },
  })

  serveDeed(app, noun, 'add-key', {
    verb: 'Add a key of',
    ask: () => ({
      main: newKey.toInputs({ from: 'given', jwk: [] }),
      button: 'Add the key',
    }),
    async act({ agent_id }, form, { owner_id }) {
      const { from, jwk } = newKey.read(form)
      if (from === 'given') {
        await app.agentKeys.add(agent_id, readJwk(jwk.join('')), { owner_id })
        return { done: 'changed' }
      }
      const { private_jwk } = await app.agentKeys.generate(agent_id, { owner_id })
      return { secret: ['Its private key', JSON.stringify(private_jwk)] }
    },
  })

  serveDeed(app, noun, 'remove-key', {
    verb: 'Remove a key of',
    async ask({ agent_id }) {
      const [first] = await app.agentKeys.list(agent_id)
      const values = { kid: first?.kid ?? '', compromised: false }
      return { main: oldKey.toInputs(values), button: 'Remove the key', danger: true }
    },
    async act({ agent_id }, form, { owner_id }) {
      const { kid, compromised } = oldKey.read(form)
      await app.agentKeys.remove(agent_id, kid, compromised, { owner_id })
      return { done: 'changed' }
    },
  })

  serveDeed(app, noun, 'forget', {
    verb: 'Forget approvals of',
    async ask({ agent_id }) {
      const [first] = await app.policies.remembered(agent_id)
      return { main: forgotten.toInputs({ client_id: first?.client_id ?? '' }), button: 'Forget' }
    },
    async act({ agent_id }, form, { owner_id }) {
      const { client_id } = forgotten.read(form)
      await app.policies.forget(agent_id, client_id, { owner_id })
      return { done: 'changed' }
    },
  })

  serveDeed(app, noun, 'disable', {
    verb: 'Disable',
    ask: () => ({
      main: '<p>Its sign-ins, codes and tokens end now, and there are no new ones until it is enabled.</p>',
      button: 'Disable it',
      danger: true,
    }),
    async act({ agent_id }, _form, { owner_id }) {
      const change = { disabled_at: app.clock.now() }
      await app.registration.updateAgent(agent_id, change, { owner_id })
      return { done: 'disabled' }
    },
  })

  serveDeed(app, noun, 'enable', {
    verb: 'Enable',
    ask: () => ({ main: '<p>It may sign in again.</p>', button: 'Enable it' }),
    async act({ agent_id }, _form, { owner_id }) {
      await app.registration.updateAgent(agent_id, { disabled_at: null }, { owner_id })
      return { done: 'enabled' }
    },
  })

  serveDeed(app, noun, 'delete', {
    verb: 'Delete',
    ask: () => ({
      main: '<p>Its sign-ins end now at every website, and it is removed with its secret, keys, policy and approvals. This cannot be undone; to stop it for a while, disable it instead.</p>',
      button: 'Delete it',
      danger: true,
    }),
    async act({ agent_id }, _form, { owner_id }) {
      const deleted = await app.registration.deleteAgent(agent_id, { owner_id })
      if (!deleted) throw new OAuthError('not_found', `There is no ${agent_id}`)
      return { to: `${SECTION}?done=deleted` }
    },
  })
}

const newKey = new FieldSet<{ from: 'given' | 'made'; jwk: string[] }>({
  from: choice('Where the key is from', {
    given: 'The public key that is given here',
    made: 'A new one, whose private key is shown once',
  }),
  jwk: lines('Public key', 'A public JSON Web Key (ES256 or EdDSA)', 'none'),
})

const oldKey = new FieldSet<{ kid: string; compromised: boolean }>({
  kid: text('Which key', { hint: 'Its kid, as the page of the agent has it' }),
  compromised: yesOrNo(
    'If somebody else may have it',
    'End every sign-in of the agent, and forget what was approved',
    'everything ends',
    'sign-ins go on',
  ),
})

const forgotten = new FieldSet<{ client_id: string }>({
  client_id: text('Which website', { hint: 'Its client_id; the owner is asked about it again' }),
})

const Params = Type.Object({ id: Type.String() })
const Query = Type.Object({ done: Type.Optional(Type.String()) })

const DONE: Record<string, string> = {
  changed: 'The agent was changed.',
  same: 'Nothing was changed.',
  disabled: 'The agent is disabled: all its sign-ins have ended.',
  enabled: 'The agent is enabled.',
}

export default fp(agent, {
  name: 'console/agent',
  encapsulate: true,
  decorators: { fastify: [...CONSOLE_NEEDS, 'agentKeys', 'clock', 'policies', 'registration'] },
})
