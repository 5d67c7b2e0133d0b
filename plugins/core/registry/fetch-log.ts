import type { FastifyBaseLogger } from 'fastify'
import { LRUCache } from 'lru-cache'
import { type Clock, isRecent } from '../clock.ts'
import { RemoteDocumentError } from './fetch-document.ts'

/** How many lines are logged a minute: for one host, and in total. */
const LINES = { host: 1, all: 20 }
const MINUTE = 60
const REMEMBERED = 1000

/** The error codes when this machine cannot reach the internet or its nameservers. */
const NO_WAY_OUT = ['ENETUNREACH', 'ENETDOWN', 'ETIMEOUT', 'EREFUSED', 'ECANCELLED']

const HINT =
  'a document was not fetched: this server may be unable to reach the internet, which client metadata documents and jwks_uri need; CLIENT_ID_METADATA_DOCUMENTS=off stops advertising the documents'

/** Logs why documents could not be fetched, in a bounded number of lines. */
export class FetchLog {
  readonly #clock: Clock
  readonly #log: Pick<FastifyBaseLogger, 'info' | 'warn'>
  readonly #lines = new LRUCache<string, { count: number; since: number }>({ max: REMEMBERED })

  constructor(clock: Clock, log: Pick<FastifyBaseLogger, 'info' | 'warn'>) {
    this.#clock = clock
    this.#log = log
  }

  /** @param what the beginning of the line */
  record(host: string, error: unknown, what = 'a document was not fetched'): void {
    if (!this.#admits(`host ${host}`, LINES.host) || !this.#admits('all', LINES.all)) return
    const { message, cause } = error as Error
    const { code, syscall = '', message: detail } = (cause ?? error) as NodeJS.ErrnoException
    const hint = error instanceof RemoteDocumentError ? error.forOperator : message
    const facts = {
      host,
      reason: message,
      cause: detail || code,
      ...(hint !== message && { hint }),
    }
    const unanswered = code === 'ECONNREFUSED' && syscall.startsWith('query')
    if (unanswered || NO_WAY_OUT.includes(code ?? '')) this.#log.warn(facts, HINT)
    else this.#log.info(facts, what)
  }

  #admits(name: string, limit: number): boolean {
    const now = this.#clock.now()
    const counted = this.#lines.get(name)
    if (counted === undefined || !isRecent(counted.since, MINUTE, now)) {
      this.#lines.set(name, { count: 1, since: now })
      return true
    }
    counted.count += 1
    return counted.count <= limit
  }
}
