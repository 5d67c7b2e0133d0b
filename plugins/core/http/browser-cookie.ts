import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { parseCookie, stringifySetCookie } from 'cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { issuerPath } from '../documents/metadata.ts'

/**
 * The cookie that tells the browser which opened a request from every other. One for all tabs; it
 * means nothing beyond this server's waiting pages.
 */
export class BrowserCookie {
  readonly #secure: boolean
  readonly #name: string
  readonly #path: string

  constructor(issuer: string) {
    this.#secure = issuer.startsWith('https:')
    this.#path = issuerPath(issuer) || '/'
    // The prefix that ties a cookie to its host (RFC 6265bis section 4.1.3.2) allows no path.
    const prefix = this.#path === '/' ? '__Host-' : '__Secure-'
    this.#name = this.#secure ? `${prefix}auth-agent` : 'auth-agent'
  }

  /** The value that the browser has, or a new one. */
  readOrMake(request: FastifyRequest): string {
    const value = this.#read(request)
    return value !== undefined && /^[\w-]{43}$/.test(value)
      ? value
      : randomBytes(32).toString('base64url')
  }

  /** Gives the browser its value, for `maxAge` seconds. */
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

  /** What is stored of a value. */
  hash(value: string): string {
    return createHash('sha256').update(value).digest('base64url')
  }

  /** Whether a request comes from the browser with this hash. */
  matches(request: FastifyRequest, hash: string): boolean {
    const value = this.#read(request)
    if (value === undefined) return false
    return timingSafeEqual(Buffer.from(this.hash(value)), Buffer.from(hash))
  }

  #read({ headers }: FastifyRequest): string | undefined {
    return headers.cookie === undefined ? undefined : parseCookie(headers.cookie)[this.#name]
  }
}
