import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { answerPersonError } from '../pages/person-errors.ts'

/** POST /account/sign-out: ends the session of this browser. */
const signOut: FastifyPluginAsyncTypebox = async (app) => {
  app.setErrorHandler(answerPersonError)
  app.post('/account/sign-out', { schema: { hide: true } }, async (request, reply) => {
    app.ownOrigin.assert(request)
    await app.sessions.end(request, reply)
    return reply.redirect(`${app.settings.ISSUER}/account/sign-in`, 303)
  })
}

export default fp(signOut, {
  name: 'account/sign-out',
  encapsulate: true,
  decorators: { fastify: ['ownOrigin', 'sessions', 'settings'] },
})
