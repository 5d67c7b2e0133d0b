import { lookup as systemLookup } from 'node:dns'
import { isIP, type LookupFunction } from 'node:net'
import CachePolicy from 'http-cache-semantics'
import ipaddr from 'ipaddr.js'
import type { Agent } from 'undici'
import type { RemoteDocument, Store } from '../../../db/store.ts'
import type { Clock } from '../clock.ts'
import { OAuthError } from '../http/errors.ts'

/** In milliseconds, for the whole of a fetch. */
const TIMEOUT = 5000
/** How many fetches are under way at most, so that strangers cannot make us busy for them. */
const CONCURRENT = 32
/** The bounds of what a response may say of its own freshness, in seconds. */
const FRESH_AT_LEAST = 60
const FRESH_AT_MOST = 86_400
/** For how many seconds a copy serves while its host fails. */
const KEPT = 604_800

/** How this server reaches others; by default through the system's resolver and certificates. */
export interface Network {
  lookup?: LookupFunction
  /** Whether an address may be connected to; by default those of the public internet. */
  allowsAddress?: (address: string) => boolean
  /** Certificates of authorities to trust, in PEM. */
  ca?: string
}

/** Why a document cannot be had, in words for whoever published it. */
export class RemoteDocumentError extends Error {
  override name = 'RemoteDocumentError'
  /** Whether its host says that it is there no more, so that no copy may stand in. */
  readonly gone: boolean
  constructor(message: string, options: { gone?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.gone = options.gone ?? false
  }
}

/**
 * JSON documents that strangers publish, fetched so that nobody can make this server talk to what is
 * not on the public internet: addresses are checked after the name is resolved and are the ones
 * connected to, redirects are not followed, size and time are bounded. Copies are in the database,
 * for all processes, and serve for a week when the host fails.
 */
export class RemoteDocuments {
  readonly #store: Pick<Store, 'remoteDocuments'>
  readonly #clock: Clock
  readonly #allowsAddress: (address: string) => boolean
  readonly #network: Network
  #agent: Promise<Agent> | undefined
  readonly #underWay = new Map<string, Promise<RemoteDocument>>()

  constructor(store: Pick<Store, 'remoteDocuments'>, clock: Clock, network: Network = {}) {
    this.#store = store
    this.#clock = clock
    this.#allowsAddress = network.allowsAddress ?? isPublicAddress
    this.#network = network
  }

  /**
   * The JSON text at an https URL: a fresh copy, or fetched anew.
   * @param notBefore refuses copies that were fetched before this time, in epoch seconds
   * @throws {RemoteDocumentError} and {OAuthError} temporarily_unavailable when too many are fetched
   */
  async read(url: string, maxBytes: number, notBefore = 0): Promise<string> {
    const copy = await this.#store.remoteDocuments.find(url)
    const now = this.#clock.now()
    if (copy !== undefined && copy.fresh_until > now && copy.fetched_at >= notBefore) {
      return copy.body
    }
    try {
      return (await this.#fetchOnce(url, maxBytes)).body
    } catch (error) {
      if (copy === undefined || copy.expires_at <= now) throw error
      if (error instanceof OAuthError) return copy.body
      if (!(error instanceof RemoteDocumentError) || error.gone) throw error
      // The host is left alone for a while.
      await this.#store.remoteDocuments.save({ ...copy, fresh_until: now + FRESH_AT_LEAST })
      return copy.body
    }
  }

  async close(): Promise<void> {
    await (await this.#agent)?.destroy()
  }

  /** Loaded when it is first needed: most servers never fetch anything, and it is large. */
  async #connect(): Promise<Agent> {
    const { Agent } = await import('undici')
    const { lookup = systemLookup, ca } = this.#network
    return new Agent({
      pipelining: 0,
      connect: {
        timeout: TIMEOUT,
        lookup: this.#checked(lookup),
        ...(ca !== undefined && { ca }),
      },
    })
  }

  /** Those who want the same document at the same time share one fetch. */
  #fetchOnce(url: string, maxBytes: number): Promise<RemoteDocument> {
    let fetching = this.#underWay.get(url)
    if (fetching === undefined) {
      if (this.#underWay.size >= CONCURRENT) {
        throw new OAuthError('temporarily_unavailable', 'Too many documents are being fetched', {
          headers: { 'retry-after': '5' },
        })
      }
      fetching = this.#fetch(url, maxBytes).finally(() => this.#underWay.delete(url))
      this.#underWay.set(url, fetching)
    }
    return fetching
  }

  async #fetch(url: string, maxBytes: number): Promise<RemoteDocument> {
    const { hostname, origin, pathname, protocol, search } = new URL(url)
    if (protocol !== 'https:') throw new RemoteDocumentError(`${url} is not https`)
    const host = hostname.replace(/^\[|\]$/g, '')
    // A literal address is connected to without a lookup.
    if (isIP(host) !== 0 && !this.#allowsAddress(host)) throw notPublic(hostname)

    const headers = { accept: 'application/json', 'user-agent': 'auth-agent' }
    let fetched: { body: string; fresh: number }
    try {
      this.#agent ??= this.#connect()
      const agent = await this.#agent
      const response = await agent.request({
        origin,
        path: pathname + search,
        method: 'GET',
        headers,
        signal: AbortSignal.timeout(TIMEOUT),
      })
      // Without a listener, what the connection still does after `destroy` would be uncaught.
      response.body.on('error', () => {})
      try {
        assertDocument(url, response)
        const body = await readBounded(url, response.body, maxBytes)
        const policy = new CachePolicy(
          { url, method: 'GET', headers },
          { status: 200, headers: response.headers },
        )
        fetched = { body, fresh: policy.storable() ? Math.round(policy.timeToLive() / 1000) : 0 }
      } finally {
        response.body.destroy()
      }
    } catch (error) {
      if (error instanceof RemoteDocumentError) throw error
      const { cause } = error as Error
      if (cause instanceof RemoteDocumentError) throw cause
      throw new RemoteDocumentError(`${url} cannot be fetched`, { cause: error })
    }
    const now = this.#clock.now()
    const document: RemoteDocument = {
      url,
      body: fetched.body,
      fetched_at: now,
      fresh_until: now + Math.min(Math.max(fetched.fresh, FRESH_AT_LEAST), FRESH_AT_MOST),
      expires_at: now + KEPT,
    }
    await this.#store.remoteDocuments.save(document)
    return document
  }

  /** A lookup whose every answer may be connected to: the socket uses these addresses and no other. */
  #checked(lookup: LookupFunction): LookupFunction {
    return (hostname, options, callback) => {
      lookup(hostname, options, (error, answer, family) => {
        // Strangers are not told which names there are on our own network.
        if (error) return callback(notPublic(hostname), '')
        const addresses = typeof answer === 'string' ? [answer] : answer.map((one) => one.address)
        if (addresses.length === 0 || !addresses.every(this.#allowsAddress)) {
          return callback(notPublic(hostname), '')
        }
        callback(null, answer, family)
      })
    }
  }
}

/** Whether an address is of the public internet, and of no special use (RFC 6890). */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return false
  const address = ipaddr.process(text)
  if (address.range() !== 'unicast') return false
  return address.kind() === 'ipv4' || address.match(ipaddr.parseCIDR('2000::/3'))
}

function notPublic(host: string): RemoteDocumentError {
  return new RemoteDocumentError(`${host} is not on the public internet`)
}

function assertDocument(
  url: string,
  { statusCode, headers }: { statusCode: number; headers: Record<string, unknown> },
): void {
  if (statusCode !== 200) {
    throw new RemoteDocumentError(`${url} answered ${statusCode} instead of 200`, {
      gone: statusCode === 404 || statusCode === 410,
    })
  }
  const type = String(headers['content-type'] ?? '')
  if (!/^application\/([\w.-]+\+)?json *(;|$)/i.test(type)) {
    throw new RemoteDocumentError(`${url} is not JSON`)
  }
  const encoding = headers['content-encoding'] ?? 'identity'
  if (encoding !== 'identity') throw new RemoteDocumentError(`${url} is compressed`)
}

async function readBounded(
  url: string,
  body: AsyncIterable<Buffer>,
  maxBytes: number,
): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > maxBytes) throw new RemoteDocumentError(`${url} is larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString('utf8')
}
