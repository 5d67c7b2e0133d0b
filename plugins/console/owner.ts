import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { shownName } from '../../schemas/name.ts'
import type { Owner } from '../core/core.ts'
import { CONSOLE_NEEDS, type ConsoleNoun, serveDeed } from '../pages/console-act.ts'
import { actLinks, pathOf, stateTag } from '../pages/console-list.ts'
import { FieldSet, yesOrNo } from '../pages/fields.ts'
import { sendFramed } from '../pages/frame.ts'
import { agentName } from '../pages/names.ts'
import { toQuery } from '../pages/pager.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { timeElement } from '../pages/time.ts'

const SECTION = 'console/owners'

/** /console/owners/:id: one person with an account, and all that an operator can do with it. */
const owner: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  const find = async ({ id = '' }: Record<string, string>): Promise<Owner> => app.owners.find(id)
  const noun: ConsoleNoun<Owner> = {
    noun: 'owners',
    section: SECTION,
    find,
    idOf: ({ owner_id }) => owner_id,
    nameOf: ({ email }) => email,
    toEvent: ({ owner_id }, outcome) => ({ event: 'owner', outcome, detail: owner_id }),
  }

  app.get(
    '/console/owners/:id',
    { schema: { hide: true, params: Params, querystring: Query } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOperator(request)
      const found = await find(request.params)
      const { owner_id, disabled_at } = found
      const [passkeys, sessions, agents] = await Promise.all([
        app.store.passkeys.listOfOwner(owner_id),
        app.store.ownerSessions.listOfOwner(owner_id, app.clock.now(), app.sessions.limits),
        app.store.agents.listOfOwner(owner_id),
      ])
      const at = (more: string) => pathOf('owners', owner_id, more)
      return sendFramed(app, reply, {
        title: found.email,
        signedIn,
        section: SECTION,
        notice: DONE[request.query.done ?? ''],
        main: html`<section class="card"><dl><div><dt>owner_id</dt><dd><code>${owner_id}</code>!${stateTag(disabled_at)}</dd></div>
!${found.name === null ? '' : html`<div><dt>Name</dt><dd><bdi>${shownName(found.name)}</bdi></dd></div>`}
<div><dt>Address verified</dt><dd>${found.email_verified ? 'yes' : 'no'}</dd></div>
<div><dt>Operator</dt><dd>${found.operator ? 'yes' : 'no'}</dd></div>
<div><dt>Mailed codes</dt><dd>${found.mail_sign_in ? 'sign in too' : 'do not sign in'}</dd></div>
<div><dt>Account since</dt><dd>!${timeElement(found.created_at)}</dd></div>
!${disabled_at === null ? '' : html`<div><dt>Disabled</dt><dd>!${timeElement(disabled_at)}</dd></div>`}</dl></section>
<h2>Passkeys</h2>!${passkeys.length === 0 ? '<p>None.</p>' : html`<ul class="plain">!${passkeys.map(({ name, rp_id, last_used_at }) => html`<li><bdi>${shownName(name)}</bdi> for ${rp_id}, <span class="quiet">!${last_used_at === null ? 'never used' : `last used ${timeElement(last_used_at)}`}</span></li>`).join('')}</ul>`}
<h2>Signed in here</h2>!${sessions.length === 0 ? '<p>Nowhere.</p>' : html`<ul class="plain">!${sessions.map(({ browser, address, seen_at }) => html`<li>${browser ?? 'A browser'} from ${address ?? 'an unknown address'}, <span class="quiet">last seen !${timeElement(seen_at)}</span></li>`).join('')}</ul>`}
<h2>Agents</h2>!${agents.length === 0 ? '<p>None.</p>' : html`<ul class="plain">!${agents.map((agent) => html`<li><a href="${pathOf('agents', agent.agent_id)}"><bdi>${agentName(agent)}</bdi></a>!${stateTag(agent.disabled_at)}</li>`).join('')}</ul>`}
!${actLinks([
          [at('/operator'), found.operator ? 'No longer operator' : 'Make operator'],
          ...(found.email_verified
            ? []
            : ([[at('/verify'), 'Vouch for the address']] as [string, string][])),
          [at('/sign-out'), 'Sign out'],
          [`console/history?${toQuery({ owner_id })}`, 'Audit trail'],
          ...(disabled_at === null
            ? ([[at('/disable'), 'Disable', 'danger']] as [string, string, 'danger'][])
            : ([[at('/enable'), 'Enable']] as [string, string][])),
          [at('/delete'), 'Delete', 'danger'],
        ])}`,
      })
    },
  )

  serveDeed(app, noun, 'operator', {
    verb: 'What may be done by',
    ask: ({ operator }) =>
      operator
        ? {
            main: '<p>They can no longer open the console. Their account stays as it is.</p>',
            button: 'Take it away',
            danger: true,
          }
        : {
            main: '<p>They may do everything on this server that you may.</p>',
            button: 'Make them an operator',
          },
    async act({ owner_id, operator }, _form, { owner_id: by, address }) {
      await app.owners.setOperator(owner_id, !operator, { by, address })
      return { done: operator ? 'not_operator' : 'operator' }
    },
  })

  serveDeed(app, noun, 'verify', {
    verb: 'Vouch for the address of',
    ask: () => ({
      main: '<p>You vouch that the address is theirs. The agents that bear it and belong to nobody become theirs, and websites are told that it is verified.</p>',
      button: 'Vouch for it',
    }),
    async act({ owner_id }, _form, { owner_id: by, address }) {
      await app.owners.vouch(owner_id, { by, address })
      return { done: 'verified' }
    },
  })

  serveDeed(app, noun, 'sign-out', {
    verb: 'Sign out',
    ask: () => ({
      main: '<p>They are signed out of this server in every browser. Their agents go on.</p>',
      button: 'Sign them out',
    }),
    async act({ owner_id }, _form, { owner_id: by, address }) {
      await app.owners.signOut(owner_id, { by, address })
      return { done: 'signed_out' }
    },
  })

  serveDeed(app, noun, 'disable', {
    verb: 'Disable',
    ask: () => ({
      main: html`<p>They are signed out everywhere and cannot sign in until they are enabled.</p>!${withAgents.toInputs({ agents: false })}`,
      button: 'Disable the account',
      danger: true,
    }),
    async act({ owner_id }, form, { owner_id: by, address }) {
      await app.owners.disable(owner_id, { ...withAgents.read(form), by, address })
      return { done: 'disabled' }
    },
  })

  serveDeed(app, noun, 'enable', {
    verb: 'Enable',
    ask: () => ({
      main: '<p>They may sign in again. Agents stay as they are.</p>',
      button: 'Enable the account',
    }),
    async act({ owner_id }, _form, { owner_id: by, address }) {
      await app.owners.enable(owner_id, { by, address })
      return { done: 'enabled' }
    },
  })

  serveDeed(app, noun, 'delete', {
    verb: 'Delete',
    ask: () => ({
      main: '<p>The account is removed with its passkeys and sessions. Its agents stay and belong to nobody. This cannot be undone; to stop it for a while, disable it instead.</p>',
      button: 'Delete the account',
      danger: true,
    }),
    async act({ owner_id }, _form, { owner_id: by, address }) {
      await app.owners.delete(owner_id, { by, address })
      return { to: `${SECTION}?done=deleted` }
    },
  })
}

const withAgents = new FieldSet<{ agents: boolean }>({
  agents: yesOrNo(
    'Their agents',
    'Disable these too, and end their sign-ins',
    'are disabled too',
    'go on',
  ),
})

const Params = Type.Object({ id: Type.String() })
const Query = Type.Object({ done: Type.Optional(Type.String()) })

const DONE: Record<string, string> = {
  operator: 'They are an operator now.',
  not_operator: 'They are no longer an operator.',
  verified: 'The address is verified.',
  signed_out: 'They are signed out everywhere.',
  disabled: 'The account is disabled.',
  enabled: 'The account is enabled.',
}

export default fp(owner, {
  name: 'console/owner',
  encapsulate: true,
  decorators: { fastify: [...CONSOLE_NEEDS, 'clock', 'owners'] },
})
