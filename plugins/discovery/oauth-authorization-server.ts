import etag from '@fastify/etag'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { METADATA_MAX_AGE } from '../core/metadata.ts'
import { SharedDocument } from '../core/shared-document.ts'

/** GET /.well-known/oauth-authorization-server: what this server can do (RFC 8414 section 3). */
const oauthAuthorizationServer: FastifyPluginAsyncTypebox = async (app) => {
  await app.register(etag)
  const document = new SharedDocument(() => app.metadata.document(), app.store.version)

  for (const path of app.metadata.wellKnownPaths('oauth-authorization-server')) {
    const schema = {
      summary: 'What this server can do (RFC 8414)',
      tags: ['Discovery'],
      servers: [{ url: app.metadata.origin }],
    }
    app.get(path, { schema, config: { crossOrigin: true } }, (_request, reply) =>
      document.send(reply, METADATA_MAX_AGE),
    )
  }
}

export default fp(oauthAuthorizationServer, {
  name: 'discovery/oauth-authorization-server',
  encapsulate: true,
  decorators: { fastify: ['metadata', 'store'] },
})
