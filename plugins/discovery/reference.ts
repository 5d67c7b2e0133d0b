import { randomBytes } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { errors, text } from '../../schemas/answers.ts'
import { pageHeaders } from '../pages/layout.ts'
import { referencePage } from '../pages/reference.ts'

/** GET /docs: the OpenAPI document as a self-contained page. */
const reference: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/docs',
    {
      schema: {
        operationId: 'readReference',
        summary: 'Every endpoint on one page',
        tags: ['Discovery'],
        security: [],
        produces: ['text/html'],
        response: { 200: text('text/html', 'The page'), ...errors() },
      },
    },
    async (_request, reply) => {
      const nonce = randomBytes(16).toString('base64')
      return reply.headers(pageHeaders(nonce)).send(referencePage(app.describeApi(), nonce))
    },
  )
}

export default fp(reference, {
  name: 'discovery/reference',
  encapsulate: true,
  decorators: { fastify: ['describeApi'] },
})
