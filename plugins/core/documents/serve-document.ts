import etag from '@fastify/etag'
import type { FastifyInstance, FastifySchema } from 'fastify'
import { DatabaseUnavailableError } from '../../../db/store.ts'

/** A JSON document, and how long clients may cache it, in seconds. */
interface ServedDocument {
  make: () => Promise<object>
  maxAge: number
}

/**
 * Serves a document at each of these paths, also to scripts of any origin, with an entity tag (RFC 9110
 * section 8.8.3). The document is made again after a write to the database. While the database cannot
 * be read, the last document is served.
 */
export async function serveDocument(
  app: FastifyInstance,
  routes: { path: string; schema: FastifySchema }[],
  { make, maxAge }: ServedDocument,
): Promise<void> {
  let last: { text: string; version: string } | undefined
  await app.register(async (scope) => {
    await scope.register(etag)
    for (const { path, schema } of routes) {
      scope.get(path, { schema, config: { crossOrigin: true } }, async (_request, reply) => {
        const text = await read()
        reply.header('cache-control', `public, max-age=${maxAge}`)
        return reply.type('application/json; charset=utf-8').send(text)
      })
    }
  })

  async function read(): Promise<string> {
    try {
      const version = await app.store.version()
      if (last?.version !== version) last = { text: JSON.stringify(await make()), version }
      return last.text
    } catch (error) {
      if (last !== undefined && error instanceof DatabaseUnavailableError) return last.text
      throw error
    }
  }
}
