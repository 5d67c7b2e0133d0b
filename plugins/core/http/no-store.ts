import fp from 'fastify-plugin'

/**
 * Keeps answers out of caches (RFC 6749 section 5.1), except where a route sets its own
 * Cache-Control.
 */
export default fp(
  async (app) => {
    app.addHook('onRequest', (_request, reply, done) => {
      reply.header('cache-control', 'no-store')
      done()
    })
  },
  { name: 'noStore' },
)
