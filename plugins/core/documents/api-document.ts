import type { FastifyInstance, FastifySchema, RouteOptions } from 'fastify'
import type { ApiDocument } from '../../../schemas/api-document.ts'
import { ErrorBody } from '../../../schemas/error.ts'

/** What any endpoint may answer. */
const always = {
  500: 'Something broke on this server (`server_error`)',
  503: 'The server is busy (`temporarily_unavailable`), try again after `Retry-After` seconds',
}

/**
 * A function that describes every route of the application in OpenAPI 3.1. The work is done once,
 * when it is first asked for, and by packages that are loaded then: a server that is never asked
 * starts as fast as without it.
 */
export function createApiDocument(
  app: Pick<FastifyInstance, 'addHook' | 'settings'>,
  createBlank: () => FastifyInstance,
): () => Promise<ApiDocument> {
  const routes: RouteOptions[] = []
  app.addHook('onRoute', (route) => void routes.push(route))
  let document: Promise<ApiDocument> | undefined
  return () => {
    document ??= describe(routes, app.settings.ISSUER, createBlank())
    return document
  }
}

/** The routes once more, on an application that never listens: `@fastify/swagger` reads them there. */
async function describe(
  routes: RouteOptions[],
  issuer: string,
  app: FastifyInstance,
): Promise<ApiDocument> {
  const { default: swagger } = await import('@fastify/swagger')
  app.setValidatorCompiler(() => () => true)
  app.setSerializerCompiler(() => JSON.stringify)
  app.addSchema({ $id: 'Error', ...ErrorBody })
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Auth Agent',
        version: '0.1.0',
        description: 'The authorization server that lets AI agents sign in to websites',
      },
      servers: [{ url: issuer }],
      components: {
        securitySchemes: {
          client: {
            type: 'http',
            scheme: 'basic',
            description: 'client_id and client_secret; they may be sent in the body instead',
          },
          accessToken: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'JWT',
            description: 'An access token (RFC 6750, RFC 9068); to register, the token for that',
          },
        },
      },
    },
    convertConstToEnum: false,
    refResolver: { buildLocalReference: ({ $id }) => String($id) },
  })
  for (const { method, url, schema, config } of routes) {
    if (method === 'HEAD' || method === 'OPTIONS') continue
    app.route({ method, url, schema: complete(schema, config?.answers), handler: async () => null })
  }
  await app.ready()
  return app.swagger() as unknown as ApiDocument
}

/** The schema of a route with an answer for each status. */
function complete(schema: FastifySchema = {}, answers: Record<number, string> = {}): FastifySchema {
  const response: Record<string, object> = {}
  for (const [status, answer] of Object.entries(schema.response ?? {})) {
    response[status] = { 'x-response-description': schema.summary, ...answer }
  }
  for (const [status, description] of Object.entries({ ...answers, ...always })) {
    response[status] =
      Number(status) >= 400
        ? { description, content: { 'application/json': { schema: { $ref: 'Error#' } } } }
        : { description, type: 'null' }
  }
  if (!Object.keys(response).some((status) => Number(status) < 400)) {
    const type = schema.produces ? 'string' : 'object'
    response[200] = { 'x-response-description': schema.summary, type }
  }
  return { ...schema, response }
}
