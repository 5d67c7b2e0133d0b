import { type FastifyPluginAsyncTypebox, Type } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { actForm, CONSOLE_NEEDS, secretPage, serveAct } from '../pages/console-act.ts'
import { listPage, pathOf, readPage, stateTag } from '../pages/console-list.ts'
import { FieldSet, text, textOrNull, yesOrNo } from '../pages/fields.ts'
import { sendFramed } from '../pages/frame.ts'
import { answerPersonError } from '../pages/person-errors.ts'
import { timeElement } from '../pages/time.ts'

const SECTION = 'console/owners'

/** /console/owners: everybody who has an account, and the invitation of one. */
const owners: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)

  app.get(
    '/console/owners',
    { schema: { hide: true, querystring: Query } },
    async (request, reply) => {
      const signedIn = await app.sessions.assertOperator(request)
      const { done = '', ...query } = request.query
      return sendFramed(app, reply, {
        title: 'Owners',
        signedIn,
        section: SECTION,
        notice: DONE[done],
        main: html`<p class="actions"><a class="button" href="console/owners/invite">Invite somebody</a></p>
!${listPage({
          path: SECTION,
          query,
          rows: await app.store.owners.page(readPage(query)),
          searched: 'Name or e-mail address (its beginning), or owner_id',
          none: '<p>Nobody has an account.</p>',
          idOf: ({ owner_id }) => owner_id,
          toItem: (owner) =>
            html`<a href="${pathOf('owners', owner.owner_id)}"><bdi>${owner.email}</bdi></a>!${owner.operator ? ' <span class="tag good">operator</span>' : ''}!${stateTag(owner.disabled_at)}<br><code>${owner.owner_id}</code> <span class="quiet">!${timeElement(owner.created_at)}</span>`,
        })}`,
      })
    },
  )

  serveAct<undefined>(app, {
    path: '/console/owners/invite',
    section: SECTION,
    find: async () => undefined,
    ask: () => ({
      title: 'Invite somebody',
      main: actForm({
        path: 'console/owners/invite',
        main: html`<p>The link opens an account and works once, within 24 hours. For somebody who has an account it is the way back in.</p>!${invitation.toInputs({ email: '', name: null, operator: false, verified: false, mail: false })}`,
        button: 'Invite',
        action: 'invite',
        back: SECTION,
      }),
    }),
    async act(_subject, form, { owner_id: by, address }) {
      const { email, name, ...options } = invitation.read(form)
      const given = { ...options, by, address, ...(name !== null && { name }) }
      const { invitation_url, owner } = await app.owners.invite(email, given)
      if (options.mail) return { to: `${SECTION}?done=mailed` }
      return {
        page: secretPage(
          `The invitation of ${owner.email}`,
          ['The link, for that person alone', invitation_url],
          pathOf('owners', owner.owner_id),
        ),
      }
    },
  })
}

interface InvitationValues {
  email: string
  name: string | null
  operator: boolean
  verified: boolean
  mail: boolean
}

const invitation = new FieldSet<InvitationValues>({
  email: text('E-mail address', { type: 'email' }),
  name: textOrNull('Name', 'none', { hint: 'What you call them' }),
  operator: yesOrNo('What they may do', 'They may also administer this server', 'yes', 'no'),
  verified: yesOrNo(
    'Whose address it is',
    'You vouch that the address is theirs: agents that bear it become theirs',
    'yes',
    'no',
  ),
  mail: yesOrNo(
    'How the link goes to them',
    'Mail it, and do not show it here; its use verifies the address',
    'by mail',
    'by you',
  ),
})

const Query = Type.Object({
  search: Type.Optional(Type.String()),
  before: Type.Optional(Type.String()),
  done: Type.Optional(Type.String()),
})

const DONE: Record<string, string> = {
  deleted: 'The account was deleted.',
  mailed: 'The invitation was mailed.',
}

export default fp(owners, {
  name: 'console/owners',
  encapsulate: true,
  decorators: { fastify: [...CONSOLE_NEEDS, 'owners'] },
})
