import { randomBytes } from 'node:crypto'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { errors, text } from '../../schemas/answers.ts'
import { WEBSITE_ERRORS_PATH } from '../core/http/website-errors.ts'
import { pageHeaders } from '../pages/layout.ts'
import { websiteErrorsPage } from '../pages/website-errors.ts'

/**
 * GET /docs/errors: the errors that the operator of a website can correct, with what to change. Each has
 * an anchor, which is its `error_uri` (RFC 6749 sections 4.1.2.1 and 5.2).
 */
const websiteErrors: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    WEBSITE_ERRORS_PATH,
    {
      schema: {
        operationId: 'readWebsiteErrors',
        summary: 'The errors that the operator of a website can correct',
        tags: ['Discovery'],
        security: [],
        produces: ['text/html'],
        response: { 200: text('text/html', 'A page with an anchor for each error'), ...errors() },
      },
    },
    async (_request, reply) => {
      const nonce = randomBytes(16).toString('base64')
      return reply.headers(pageHeaders(nonce)).send(websiteErrorsPage(nonce))
    },
  )
}

export default fp(websiteErrors, { name: 'discovery/website-errors', encapsulate: true })
