import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { shownName } from '../../schemas/name.ts'
import type { Resource } from '../core/core.ts'
import { assertFound } from '../core/registry/found.ts'
import {
  actForm,
  CONSOLE_NEEDS,
  type ConsoleNoun,
  overlapInputs,
  readOverlap,
  secretPage,
  serveAct,
  serveDeed,
} from '../pages/console-act.ts'
import { actLinks, pathOf } from '../pages/console-list.ts'
import { sendFramed } from '../pages/frame.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { newResourceFields, resourceFields } from '../pages/resource-fields.ts'
import { timeElement } from '../pages/time.ts'

const SECTION = 'console/resources'

/** /console/resources: the APIs and MCP servers that tokens can be for. */
const resources: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  const noun: ConsoleNoun<Resource> = {
    noun: 'resources',
    section: SECTION,
    find: async ({ id = '' }) => assertFound(await app.store.resources.find(id), id),
    idOf: ({ resource_id }) => resource_id,
    nameOf: resourceName,
    toEvent: ({ resource_id }, outcome, detail) => ({
      event: 'resource',
      outcome,
      detail: detail === undefined ? resource_id : `${resource_id} | ${detail}`,
    }),
  }

  app.get(
    '/console/resources',
    { schema: { hide: true, querystring: Query } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOperator(request)
      const all = await app.store.resources.list()
      return sendFramed(app, reply, {
        title: 'APIs',
        signedIn,
        section: SECTION,
        notice: DONE[request.query.done ?? ''],
        main: html`<p class="actions"><a class="button" href="console/resources/new">Register an API</a></p>
!${all.length === 0 ? '<p>No API is registered: tokens are for this server alone.</p>' : html`<ul class="plain rows">!${all.map((resource) => html`<li><a href="${pathOf('resources', resource.resource_id)}"><bdi>${resourceName(resource)}</bdi></a><br><code>${resource.uri}</code></li>`).join('\n')}</ul>`}`,
      })
    },
  )

  app.get(
    '/console/resources/:id',
    { schema: { hide: true, params: Params, querystring: Query } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOperator(request)
      const resource = await noun.find(request.params)
      const { resource_id } = resource
      const at = (more: string) => pathOf('resources', resource_id, more)
      return sendFramed(app, reply, {
        title: resourceName(resource),
        signedIn,
        section: SECTION,
        notice: DONE[request.query.done ?? ''],
        main: html`<section class="card"><dl><div><dt>resource_id</dt><dd><code>${resource_id}</code></dd></div>
<div><dt>URI</dt><dd><code>${resource.uri}</code></dd></div>
<div><dt>Registered</dt><dd>!${timeElement(resource.created_at)}</dd></div>
!${resourceFields.toRows(resource)}</dl></section>
!${actLinks([
          [at('/edit'), 'Change'],
          [at('/secret'), 'New secret'],
          [at('/delete'), 'Delete', 'danger'],
        ])}`,
      })
    },
  )

  serveAct<undefined>(app, {
    path: '/console/resources/new',
    section: SECTION,
    find: async () => undefined,
    ask: () => ({
      title: 'Register an API',
      main: actForm({
        path: 'console/resources/new',
        main: newResourceFields.toInputs({
          uri: '',
          name: null,
          scopes: [],
          open_to: 'registered',
          access_token_alg: null,
        }),
        button: 'Register',
        action: 'create-resource',
        back: SECTION,
      }),
    }),
    async act(_subject, form) {
      const { name, ...given } = newResourceFields.read(form)
      const { resource, resource_secret } = await app.registration.createResource({
        ...given,
        ...(name !== null && { name }),
      })
      const { resource_id } = resource
      return {
        event: noun.toEvent(resource, 'created'),
        page: secretPage(
          `The API is registered as ${resource_id}`,
          ['Its resource_secret, with which it introspects', resource_secret],
          pathOf('resources', resource_id),
        ),
      }
    },
  })

  serveDeed(app, noun, 'edit', {
    verb: 'Change',
    ask: (resource) => ({ main: resourceFields.toInputs(resource), button: 'Save' }),
    async act(resource, form) {
      const change = resourceFields.readChange(form, resource)
      if (Object.keys(change).length === 0) return { done: 'same' }
      await app.registration.updateResource(resource.resource_id, change)
      return { done: 'changed', outcome: 'changed', detail: Object.keys(change).join(', ') }
    },
  })

  serveDeed(app, noun, 'secret', {
    verb: 'New secret for',
    ask: () => ({ main: overlapInputs(), button: 'Make a new secret' }),
    async act({ resource_id }, form) {
      const secret = await app.registration.rotateResourceSecret(resource_id, readOverlap(form))
      return { secret: ['Its resource_secret', secret], outcome: 'secret_rotated' }
    },
  })

  serveDeed(app, noun, 'delete', {
    verb: 'Delete',
    ask: () => ({
      main: '<p>No more tokens are issued for it, and it can no longer introspect any. This cannot be undone.</p>',
      button: 'Delete it',
      danger: true,
    }),
    async act({ resource_id }) {
      assertFound((await app.store.resources.delete(resource_id)) || undefined, resource_id)
      return { to: `${SECTION}?done=deleted`, outcome: 'deleted' }
    },
  })
}

function resourceName({ name, uri }: Pick<Resource, 'name' | 'uri'>): string {
  return name === null ? uri : shownName(name)
}

const Params = Type.Object({ id: Type.String() })
const Query = Type.Object({ done: Type.Optional(Type.String()) })

const DONE: Record<string, string> = {
  changed: 'The API was changed.',
  same: 'Nothing was changed.',
  deleted: 'The API was deleted.',
}

export default fp(resources, {
  name: 'console/resources',
  encapsulate: true,
  decorators: { fastify: [...CONSOLE_NEEDS, 'registration'] },
})
