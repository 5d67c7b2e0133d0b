import { hash } from 'node:crypto'
import { DatabaseUnavailableError } from '../../../db/store.ts'

export interface WrittenDocument {
  text: string
  /** Among them the entity tag (RFC 9110 section 8.8.3), and for how long caches keep it. */
  headers: { 'cache-control': string; 'content-type': string; etag: string }
}

/** A JSON document that is often read and seldom changes. It is serialized once for each version. */
export class SharedDocument {
  readonly #make: () => Promise<object>
  readonly #version: () => Promise<string>
  readonly #maxAge: number
  #written: (WrittenDocument & { version: string }) | undefined

  /**
   * @param version changes when the content of the document may have changed
   * @param maxAge for how many seconds caches may keep it
   */
  constructor(make: () => Promise<object>, version: () => Promise<string>, maxAge: number) {
    this.#make = make
    this.#version = version
    this.#maxAge = maxAge
  }

  /** The document of now, or the last one when the database cannot be read. */
  async read(): Promise<WrittenDocument> {
    try {
      const version = await this.#version()
      if (this.#written?.version !== version) {
        this.#written = { ...this.#write(await this.#make()), version }
      }
      return this.#written
    } catch (error) {
      if (this.#written && error instanceof DatabaseUnavailableError) return this.#written
      throw error
    }
  }

  #write(document: object): WrittenDocument {
    const text = JSON.stringify(document)
    return {
      text,
      headers: {
        'cache-control': `public, max-age=${this.#maxAge}`,
        'content-type': 'application/json; charset=utf-8',
        etag: `"${hash('sha256', text, 'base64url')}"`,
      },
    }
  }
}
