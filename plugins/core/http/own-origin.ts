import type { FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { OAuthError } from './errors.ts'

/**
 * Refuses a form or script of another origin that posts with a person's cookies (cross-site request
 * forgery). Browsers send the origin of a POST in `Origin` or `Sec-Fetch-Site`, and no page can change
 * either. At least one of the two must be present, and each that is must name this server. Pages with
 * forms therefore have a Referrer-Policy that keeps their own origin (under `no-referrer`, `Origin` is
 * `null`).
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
