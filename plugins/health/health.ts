import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'

/** GET /healthz: the process answers. GET /readyz: it also has its database and a signing key. */
const health: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/healthz',
    { logLevel: 'warn', schema: { summary: 'Whether the process answers', tags: ['Health'] } },
    async () => ({ status: 'ok' }),
  )

  const ready = { summary: 'Whether the server can sign agents in', tags: ['Health'] }
  app.get('/readyz', { logLevel: 'warn', schema: ready }, async () => {
    await app.store.signingKeys.list()
    await app.keys.active()
    return { status: 'ready' }
  })
}

export default fp(health, {
  name: 'health',
  encapsulate: true,
  decorators: { fastify: ['keys', 'store'] },
})
