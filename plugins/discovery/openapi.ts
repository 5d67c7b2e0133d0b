import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'

/** GET /openapi.json: every endpoint in OpenAPI 3.1, made from the schemas that requests are held to. */
const openapi: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/openapi.json',
    {
      schema: { summary: 'This document', tags: ['Discovery'] },
      config: { crossOrigin: true },
    },
    async (_request, reply) => {
      reply.header('cache-control', 'public, max-age=300')
      return await app.apiDocument()
    },
  )
}

export default fp(openapi, {
  name: 'discovery/openapi',
  encapsulate: true,
  decorators: { fastify: ['apiDocument'] },
})
