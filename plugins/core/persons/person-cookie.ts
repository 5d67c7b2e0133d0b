import { parseCookie, stringifySetCookie } from 'cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Prefix } from '../../../schemas/identifier.ts'
import { issuerPath } from '../http/issuer-path.ts'

/** A cookie of a person's browser: sent to this host alone, never to a script, never across sites. */
export class PersonCookie {
  readonly #prefix: Prefix
  readonly #secure: boolean
  readonly #name: string
  readonly #path: string

  /** @param prefix what its values start with */
  constructor(issuer: string, name: string, prefix: Prefix) {
    this.#prefix = prefix
    this.#secure = issuer.startsWith('https:')
    this.#path = issuerPath(issuer) || '/'
    // The prefix that ties a cookie to its host (RFC 6265bis section 4.1.3.2) allows no path.
    const host = this.#path === '/' ? '__Host-' : '__Secure-'
    this.#name = `${this.#secure ? host : ''}auth-agent-${name}`
  }

  read({ headers }: Pick<FastifyRequest, 'headers'>): string | undefined {
    const value = parseCookie(headers.cookie ?? '')[this.#name]
    return value?.startsWith(this.#prefix) ? value : undefined
  }

  set(reply: FastifyReply, value: string, maxAge: number): void {
    const cookie = stringifySetCookie({
      name: this.#name,
      value,
      path: this.#path,
      httpOnly: true,
      sameSite: 'lax',
      secure: this.#secure,
      maxAge,
    })
    reply.header('set-cookie', cookie)
  }
}
