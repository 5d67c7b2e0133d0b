import { readFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import fp from 'fastify-plugin'

/** GET /account/webauthn.js: the script of @simplewebauthn/browser, which pages with a passkey load. */
const webauthn: FastifyPluginAsyncTypebox = async (app) => {
  let script: Promise<string> | undefined
  app.get('/account/webauthn.js', { schema: { hide: true } }, async (_request, reply) => {
    script ??= readScript()
    return reply
      .headers({
        'content-type': 'text/javascript; charset=utf-8',
        'cache-control': 'public, max-age=3600',
        'x-content-type-options': 'nosniff',
        'cross-origin-resource-policy': 'same-origin',
      })
      .send(await script)
  })
}

async function readScript(): Promise<string> {
  // The package exports no path to its bundle: it is found beside what it does export.
  const main = createRequire(import.meta.url).resolve('@simplewebauthn/browser')
  return await readFile(join(dirname(main), '../dist/bundle/index.umd.min.js'), 'utf8')
}

export default fp(webauthn, { name: 'account/webauthn', encapsulate: true })
