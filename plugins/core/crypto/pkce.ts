import { createHash, timingSafeEqual } from 'node:crypto'
import fp from 'fastify-plugin'

/** Whether a code verifier matches an S256 code challenge (RFC 7636 section 4.6). */
export function verifyPkce(code_verifier: string, code_challenge: string): boolean {
  const computed = createHash('sha256').update(code_verifier).digest()
  const expected = Buffer.from(code_challenge, 'base64url')
  return computed.length === expected.length && timingSafeEqual(computed, expected)
}

declare module 'fastify' {
  interface FastifyInstance {
    verifyPkce: typeof verifyPkce
  }
}

export default fp(
  async (app) => {
    app.decorate('verifyPkce', verifyPkce)
  },
  { name: 'verifyPkce' },
)
