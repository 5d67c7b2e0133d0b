import fp from 'fastify-plugin'
import { SharedDocument } from './shared-document.ts'

/** For how many seconds clients may keep the metadata. */
const MAX_AGE = 300

declare module 'fastify' {
  interface FastifyInstance {
    /** The metadata as it is served. */
    metadataDocument: SharedDocument
  }
}

export default fp(
  async (app) => {
    const { metadata, store } = app
    app.decorate(
      'metadataDocument',
      new SharedDocument(() => metadata.document(), store.version, MAX_AGE),
    )
  },
  { name: 'metadataDocument', dependencies: ['metadata', 'store'] },
)
