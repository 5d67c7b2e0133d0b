import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { html } from 'ghtml'
import { sendFramed } from '../pages/frame.ts'
import { answerPersonError } from '../pages/person-errors.ts'

/** GET /account: the owner's own things at a glance. */
const account: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  app.get('/account', { schema: { hide: true } }, async (request, reply) => {
    const signedIn = await app.sessions.assertOwner(request)
    const agents = await app.store.agents.listOfOwner(signedIn.owner.owner_id)
    return sendFramed(app, reply, {
      title: 'Your account',
      signedIn,
      section: 'account',
      main: html`<p>${agents.length === 1 ? 'One agent is' : `${agents.length} agents are`} yours.</p>`,
    })
  })
}

export default fp(account, {
  name: 'account/account',
  encapsulate: true,
  decorators: { fastify: ['sessions', 'settings', 'store'] },
})
