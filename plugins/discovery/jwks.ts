import etag from '@fastify/etag'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { cachedDocument, errors } from '../../schemas/answers.ts'
import { KEY_SET_MAX_AGE } from '../core/crypto/keys.ts'
import { SharedDocument } from '../core/documents/shared-document.ts'

/** GET /.well-known/jwks.json: the public keys that verify our tokens (RFC 7517 section 5). */
const jwks: FastifyPluginAsyncTypebox = async (app) => {
  app.metadata.advertise({ jwks_uri: '/.well-known/jwks.json' })

  await app.register(etag)
  const keySet = new SharedDocument(
    async () => {
      app.keys.forget()
      return { keys: await app.keys.publicJwks() }
    },
    // Keys leave the set as time goes by.
    async () => `${await app.store.version()} ${app.clock.now()}`,
    KEY_SET_MAX_AGE,
  )

  app.get(
    '/.well-known/jwks.json',
    {
      schema: {
        operationId: 'readKeySet',
        summary: 'The public keys that verify tokens (RFC 7517)',
        tags: ['Discovery'],
        security: [],
        response: { ...cachedDocument('The key set'), ...errors() },
      },
      config: { crossOrigin: true },
    },
    async (_request, reply) => {
      const { headers, text } = await keySet.read()
      return reply.headers(headers).send(text)
    },
  )
}

export default fp(jwks, {
  name: 'discovery/jwks',
  encapsulate: true,
  decorators: { fastify: ['clock', 'keys', 'metadata', 'store'] },
})
