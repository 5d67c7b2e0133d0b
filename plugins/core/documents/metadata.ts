import fp from 'fastify-plugin'
import { issuerPath } from '../http/issuer-path.ts'

type Members = Record<string, string | boolean | string[]>

/**
 * The metadata of this server (RFC 8414 section 2). Endpoints advertise themselves when they are
 * registered, so the metadata cannot advertise an endpoint that does not exist.
 */
export class Metadata {
  readonly #issuer: string
  readonly #issuerPath: string
  readonly #members: Members = {}
  readonly #own = new Set<string>()
  readonly #sources: (() => Promise<Members>)[] = []

  constructor(issuer: string) {
    this.#issuer = issuer
    this.#issuerPath = issuerPath(issuer)
  }

  /** The public URL of a path of this server. */
  url(path: string): string {
    return this.#issuer + path
  }

  /** The origin of the issuer. */
  get origin(): string {
    return new URL(this.#issuer).origin
  }

  /**
   * The paths of a document about the issuer: at the root and, if the issuer has a path, with that path
   * appended (RFC 8414 section 3.1). Under the issuer's own path it is served by `withoutIssuerPath`.
   */
  wellKnownPaths(name: string): string[] {
    const path = `/.well-known/${name}`
    return this.#issuerPath === '' ? [path] : [path, path + this.#issuerPath]
  }

  /** Adds members. Arrays are appended; a value that starts with `/` becomes a URL of this server. */
  advertise(members: Members): void {
    for (const [name, value] of Object.entries(members)) {
      this.#members[name] =
        typeof value === 'string' && value.startsWith('/')
          ? this.url(value)
          : joined(this.#members[name], value)
    }
  }

  /** The same for members that no standard has: OpenID Connect clients are not told them. */
  advertiseOwn(members: Members): void {
    for (const name of Object.keys(members)) this.#own.add(name)
    this.advertise(members)
  }

  /** Adds a source of members that can change. It is called for every document. */
  advertiseFrom(source: () => Promise<Members>): void {
    this.#sources.push(source)
  }

  /** The document, without empty arrays (RFC 8414 section 3.2). */
  async document(): Promise<Record<string, unknown>> {
    const document: Members = { issuer: this.#issuer, ...this.#members }
    for (const source of this.#sources) {
      for (const [name, value] of Object.entries(await source())) {
        if (Array.isArray(value) && value.length === 0) continue
        document[name] = joined(document[name], value)
      }
    }
    return document
  }

  /** The document for OpenID Connect clients, of registered names alone. */
  async openidDocument(): Promise<Record<string, unknown>> {
    const members = Object.entries(await this.document())
    return Object.fromEntries(members.filter(([name]) => !this.#own.has(name)))
  }
}

function joined(present: Members[string] | undefined, value: Members[string]): Members[string] {
  return Array.isArray(value) && Array.isArray(present)
    ? [...new Set([...present, ...value])]
    : value
}

declare module 'fastify' {
  interface FastifyInstance {
    metadata: Metadata
  }
}

export default fp(
  async (app) => {
    app.decorate('metadata', new Metadata(app.settings.ISSUER))
  },
  { name: 'metadata', dependencies: ['settings'] },
)
