/**
 * What the server can do, said by the endpoints themselves when they are registered, so that the
 * metadata cannot advertise what is not there (RFC 8414 section 2).
 */
export class Metadata {
  readonly #issuer: string
  readonly #members: Record<string, unknown> = {}

  constructor(issuer: string) {
    this.#issuer = issuer
  }

  /** The public URL of a path of this server. */
  url(path: string): string {
    return this.#issuer + path
  }

  /** Adds members; the items of an array join those that are there. Ends of URLs start with `/`. */
  advertise(members: Record<string, string | boolean | string[]>): void {
    for (const [name, value] of Object.entries(members)) {
      const present = this.#members[name]
      if (Array.isArray(value) && Array.isArray(present)) {
        this.#members[name] = [...new Set([...present, ...value])]
      } else if (typeof value === 'string' && value.startsWith('/')) {
        this.#members[name] = this.url(value)
      } else this.#members[name] = value
    }
  }

  /** The document. */
  toJSON(): Record<string, unknown> {
    return { issuer: this.#issuer, ...this.#members }
  }
}
