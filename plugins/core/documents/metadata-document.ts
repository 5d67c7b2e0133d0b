import fp from 'fastify-plugin'
import { SharedDocument } from './shared-document.ts'

/** For how many seconds clients may keep the metadata. */
const MAX_AGE = 300

declare module 'fastify' {
  interface FastifyInstance {
    /** The metadata as it is served, at each of its two addresses. */
    metadataDocument: Record<'oauth-authorization-server' | 'openid-configuration', SharedDocument>
  }
}

export default fp(
  async (app) => {
    const { metadata, store } = app
    const shared = (make: () => Promise<object>) => new SharedDocument(make, store.version, MAX_AGE)
    app.decorate('metadataDocument', {
      'oauth-authorization-server': shared(() => metadata.document()),
      'openid-configuration': shared(() => metadata.openidDocument()),
    })
  },
  { name: 'metadataDocument', dependencies: ['metadata', 'store'] },
)
