import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { parseCookie, stringifySetCookie } from 'cookie'
import type { FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import { issuerPath } from './issuer-path.ts'

/** 256 bits in base64url. */
const VALUE = /^[\w-]{43}$/

/** The cookie that a browser sends back. */
export interface BrowserMark {
  name: string
  value: string
}

/**
 * The cookie that identifies the browser which opened a request. All tabs share it, and only this
 * server's waiting pages use it.
 *
 * A browser sends no SameSite=Lax cookie with a form that another site posts to /authorize. The server
 * then cannot know whether the browser has one, and a new value under the same name would break the
 * waiting pages of the other tabs. Such a request gets a cookie of another name. Over https it is
 * SameSite=None, so that the next posted form sends it. Over http (loopback only) browsers refuse
 * SameSite=None, and each form gets a new cookie.
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

  /** The cookie that the browser has, or a new one. */
  readOrMake(request: Pick<FastifyRequest, 'headers' | 'method'>): BrowserMark {
    const marks = this.#read(request)
    const shared = marks.find(({ name }) => name === this.#name)
    if (shared !== undefined) return shared
    const value = randomBytes(32).toString('base64url')
    if (request.method !== 'POST') return { name: this.#name, value }
    const [posted] = marks
    return posted ?? { name: this.#formPrefix + randomBytes(6).toString('base64url'), value }
  }

  /** Gives the browser its cookie, for `maxAge` seconds. */
  set(reply: FastifyReply, { name, value }: BrowserMark, maxAge: number): void {
    const cookie = stringifySetCookie({
      name,
      value,
      path: this.#path,
      httpOnly: true,
      sameSite: this.#secure && name !== this.#name ? 'none' : 'lax',
      secure: this.#secure,
      maxAge,
    })
    reply.header('set-cookie', cookie)
  }

  /** The hash that is stored instead of a cookie's value. */
  hash(value: string): string {
    return createHash('sha256').update(value).digest('base64url')
  }

  /** Whether a request comes from the browser with this hash. */
  matches(request: Pick<FastifyRequest, 'headers'>, hash: string): boolean {
    const expected = Buffer.from(hash)
    return this.#read(request).some(({ value }) =>
      timingSafeEqual(Buffer.from(this.hash(value)), expected),
    )
  }

  get #formPrefix(): string {
    return `${this.#name}-form-`
  }

  #read({ headers }: Pick<FastifyRequest, 'headers'>): BrowserMark[] {
    const marks: BrowserMark[] = []
    for (const [name, value] of Object.entries(parseCookie(headers.cookie ?? ''))) {
      const ours = name === this.#name || name.startsWith(this.#formPrefix)
      if (ours && value !== undefined && VALUE.test(value)) marks.push({ name, value })
    }
    return marks
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    browserCookie: BrowserCookie
  }
}

export default fp(
  async (app) => {
    app.decorate('browserCookie', new BrowserCookie(app.settings.ISSUER))
  },
  { name: 'browserCookie', dependencies: ['settings'] },
)
