import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { shownName } from '../../schemas/name.ts'
import type { Client } from '../core/core.ts'
import { hasSecret } from '../core/registry/client-metadata.ts'
import { assertFound } from '../core/registry/found.ts'
import { clientFields, modelFields } from '../pages/client-fields.ts'
import {
  CONSOLE_NEEDS,
  type ConsoleNoun,
  readRotation,
  rotationInputs,
  serveDeed,
} from '../pages/console-act.ts'
import { actLinks, pathOf, stateTag } from '../pages/console-list.ts'
import { sendFramed } from '../pages/frame.ts'
import { websiteName } from '../pages/names.ts'
import { toQuery } from '../pages/pager.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { timeElement } from '../pages/time.ts'

const SECTION = 'console/websites'

/** /console/websites/:id: one website, and all that an operator can do with it. */
const website: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  const find = async ({ id = '' }: Record<string, string>): Promise<Client> =>
    assertFound(await app.store.clients.find(id), id)

  const noun: ConsoleNoun<Client> = {
    noun: 'websites',
    section: SECTION,
    find,
    idOf: ({ client_id }) => client_id,
    nameOf: ({ client_name }) => shownName(client_name),
    toEvent: ({ client_id }, outcome, detail) => ({ event: 'client', outcome, client_id, detail }),
  }

  app.get(
    '/console/websites/:id',
    { schema: { hide: true, params: Params, querystring: Query } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOperator(request)
      const client = await find(request.params)
      const { client_id, disabled_at } = client
      const at = (more: string) => pathOf('websites', client_id, more)
      const history = `console/history?${toQuery({ client_id })}`
      return sendFramed(app, reply, {
        title: shownName(client.client_name),
        signedIn,
        section: SECTION,
        notice: DONE[request.query.done ?? ''],
        main: html`!${client.origin === 'operator' ? '' : html`<p>!${websiteName(client)}</p>`}<section class="card"><dl><div><dt>client_id</dt><dd><code>${client_id}</code>!${stateTag(disabled_at)}</dd></div>
<div><dt>Registered</dt><dd>!${timeElement(client.created_at)}, ${ORIGINS[client.origin]}</dd></div>
!${disabled_at === null ? '' : html`<div><dt>Disabled</dt><dd>!${timeElement(disabled_at)}</dd></div>`}
<div><dt>Proves itself by</dt><dd><code>${client.token_endpoint_auth_method}</code></dd></div>
!${client.jwks_uri === null ? '' : html`<div><dt>Its keys</dt><dd><code>${client.jwks_uri}</code></dd></div>`}
!${clientFields.toRows(client)}
!${modelFields.toRows(await app.policies.ofClient(client_id))}</dl></section>
!${actLinks([
          [at('/edit'), 'Change'],
          [at('/models'), 'Change models'],
          ...(hasSecret(client) ? ([[at('/secret'), 'New secret']] as [string, string][]) : []),
          [history, 'Audit trail'],
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
    ask: (client) => ({ main: clientFields.toInputs(client), button: 'Save' }),
    async act(client, form) {
      const change = clientFields.readChange(form, client)
      if (Object.keys(change).length === 0) return { done: 'same' }
      await app.registration.updateClient(client.client_id, change)
      return { done: 'changed', outcome: 'changed', detail: Object.keys(change).join(', ') }
    },
  })

  serveDeed(app, noun, 'models', {
    verb: 'Models of',
    async ask({ client_id }) {
      const policy = await app.policies.ofClient(client_id)
      return { main: modelFields.toInputs(policy), button: 'Save' }
    },
    async act({ client_id }, form, { owner_id }) {
      const now = await app.policies.ofClient(client_id)
      const change = modelFields.readChange(form, now)
      // It records itself.
      if (Object.keys(change).length > 0) {
        await app.policies.changeClient(client_id, change, { owner_id })
      }
      return { done: 'changed' }
    },
  })

  serveDeed(app, noun, 'secret', {
    verb: 'New secret for',
    ask: () => ({ main: rotationInputs(), button: 'Make a new secret' }),
    async act({ client_id }, form) {
      const secret = await app.registration.rotateClientSecret(client_id, readRotation(form))
      return { secret: ['Its client_secret', secret], outcome: 'secret_rotated' }
    },
  })

  serveDeed(app, noun, 'disable', {
    verb: 'Disable',
    ask: () => ({
      main: '<p>Its sign-ins, codes and tokens end now, and there are no new ones until it is enabled.</p>',
      button: 'Disable it',
      danger: true,
    }),
    async act({ client_id }) {
      await app.registration.updateClient(client_id, { disabled_at: app.clock.now() })
      return { done: 'disabled', outcome: 'disabled' }
    },
  })

  serveDeed(app, noun, 'enable', {
    verb: 'Enable',
    ask: () => ({ main: '<p>Agents may sign in to it again.</p>', button: 'Enable it' }),
    async act({ client_id }) {
      await app.registration.updateClient(client_id, { disabled_at: null })
      return { done: 'enabled', outcome: 'enabled' }
    },
  })

  serveDeed(app, noun, 'delete', {
    verb: 'Delete',
    ask: () => ({
      main: '<p>Its sign-ins, codes and tokens end now, and it is removed with its secret and what owners approved of it. This cannot be undone; to stop it for a while, disable it instead.</p>',
      button: 'Delete it',
      danger: true,
    }),
    async act({ client_id }) {
      const deleted = await app.store.clients.delete(client_id)
      assertFound(deleted || undefined, client_id)
      return { to: `${SECTION}?done=deleted`, outcome: 'deleted' }
    },
  })
}

const Params = Type.Object({ id: Type.String() })
const Query = Type.Object({ done: Type.Optional(Type.String()) })

const ORIGINS = {
  operator: 'by an operator',
  dynamic: 'by itself',
  document: 'by its metadata document',
} as const

const DONE: Record<string, string> = {
  created: 'The website is registered.',
  changed: 'The website was changed.',
  same: 'Nothing was changed.',
  disabled: 'The website is disabled: all its sign-ins have ended.',
  enabled: 'The website is enabled.',
}

export default fp(website, {
  name: 'console/website',
  encapsulate: true,
  decorators: { fastify: [...CONSOLE_NEEDS, 'clock', 'policies', 'registration'] },
})
