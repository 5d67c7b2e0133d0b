import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { shownName } from '../../schemas/name.ts'
import { assertFound } from '../core/registry/found.ts'
import {
  actForm,
  CONSOLE_NEEDS,
  type ConsoleNoun,
  secretPage,
  serveAct,
  serveDeed,
} from '../pages/console-act.ts'
import { pathOf } from '../pages/console-list.ts'
import { FieldSet, numberOrNull, textOrNull } from '../pages/fields.ts'
import { sendFramed } from '../pages/frame.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { timeElement } from '../pages/time.ts'

const SECTION = 'console/tokens'

/** /console/tokens: what allows others to register websites (RFC 7591 section 3). */
const tokens: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  const noun: ConsoleNoun<RegistrationToken> = {
    noun: 'tokens',
    section: SECTION,
    async find({ id = '' }) {
      const all = await app.store.initialAccessTokens.list()
      return assertFound(
        all.find(({ token_id }) => token_id === id),
        id,
      )
    },
    idOf: ({ token_id }) => token_id,
    nameOf: tokenName,
    toEvent: ({ token_id }, outcome) => ({
      event: 'registration_token',
      outcome,
      detail: token_id,
    }),
  }

  app.get(
    '/console/tokens',
    { schema: { hide: true, querystring: Query } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOperator(request)
      const all = await app.store.initialAccessTokens.list()
      const { DYNAMIC_REGISTRATION } = app.settings
      const now = app.clock.now()
      return sendFramed(app, reply, {
        title: 'Registration tokens',
        signedIn,
        section: SECTION,
        notice: request.query.done === 'deleted' ? 'The token was deleted.' : undefined,
        main: html`<p>Whoever has one can register websites. They count only where <code>DYNAMIC_REGISTRATION</code> is <code>token</code>; here it is <code>${DYNAMIC_REGISTRATION}</code>.</p>
<p class="actions"><a class="button" href="console/tokens/new">Make a token</a></p>
!${
          all.length === 0
            ? '<p>There is none.</p>'
            : html`<ul class="plain rows">!${all
                .map((token) => {
                  const { token_id, created_at, expires_at } = token
                  const end =
                    expires_at === null
                      ? 'good until deleted'
                      : html`${expires_at > now ? 'good until' : 'expired'} !${timeElement(expires_at)}`
                  return html`<li><bdi>${tokenName(token)}</bdi> <a class="button danger" href="${pathOf('tokens', token_id, '/delete')}" aria-label="Delete ${token_id}">Delete</a><br><code>${token_id}</code> <span class="quiet">made !${timeElement(created_at)}, !${end}</span></li>`
                })
                .join('\n')}</ul>`
        }`,
      })
    },
  )

  serveAct<undefined>(app, {
    path: '/console/tokens/new',
    section: SECTION,
    find: async () => undefined,
    ask: () => ({
      title: 'Make a registration token',
      main: actForm({
        path: 'console/tokens/new',
        main: newToken.toInputs({ name: null, expires_in: null }),
        button: 'Make it',
        action: 'create-token',
        back: SECTION,
      }),
    }),
    async act(_subject, form) {
      const { name, expires_in } = newToken.read(form)
      const { token_id, initial_access_token } = await app.registration.createInitialAccessToken(
        name ?? undefined,
        expires_in ?? undefined,
      )
      return {
        event: { event: 'registration_token', outcome: 'created', detail: token_id },
        page: secretPage(
          `The token ${token_id} is made`,
          ['The initial access token', initial_access_token],
          SECTION,
        ),
      }
    },
  })

  serveDeed(app, noun, 'delete', {
    verb: 'Delete',
    ask: () => ({
      main: '<p>Nobody can register with it any more. Websites that it registered stay.</p>',
      button: 'Delete it',
      danger: true,
    }),
    async act({ token_id }) {
      assertFound((await app.store.initialAccessTokens.delete(token_id)) || undefined, token_id)
      return { to: `${SECTION}?done=deleted`, outcome: 'deleted' }
    },
  })
}

interface RegistrationToken {
  token_id: string
  name: string | null
  created_at: number
  expires_at: number | null
}

const newToken = new FieldSet<{ name: string | null; expires_in: number | null }>({
  name: textOrNull('Name', 'none', { hint: 'Whom it is for' }),
  expires_in: numberOrNull('For how many seconds it is good', 'until deleted', {
    hint: 'Nothing here: until it is deleted',
    minimum: 1,
    maximum: 315_360_000,
  }),
})

function tokenName({ name, token_id }: Pick<RegistrationToken, 'name' | 'token_id'>): string {
  return name === null ? token_id : shownName(name)
}

const Query = Type.Object({ done: Type.Optional(Type.String()) })

export default fp(tokens, {
  name: 'console/tokens',
  encapsulate: true,
  decorators: { fastify: [...CONSOLE_NEEDS, 'clock', 'registration'] },
})
