import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { errors } from '../../schemas/answers.ts'
import { Health, Readiness } from '../../schemas/health.ts'
import { OAuthError } from '../core/http/errors.ts'

/**
 * GET /healthz: the process answers. GET /readyz: it could also write to its database within the last
 * second, and has a signing key.
 */
const health: FastifyPluginAsyncTypebox = async (app) => {
  app.get(
    '/healthz',
    {
      logLevel: 'warn',
      schema: {
        operationId: 'checkHealth',
        summary: 'Whether the process answers',
        tags: ['Health'],
        security: [],
        response: { 200: Health, ...errors() },
      },
    },
    async (): Promise<Health> => ({ status: 'ok' }),
  )

  const ready = {
    operationId: 'checkReadiness',
    summary: 'Whether the server can sign agents in',
    tags: ['Health'],
    security: [],
    response: { 200: Readiness, ...errors() },
  }
  app.get('/readyz', { logLevel: 'warn', schema: ready }, async (): Promise<Readiness> => {
    const readiness = await app.store.readiness(app.clock.now())
    if (readiness.outcome === 'unavailable') {
      throw new OAuthError(
        'temporarily_unavailable',
        `The database cannot be used: ${readiness.reason}`,
        { headers: { 'retry-after': '1' } },
      )
    }
    await app.keys.active()
    return { status: 'ready' }
  })
}

export default fp(health, {
  name: 'health',
  encapsulate: true,
  decorators: { fastify: ['clock', 'keys', 'store'] },
})
