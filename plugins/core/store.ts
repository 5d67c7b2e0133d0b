import fp from 'fastify-plugin'
import { openStore, type Store } from '../../db/store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    store: Store
  }
}

export default fp<{ existingDatabase?: boolean | undefined }>(
  async (app, { existingDatabase }) => {
    const store = await openStore(app.settings.DATABASE_URL, {
      existing: existingDatabase,
      log: app.log,
    })
    app.decorate('store', store)
    app.addHook('onClose', async () => store.close())
  },
  { name: 'store', dependencies: ['settings'] },
)
