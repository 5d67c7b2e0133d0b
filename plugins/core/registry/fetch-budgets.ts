import { isIP } from 'node:net'
import type { Clock } from '../clock.ts'
import { OAuthError } from '../http/errors.ts'
import { networksOf, shareOf } from '../limits/network.ts'
import { WindowCounts } from '../limits/window-counts.ts'

/** How many fetches may be under way at the same time. */
const UNDER_WAY = { host: 2, domain: 4, network: 8, all: 128 }
/** How many may begin within a minute; `pair` is one network and one host. */
const BEGUN = { pair: 60, host: 240, domain: 480, network: 240, all: 1200 }
const MINUTE = 60
/** The Retry-After when too many are under way, in seconds. */
const RETRY_AFTER = 5

/** The share of a fetch in one budget. */
interface Share {
  name: string
  underWay: number
  begun: number
}

/**
 * Bounds the fetches that callers cause: for each host, each domain, each calling network, and in
 * total. Neither a host that never answers nor a caller who asks for many documents can block the
 * documents of others, and this server cannot be used to flood another.
 */
export class FetchBudgets {
  readonly #underWay = new Map<string, number>()
  readonly #begun: WindowCounts

  constructor(clock: Clock) {
    this.#begun = new WindowCounts(clock, MINUTE)
  }

  /**
   * Takes a share of each budget; those of a network where a caller from one asks. The function that it returns gives it back when the fetch ends.
   * @throws {OAuthError} temporarily_unavailable
   */
  take(hostname: string, address?: string): () => void {
    const shares = sharesOf(hostname, address)
    const waits = shares.map((share) => this.#wait(share))
    const seconds = Math.max(...waits)
    if (seconds > 0) {
      throw new OAuthError('temporarily_unavailable', 'Too many documents are being fetched', {
        headers: { 'retry-after': String(seconds) },
      })
    }
    for (const { name } of shares) {
      this.#underWay.set(name, (this.#underWay.get(name) ?? 0) + 1)
      this.#begun.add(name)
    }
    return () => {
      for (const { name } of shares) {
        const left = (this.#underWay.get(name) ?? 0) - 1
        if (left > 0) this.#underWay.set(name, left)
        else this.#underWay.delete(name)
      }
    }
  }

  /** For how many seconds a budget is exhausted. */
  #wait({ name, underWay, begun }: Share): number {
    const seconds = this.#begun.secondsLeft(name, begun)
    if (seconds !== undefined) return seconds
    return (this.#underWay.get(name) ?? 0) >= underWay ? RETRY_AFTER : 0
  }
}

function sharesOf(hostname: string, address: string | undefined): Share[] {
  const callers = address === undefined ? [] : networksOf(address)
  const networks = callers.flatMap((network) => [
    {
      name: `network ${network}`,
      underWay: UNDER_WAY.network * shareOf(network),
      begun: BEGUN.network * shareOf(network),
    },
    {
      name: `network ${network} at ${hostname}`,
      underWay: UNDER_WAY.host,
      begun: BEGUN.pair * shareOf(network),
    },
  ])
  return [
    { name: 'all', underWay: UNDER_WAY.all, begun: BEGUN.all },
    { name: `host ${hostname}`, underWay: UNDER_WAY.host, begun: BEGUN.host },
    { name: `domain ${domainOf(hostname)}`, underWay: UNDER_WAY.domain, begun: BEGUN.domain },
    ...networks,
  ]
}

/**
 * The registered domain, guessed from the name: the last two labels, or three if the second-level label
 * is a short one of a country (`co.uk`, `com.au`).
 */
export function domainOf(hostname: string): string {
  const host = hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0) return host
  const labels = host.split('.')
  const [second = '', top = ''] = labels.slice(-2)
  return labels.slice(top.length === 2 && second.length <= 3 ? -3 : -2).join('.')
}
