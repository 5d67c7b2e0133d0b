import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

const OPEN = { 'access-control-allow-origin': '*' }
/** What scripts may read besides the body: why they were refused, and when to come again. */
const EXPOSED = { 'access-control-expose-headers': 'WWW-Authenticate, Retry-After' }
/** The wildcard leaves out Authorization (Fetch section 3.3.3); old browsers know no wildcard. */
const ALLOWED_HEADERS = '*, Authorization, Content-Type, MCP-Protocol-Version'
/** How long a preflight may be remembered, in seconds; browsers cap it at this. */
const PREFLIGHT_MAX_AGE = 7200

/**
 * Lets scripts of any origin call the routes whose config says `crossOrigin`, without credentials
 * (Fetch section 3.3). Every answer is the same for all origins, so none varies.
 */
export function installCors(app: FastifyInstance): void {
  const methodsOf = new Map<string, Set<string>>()

  app.addHook('onRoute', (route) => {
    const crossOrigin = route.config?.crossOrigin
    if (!crossOrigin) return
    const methods = [route.method].flat()
    if (methods.includes('OPTIONS')) return
    const hook = crossOrigin === 'cached' ? allowAlways : allowWhenAsked
    route.onRequest = [hook, ...[route.onRequest ?? []].flat()]

    const known = methodsOf.get(route.url)
    for (const method of methods) known?.add(method)
    if (known !== undefined) return
    const all = new Set(methods)
    methodsOf.set(route.url, all)
    app.options(route.url, (_request, reply) => {
      const allowed = [...all].join(', ')
      return reply
        .code(204)
        .headers({
          ...OPEN,
          allow: allowed,
          'access-control-allow-methods': allowed,
          'access-control-allow-headers': ALLOWED_HEADERS,
          'access-control-max-age': PREFLIGHT_MAX_AGE,
        })
        .send()
    })
  })
}

/** For what caches keep: they may hand it to somebody who does ask. */
function allowAlways(_request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  reply.headers(OPEN)
  done()
}

function allowWhenAsked(request: FastifyRequest, reply: FastifyReply, done: () => void): void {
  if (request.headers.origin !== undefined) reply.headers(OPEN).headers(EXPOSED)
  done()
}
