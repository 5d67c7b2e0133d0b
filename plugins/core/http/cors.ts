import cors, { type FastifyCorsOptions } from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'

/** The headers that scripts may read: the challenge of a refusal, and when to try again. */
const EXPOSED_HEADERS = ['WWW-Authenticate', 'Retry-After']
/** The wildcard leaves out Authorization (Fetch section 3.3.3); old browsers know no wildcard. */
const ALLOWED_HEADERS = ['*', 'Authorization', 'Content-Type', 'MCP-Protocol-Version']
/** How long a preflight may be remembered, in seconds; browsers cap it at this. */
const PREFLIGHT_MAX_AGE = 7200

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Whether scripts of any origin may call the route (without credentials). */
    crossOrigin?: boolean
    /** The options of @fastify/cors for the route; set from `crossOrigin`. */
    cors?: FastifyCorsOptions
  }
}

/**
 * Lets scripts of any origin call the routes whose config says `crossOrigin`, without credentials
 * (Fetch section 3.3), and no others. Every answer is the same for all origins, so none varies.
 */
async function installCors(app: FastifyInstance): Promise<void> {
  await app.register(cors, { origin: false, strictPreflight: false })

  const methodsOf = new Map<string, string[]>()
  app.addHook('onRoute', (route) => {
    if (!route.config?.crossOrigin) return
    const open: FastifyCorsOptions = { origin: '*', exposedHeaders: EXPOSED_HEADERS }
    route.config.cors = open
    const known = methodsOf.get(route.url)
    const methods = known ?? []
    methods.push(...[route.method].flat())
    if (known !== undefined) return
    methodsOf.set(route.url, methods)
    // @fastify/cors answers the preflight; it finds the options of the path by this route.
    const preflight = {
      ...open,
      methods,
      allowedHeaders: ALLOWED_HEADERS,
      maxAge: PREFLIGHT_MAX_AGE,
    }
    app.options(
      route.url,
      { schema: { hide: true }, config: { cors: preflight } },
      (_request, reply) => reply.callNotFound(),
    )
  })
}

export default fp(installCors, { name: 'cors' })
