import type { FastifyBaseLogger } from 'fastify'
import fp from 'fastify-plugin'
import CachePolicy from 'http-cache-semantics'
import { LRUCache } from 'lru-cache'
import type { RemoteDocument, Store } from '../../../db/store.ts'
import { matchesHostPattern, parseUri } from '../../../schemas/uri.ts'
import { type Clock, isRecent } from '../clock.ts'
import { OAuthError } from '../http/errors.ts'
import { readPrivateHosts, type Settings } from '../settings.ts'
import { FetchBudgets } from './fetch-budgets.ts'
import {
  type FetchedDocument,
  fetchDocument,
  type Network,
  postForm,
  REQUEST_HEADERS,
  RemoteDocumentError,
} from './fetch-document.ts'
import { FetchLog } from './fetch-log.ts'

/** The shortest and longest freshness that a response can ask for, in seconds. */
const FRESH_AT_LEAST = 60
const FRESH_AT_MOST = 86_400
/** How long a copy is used while its host fails, in seconds. */
const KEPT = 604_800
/** How long a URL that failed is not fetched again, in seconds. */
const FAILURE_KEPT = 60
/** The most failures that are remembered; the least recently used are forgotten first. */
const FAILURES = 10_000

/** Errors of this machine (out of sockets or memory), which are not failures of the document. */
const EXHAUSTED = ['EMFILE', 'ENFILE', 'ENOBUFS', 'ENOMEM', 'EADDRNOTAVAIL']

/** On whose behalf a document is read, and how old it may be. */
export interface Asked {
  /** The network address of the caller on whose behalf it is fetched. */
  address: string
  /** Refuses copies that were fetched before this time, in epoch seconds. */
  notBefore?: number
}

/**
 * Reads JSON documents of other hosts. Copies are stored in the database for all processes and used for
 * a week while the host fails. Fetches are bounded, and a URL that failed is not fetched again for a
 * minute.
 */
export class RemoteDocuments {
  readonly #store: Pick<Store, 'remoteDocuments'>
  readonly #clock: Clock
  readonly #network: Network
  readonly #privateHosts: string[]
  readonly #budgets: FetchBudgets
  readonly #log: FetchLog
  readonly #closing = new AbortController()
  readonly #underWay = new Map<string, Promise<RemoteDocument>>()
  readonly #failures = new LRUCache<string, { at: number; error: RemoteDocumentError }>({
    max: FAILURES,
  })

  constructor(
    store: Pick<Store, 'remoteDocuments'>,
    clock: Clock,
    log: Pick<FastifyBaseLogger, 'info' | 'warn'>,
    settings: Pick<Settings, 'PRIVATE_HOSTS'>,
    network: Network = {},
  ) {
    this.#store = store
    this.#clock = clock
    this.#network = network
    this.#privateHosts = readPrivateHosts(settings.PRIVATE_HOSTS).patterns
    this.#budgets = new FetchBudgets(clock)
    this.#log = new FetchLog(clock, log)
  }

  /**
   * The JSON text at an https URL: a fresh copy, or fetched anew.
   * @throws {RemoteDocumentError} and {OAuthError} temporarily_unavailable when too many are fetched
   */
  async read(url: string, maxBytes: number, { address, notBefore = 0 }: Asked): Promise<string> {
    try {
      return await this.#read(url, maxBytes, address, notBefore)
    } catch (error) {
      throw error instanceof RemoteDocumentError && this.#isPrivate(url) ? concealed(error) : error
    }
  }

  /**
   * The error for a document that was fetched and cannot be used. For a private host only the log has
   * the reason: otherwise a stranger, who can name any URL there, would learn what the host serves.
   */
  unusable(url: string, error: OAuthError): OAuthError | RemoteDocumentError {
    if (!this.#isPrivate(url)) return error
    this.#log.record(new URL(url).host, error, 'a document cannot be used')
    return concealed(error)
  }

  #isPrivate(url: string): boolean {
    const hostname = parseUri(url)?.hostname
    if (hostname === undefined) return false
    return this.#privateHosts.some((pattern) => matchesHostPattern(hostname, pattern))
  }

  async #read(url: string, maxBytes: number, address: string, notBefore: number): Promise<string> {
    const copy = await this.#store.remoteDocuments.find(url)
    const now = this.#clock.now()
    if (copy !== undefined && isFresh(copy, now) && copy.fetched_at >= notBefore) {
      return bounded(copy, maxBytes)
    }
    try {
      return (await this.#fetchOnce(url, maxBytes, address)).body
    } catch (error) {
      if (copy === undefined || copy.expires_at <= now) throw error
      if (error instanceof OAuthError) return bounded(copy, maxBytes)
      if (!(error instanceof RemoteDocumentError) || error.gone) throw error
      return bounded(copy, maxBytes)
    }
  }

  /**
   * Tells a client something by a form, under the same guard and bounds, and returns the status of its
   * answer.
   * @throws {RemoteDocumentError} and {OAuthError} temporarily_unavailable when too much is under way
   */
  async post(url: string, form: Record<string, string>): Promise<number> {
    const parsed = parseUri(url)
    if (parsed === undefined) throw new RemoteDocumentError('is not a URL in its normal form')
    const giveBack = this.#budgets.take(parsed.hostname)
    try {
      const { signal } = this.#closing
      return await postForm(parsed, form, this.#network, this.#isPrivate(url), signal)
    } finally {
      giveBack()
    }
  }

  /** Aborts all fetches, and waits until they have ended. */
  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.allSettled(this.#underWay.values())
  }

  /** Callers who want the same document at the same time share one fetch; a failure is remembered. */
  #fetchOnce(url: string, maxBytes: number, address: string): Promise<RemoteDocument> {
    // The limit is part of the name: a document too large for one caller may be accepted by another.
    const name = `${maxBytes} ${url}`
    const failure = this.#failures.get(name)
    if (failure !== undefined && isRecent(failure.at, FAILURE_KEPT, this.#clock.now())) {
      throw failure.error
    }
    const underWay = this.#underWay.get(name)
    if (underWay !== undefined) return underWay
    const parsed = parseUri(url)
    if (parsed === undefined) throw new RemoteDocumentError('is not a URL in its normal form')
    const giveBack = this.#budgets.take(parsed.hostname, address)
    const fetching = this.#fetch(parsed, url, maxBytes)
      .catch((error) => {
        if (error instanceof RemoteDocumentError && !this.#closing.signal.aborted) {
          this.#failures.set(name, { at: this.#clock.now(), error })
        }
        throw error
      })
      .finally(() => {
        giveBack()
        this.#underWay.delete(name)
      })
    this.#underWay.set(name, fetching)
    return fetching
  }

  async #fetch(parsed: URL, url: string, maxBytes: number): Promise<RemoteDocument> {
    let fetched: FetchedDocument
    try {
      const isPrivate = this.#isPrivate(url)
      const { signal } = this.#closing
      fetched = await fetchDocument(parsed, maxBytes, this.#network, isPrivate, signal)
    } catch (error) {
      this.#log.record(parsed.host, error)
      const { cause } = error as Error
      if (!EXHAUSTED.includes((cause as NodeJS.ErrnoException | undefined)?.code ?? '')) throw error
      throw new OAuthError('temporarily_unavailable', 'Nothing can be fetched at the moment', {
        headers: { 'retry-after': '5' },
        cause,
      })
    }
    const now = this.#clock.now()
    const document: RemoteDocument = {
      url,
      body: fetched.body,
      fetched_at: now,
      fresh_until: now + freshness(url, fetched),
      expires_at: now + KEPT,
    }
    await this.#store.remoteDocuments.save(document)
    return document
  }
}

/** The same error for every cause. */
function concealed(cause: Error): RemoteDocumentError {
  const forOperator = cause instanceof RemoteDocumentError ? cause.forOperator : cause.message
  return new RemoteDocumentError('cannot be fetched', { cause, forOperator })
}

/** RFC 9111 section 4.2, within our bounds. A copy from the future is not fresh. */
function isFresh({ fetched_at, fresh_until }: RemoteDocument, now: number): boolean {
  return isRecent(fetched_at, fresh_until - fetched_at, now)
}

function freshness(url: string, { headers }: FetchedDocument): number {
  const policy = new CachePolicy(
    { url, method: 'GET', headers: REQUEST_HEADERS },
    { status: 200, headers: headers as Record<string, string> },
  )
  const seconds = policy.storable() ? Math.round(policy.timeToLive() / 1000) : 0
  return Math.min(Math.max(seconds, FRESH_AT_LEAST), FRESH_AT_MOST)
}

/** The text of a copy, which may have been fetched under a larger limit. */
function bounded({ body }: RemoteDocument, maxBytes: number): string {
  if (Buffer.byteLength(body) <= maxBytes) return body
  throw new RemoteDocumentError(`is larger than ${maxBytes} bytes`)
}

declare module 'fastify' {
  interface FastifyInstance {
    remoteDocuments: RemoteDocuments
  }
}

export default fp<{ network?: Network | undefined }>(
  async (app, { network }) => {
    const { clock, log, settings, store } = app
    const remoteDocuments = new RemoteDocuments(store, clock, log, settings, network)
    app.decorate('remoteDocuments', remoteDocuments)
    app.addHook('onClose', () => remoteDocuments.close())
  },
  { name: 'remoteDocuments', dependencies: ['clock', 'settings', 'store'] },
)
