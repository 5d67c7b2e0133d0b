import about from 'auth-agent/package.json' with { type: 'json' }
import type { FastifyInstance, RouteOptions } from 'fastify'
import type { ApiDocument, ApiSchema } from '../../../schemas/api-document.ts'
import { ErrorBody } from '../../../schemas/error.ts'

/** What each group of endpoints is for. */
const TAGS: Record<string, string> = {
  'Sign-in': 'What a website sends its visitor to, and what it learns about the agent',
  Tokens: 'What a website or an API does with codes and tokens',
  Agents: 'How an agent proves itself',
  Registration: 'How a client registers itself',
  Discovery: 'What this server can do, for programs and for people',
  Health: 'Whether the server works, for those who run it',
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
        version: about.version,
        description: about.description,
        license: { name: 'MIT License', identifier: about.license },
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
  for (const { method, url, schema } of routes) {
    if (method === 'HEAD' || method === 'OPTIONS') continue
    app.route({ method, url, schema, handler: async () => null })
  }
  await app.ready()
  const document = structuredClone(app.swagger()) as unknown as ApiDocument
  nameWords(document)
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods))
  const used = new Set(operations.flatMap(({ tags = [] }) => tags))
  document.tags = Object.entries(TAGS)
    .filter(([name]) => used.has(name))
    .map(([name, description]) => ({ name, description }))
  for (const { requestBody } of operations) {
    if (requestBody === undefined) continue
    // A body that has a default may be left out; the plugin says of every body that it is required.
    requestBody.required = !Object.values(requestBody.content).some(
      ({ schema }) => schema?.default !== undefined,
    )
    // In OpenAPI it needs schemas with names; each option says its grant_type itself.
    for (const { schema } of Object.values(requestBody.content)) delete schema?.discriminator
  }
  return document
}

/** Words that are told apart become an `enum`: generators of clients know no choice of constants. */
function nameWords(node: unknown): void {
  if (typeof node !== 'object' || node === null) return
  for (const child of Object.values(node)) nameWords(child)
  const schema: ApiSchema = node
  const { anyOf, description } = schema
  if (anyOf === undefined || !anyOf.every((option) => typeof option.const === 'string')) return
  const meanings = anyOf
    .filter((option) => option.description !== undefined)
    .map((option) => `\`${option.const}\`: ${option.description}`)
  const text = [description, meanings.join('; ')].filter(Boolean).join('. ')
  delete schema.anyOf
  schema.type = 'string'
  schema.enum = anyOf.map((option) => option.const)
  if (text !== '') schema.description = text
}
