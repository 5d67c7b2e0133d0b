import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import { Value } from '@sinclair/typebox/value'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { JsonWebKeySet } from '../../schemas/client.ts'
import { OAuthError } from '../core/http/errors.ts'
import { newClientFields } from '../pages/client-fields.ts'
import { actForm, CONSOLE_NEEDS, secretPage, serveAct } from '../pages/console-act.ts'
import { listPage, pathOf, readPage, stateTag } from '../pages/console-list.ts'
import { sendFramed } from '../pages/frame.ts'
import { websiteName } from '../pages/names.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { timeElement } from '../pages/time.ts'

const SECTION = 'console/websites'

/** /console/websites: every website, and the registration of one. */
const websites: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get(
    '/console/websites',
    { schema: { hide: true, querystring: Query } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOperator(request)
      const { done = '', ...query } = request.query
      return sendFramed(app, reply, {
        title: 'Websites',
        signedIn,
        section: SECTION,
        notice: done === 'deleted' ? 'The website was deleted.' : undefined,
        main: html`<p class="actions"><a class="button" href="console/websites/new">Register a website</a></p>
!${listPage({
          path: SECTION,
          query,
          rows: await app.store.clients.page(readPage(query)),
          searched: 'Name (its beginning), or client_id',
          none: '<p>No website is registered.</p>',
          idOf: ({ client_id }) => client_id,
          toItem: (client) =>
            html`<a href="${pathOf('websites', client.client_id)}">!${websiteName(client)}</a>!${stateTag(client.disabled_at)}!${client.origin === 'operator' ? '' : html` <span class="tag">${ORIGINS[client.origin]}</span>`}<br><code>${client.client_id}</code> <span class="quiet">!${timeElement(client.created_at)}</span>`,
        })}`,
      })
    },
  )

  serveAct<undefined>(app, {
    path: '/console/websites/new',
    section: SECTION,
    find: async () => undefined,
    ask: () => ({
      title: 'Register a website',
      main: actForm({
        path: 'console/websites/new',
        main: newClientFields.toInputs({
          client_name: '',
          redirect_uris: [],
          grant_types: ['authorization_code', 'refresh_token'],
          scope: null,
          default_resource: null,
          subject: 'agent',
          post_logout_redirect_uris: [],
          backchannel_logout_uri: null,
          legacy_polling: null,
          id_token_signed_response_alg: 'RS256',
          refresh_reuse: null,
          refresh_reuse_grace: null,
          authentication: 'secret',
          jwks_uri: null,
          jwks: null,
        }),
        button: 'Register',
        action: 'create-website',
        back: SECTION,
      }),
    }),
    async act(_subject, form) {
      const { authentication, jwks, legacy_polling, ...given } = newClientFields.read(form)
      const { client, client_secret } = await app.registration.createClient({
        ...given,
        token_endpoint_auth_method: METHODS[authentication],
        ...(jwks !== null && { jwks: readKeySet(jwks) }),
        ...(legacy_polling !== null && { legacy_polling: legacy_polling === 'yes' }),
      })
      const { client_id } = client
      const event = { event: 'client', outcome: 'created', client_id } as const
      if (client_secret === undefined) {
        return { to: pathOf('websites', client_id, '?done=created'), event }
      }
      return {
        event,
        page: secretPage(
          `The website is registered as ${client_id}`,
          ['Its client_secret', client_secret],
          pathOf('websites', client_id),
        ),
      }
    },
  })
}

const Query = Type.Object({
  search: Type.Optional(Type.String()),
  before: Type.Optional(Type.String()),
  done: Type.Optional(Type.String()),
})

const ORIGINS = { dynamic: 'registered itself', document: 'by its document' } as const

const METHODS = { secret: 'client_secret_basic', public: 'none', keys: 'private_key_jwt' } as const

/** @throws {OAuthError} invalid_request */
function readKeySet(text: string): JsonWebKeySet {
  try {
    const value: unknown = JSON.parse(text)
    if (Value.Check(JsonWebKeySet, value)) return value
  } catch {
    // Told below: neither is a set of keys.
  }
  throw new OAuthError('invalid_request', 'The keys must be a JSON Web Key Set')
}

export default fp(websites, {
  name: 'console/websites',
  encapsulate: true,
  decorators: { fastify: [...CONSOLE_NEEDS, 'registration'] },
})
