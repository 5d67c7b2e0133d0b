import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { cachedDocument, errors } from '../../schemas/answers.ts'
import { serveDocument } from '../core/documents/serve-document.ts'

/** How long clients may cache the metadata, in seconds. */
const MAX_AGE = 300

/**
 * GET /.well-known/oauth-authorization-server (RFC 8414 section 3) and
 * GET /.well-known/openid-configuration: what this server supports. The second leaves out names that
 * no standard has; otherwise both are the same document.
 * OpenID Connect clients append the second to the issuer (OpenID Connect Discovery section 4), or
 * insert it after the host (RFC 8414 section 5).
 */
const metadata: FastifyPluginAsyncTypebox = async (app) => {
  await serve('oauth-authorization-server', {
    operationId: 'readServerMetadata',
    summary: 'What this server can do (RFC 8414)',
    make: () => app.metadata.document(),
  })
  await serve('openid-configuration', {
    operationId: 'readOpenidConfiguration',
    summary: 'The same for OpenID Connect clients (OpenID Connect Discovery section 4)',
    make: () => app.metadata.openidDocument(),
  })

  async function serve(
    name: string,
    {
      operationId,
      summary,
      make,
    }: { operationId: string; summary: string; make: () => Promise<object> },
  ): Promise<void> {
    const routes = app.metadata.wellKnownPaths(name).map((path, index) => ({
      path,
      schema: {
        operationId: index === 0 ? operationId : `${operationId}OfPath`,
        summary,
        tags: ['Discovery'],
        security: [],
        servers: [{ url: app.metadata.origin }],
        response: { ...cachedDocument('The metadata'), ...errors() },
      },
    }))
    await serveDocument(app, routes, { make, maxAge: MAX_AGE })
  }
}

export default fp(metadata, {
  name: 'discovery/metadata',
  encapsulate: true,
  decorators: { fastify: ['metadata', 'store'] },
})
