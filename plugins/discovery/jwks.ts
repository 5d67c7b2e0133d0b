import etag from '@fastify/etag'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { KEY_SET_MAX_AGE } from '../core/keys.ts'

/** GET /.well-known/jwks.json: the public keys that verify our tokens (RFC 7517 section 5). */
const jwks: FastifyPluginAsyncTypebox = async (app) => {
  app.metadata.advertise({ jwks_uri: '/.well-known/jwks.json' })

  await app.register(etag)

  app.get(
    '/.well-known/jwks.json',
    {
      schema: { summary: 'The public keys that verify tokens (RFC 7517)', tags: ['Discovery'] },
      config: { crossOrigin: true },
    },
    async (_request, reply) => {
      reply.header('cache-control', `public, max-age=${KEY_SET_MAX_AGE}`)
      return { keys: await app.keys.publicJwks() }
    },
  )
}

export default fp(jwks, {
  name: 'discovery/jwks',
  encapsulate: true,
  decorators: { fastify: ['keys', 'metadata'] },
})
