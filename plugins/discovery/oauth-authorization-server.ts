import etag from '@fastify/etag'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'

/** GET /.well-known/oauth-authorization-server: what this server can do (RFC 8414 section 3). */
const oauthAuthorizationServer: FastifyPluginAsyncTypebox = async (app) => {
  await app.register(etag)
  for (const path of app.metadata.wellKnownPaths('oauth-authorization-server')) {
    const schema = {
      summary: 'What this server can do (RFC 8414)',
      tags: ['Discovery'],
      servers: [{ url: app.metadata.origin }],
    }
    app.get(path, { schema, config: { crossOrigin: true } }, async (_request, reply) => {
      const { headers, text } = await app.metadataDocument.read()
      return reply.headers(headers).send(text)
    })
  }
}

export default fp(oauthAuthorizationServer, {
  name: 'discovery/oauth-authorization-server',
  encapsulate: true,
  decorators: { fastify: ['metadata', 'metadataDocument'] },
})
