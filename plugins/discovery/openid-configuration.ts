import etag from '@fastify/etag'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'

/**
 * GET /.well-known/openid-configuration: the same document for OpenID Connect clients, who append
 * the path to the issuer (OpenID Connect Discovery section 4), and for those who insert it (RFC 8414
 * section 5).
 */
const openidConfiguration: FastifyPluginAsyncTypebox = async (app) => {
  await app.register(etag)
  for (const path of app.metadata.wellKnownPaths('openid-configuration')) {
    const schema = {
      summary: 'The same for OpenID Connect clients (OpenID Connect Discovery section 4)',
      tags: ['Discovery'],
      servers: [{ url: app.metadata.origin }],
    }
    app.get(path, { schema, config: { crossOrigin: true } }, async (_request, reply) => {
      const { headers, text } = await app.metadataDocument.read()
      return reply.headers(headers).send(text)
    })
  }
}

export default fp(openidConfiguration, {
  name: 'discovery/openid-configuration',
  encapsulate: true,
  decorators: { fastify: ['metadata', 'metadataDocument'] },
})
