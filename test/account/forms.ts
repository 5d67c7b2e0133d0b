import type { FastifyInstance, RouteOptions } from 'fastify'
import { buildApp, endpoints } from '../../plugins/app.ts'

/** Every route of the account and the console, by method. */
export async function listRoutes(method: string): Promise<string[]> {
  const routes: RouteOptions[] = []
  const watch = Object.assign(
    async (app: FastifyInstance) => {
      app.addHook('onRoute', (route) => void routes.push(route))
    },
    { [Symbol.for('skip-override')]: true },
  )
  const app = await buildApp(
    { DATABASE_URL: 'sqlite::memory:', LOG_LEVEL: 'silent' },
    { endpoints: [watch, ...endpoints] },
  )
  await app.close()
  return routes
    .filter((route) => [route.method].flat().includes(method))
    .map(({ url }) => url)
    .filter((url) => /^\/(account|console)(\/|$)/.test(url))
}
