import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { errors } from '../../schemas/answers.ts'

/** GET /openapi.json: every endpoint in OpenAPI 3.1, made from the schemas that validate requests. */
const openapi: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/openapi.json',
    {
      schema: {
        operationId: 'readApiDocument',
        summary: 'This document',
        tags: ['Discovery'],
        security: [],
        response: {
          200: {
            description: 'The endpoints in OpenAPI 3.1',
            content: {
              'application/json': { schema: { type: 'object', additionalProperties: true } },
            },
          },
          ...errors(),
        },
      },
      config: { crossOrigin: true },
    },
    async (_request, reply) => {
      reply.header('cache-control', 'public, max-age=300')
      return app.describeApi()
    },
  )
}

export default fp(openapi, {
  name: 'discovery/openapi',
  encapsulate: true,
  decorators: { fastify: ['describeApi'] },
})
