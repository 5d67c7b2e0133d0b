import { createHash } from 'node:crypto'
import type { FastifyReply } from 'fastify'

interface Written {
  text: string
  etag: string
}

/** A JSON document that is asked for often and changes seldom: written once for each version. */
export class SharedDocument {
  readonly #make: () => Promise<object>
  readonly #version: () => Promise<string>
  #written: (Written & { version: string }) | undefined

  /** @param version of all that the document is made of */
  constructor(make: () => Promise<object>, version: () => Promise<string>) {
    this.#make = make
    this.#version = version
  }

  /** Sends the document with its entity tag (RFC 9110 section 8.8.3); caches keep it for `maxAge` seconds. */
  async send(reply: FastifyReply, maxAge: number): Promise<FastifyReply> {
    const version = await this.#version()
    if (this.#written?.version !== version) {
      this.#written = { ...write(await this.#make()), version }
    }
    const { text, etag } = this.#written
    return reply
      .headers({
        'cache-control': `public, max-age=${maxAge}`,
        'content-type': 'application/json; charset=utf-8',
        etag,
      })
      .send(text)
  }
}

function write(document: object): Written {
  const text = JSON.stringify(document)
  return { text, etag: `"${createHash('sha256').update(text).digest('base64url')}"` }
}
