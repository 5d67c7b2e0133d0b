import swagger from '@fastify/swagger'
import about from 'auth-agent/package.json' with { type: 'json' }
import fp from 'fastify-plugin'
import type { ApiDocument, ApiSchema } from '../../../schemas/api-document.ts'

/** What each group of endpoints is for. */
const TAGS: Record<string, string> = {
  'Sign-in': 'Where a website sends its visitor, and what it learns about the agent',
  Tokens: 'What a website or an API does with codes and tokens',
  Agents: 'How an agent proves itself',
  Registration: 'How a client registers itself',
  Discovery: 'What this server can do, for programs and for people',
  Health: 'Whether the server works, for those who run it',
}

const openapi = {
  openapi: '3.1.0',
  info: {
    title: 'Auth Agent',
    version: about.version,
    description: about.description,
    license: { name: 'MIT License', identifier: about.license },
  },
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
} as const

declare module 'fastify' {
  interface FastifyInstance {
    /** Describes every endpoint in OpenAPI 3.1. */
    describeApi: () => ApiDocument
  }
}

/** Describes the routes that are registered after it. The document is made once, on first use. */
export default fp(
  async (app) => {
    await app.register(swagger, {
      openapi: { ...openapi, servers: [{ url: app.settings.ISSUER }] },
      convertConstToEnum: false,
      refResolver: { buildLocalReference: ({ $id }) => String($id) },
    })
    let document: ApiDocument | undefined
    app.decorate('describeApi', () => {
      document ??= complete(structuredClone(app.swagger()) as unknown as ApiDocument)
      return document
    })
  },
  { name: 'describeApi', dependencies: ['errors', 'settings'] },
)

/** Names the groups of endpoints, and corrects the request bodies of `@fastify/swagger`. */
function complete(document: ApiDocument): ApiDocument {
  nameWords(document)
  const operations = Object.values(document.paths).flatMap((methods) => Object.values(methods))
  const used = new Set(operations.flatMap(({ tags = [] }) => tags))
  document.tags = Object.entries(TAGS)
    .filter(([name]) => used.has(name))
    .map(([name, description]) => ({ name, description }))
  for (const { requestBody } of operations) {
    if (requestBody === undefined) continue
    // A body with a default may be left out, but the plugin marks every body as required.
    requestBody.required = !Object.values(requestBody.content).some(
      ({ schema }) => schema?.default !== undefined,
    )
    // OpenAPI's discriminator needs named schemas. Each option already has its grant_type.
    for (const { schema } of Object.values(requestBody.content)) delete schema?.discriminator
  }
  return document
}

/** A choice of constants becomes an `enum`: generators of clients do not support the former. */
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
