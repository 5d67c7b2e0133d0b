import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'
import { cachedDocument, errors } from '../../schemas/answers.ts'
import { KEY_SET_MAX_AGE } from '../core/crypto/keys.ts'
import { serveDocument } from '../core/documents/serve-document.ts'

/**
 * GET /.well-known/jwks.json: the public keys that verify our tokens (RFC 7517 section 5). A key whose
 * last token has expired leaves with the next write to the database: maintenance writes every minute.
 */
const jwks: FastifyPluginAsyncTypebox = async (app) => {
  const path = '/.well-known/jwks.json'
  app.metadata.advertise({ jwks_uri: path })

  const schema = {
    operationId: 'readKeySet',
    summary: 'The public keys that verify tokens (RFC 7517)',
    tags: ['Discovery'],
    security: [],
    response: { ...cachedDocument('The key set'), ...errors() },
  }
  const make = async () => {
    app.keys.forget()
    return { keys: await app.keys.publicJwks() }
  }
  await serveDocument(app, [{ path, schema }], { make, maxAge: KEY_SET_MAX_AGE })
}

export default fp(jwks, {
  name: 'discovery/jwks',
  encapsulate: true,
  decorators: { fastify: ['keys', 'metadata', 'store'] },
})
