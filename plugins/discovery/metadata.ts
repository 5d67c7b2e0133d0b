import etag from '@fastify/etag'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { cachedDocument, errors } from '../../schemas/answers.ts'

/**
 * GET /.well-known/oauth-authorization-server (RFC 8414 section 3) and
 * GET /.well-known/openid-configuration: what this server can do. Both are one document, but for the
 * names of our own, which the second leaves out.
 * OpenID Connect clients append the second to the issuer (OpenID Connect Discovery section 4), or
 * insert it behind the host (RFC 8414 section 5).
 */
const metadata: FastifyPluginAsyncTypebox = async (app) => {
  await app.register(etag)
  serve('oauth-authorization-server', 'readServerMetadata', 'What this server can do (RFC 8414)')
  serve(
    'openid-configuration',
    'readOpenidConfiguration',
    'The same for OpenID Connect clients (OpenID Connect Discovery section 4)',
  )

  function serve(
    name: keyof typeof app.metadataDocument,
    operationId: string,
    summary: string,
  ): void {
    for (const [index, path] of app.metadata.wellKnownPaths(name).entries()) {
      const schema = {
        operationId: index === 0 ? operationId : `${operationId}OfPath`,
        summary,
        tags: ['Discovery'],
        security: [],
        servers: [{ url: app.metadata.origin }],
        response: { ...cachedDocument('The metadata'), ...errors() },
      }
      app.get(path, { schema, config: { crossOrigin: true } }, async (_request, reply) => {
        const { headers, text } = await app.metadataDocument[name].read()
        return reply.headers(headers).send(text)
      })
    }
  }
}

export default fp(metadata, {
  name: 'discovery/metadata',
  encapsulate: true,
  decorators: { fastify: ['metadata', 'metadataDocument'] },
})
