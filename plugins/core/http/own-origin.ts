import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { OAuthError } from './errors.ts'

/**
 * Refuses a form or script of another origin that posts with a person's cookies (cross-site request
 * forgery). Browsers say where a POST comes from, in `Origin` or `Sec-Fetch-Site`, and no page can
 * change either. What is there has to name this server, and one of the two has to be there: so pages
 * with forms are served with a Referrer-Policy that keeps their own origin (`Origin` is `null` under
 * `no-referrer`).
 */
export class OwnOrigin {
  readonly #origin: string

  constructor(issuer: string) {
    this.#origin = new URL(issuer).origin
  }

  /** @throws {OAuthError} access_denied (403) */
  assert({ headers }: Pick<FastifyRequest, 'headers'>): void {
    const { origin, 'sec-fetch-site': site } = headers
    const isKnown = origin !== undefined || site !== undefined
    const isOwn =
      (origin === undefined || origin === this.#origin) &&
      (site === undefined || site === 'same-origin')
    if (isKnown && isOwn) return
    throw new OAuthError(
      'access_denied',
      `This form was not sent from a page of this server: open it at ${this.#origin} and try again`,
    )
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    ownOrigin: OwnOrigin
  }
}

export default fp(
  async (app) => {
    app.decorate('ownOrigin', new OwnOrigin(app.settings.ISSUER))
  },
  { name: 'ownOrigin', dependencies: ['settings'] },
)
