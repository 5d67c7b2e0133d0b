import { isIP } from 'node:net'
import ipaddr from 'ipaddr.js'
import { LRUCache } from 'lru-cache'
import { type Clock, isRecent } from '../clock.ts'
import { OAuthError } from '../http/errors.ts'

/** How many fetches may be under way at the same time. */
const UNDER_WAY = { host: 2, domain: 4, network: 8, all: 128 }
/** How many may begin within a minute; `pair` is one network at one host. */
const BEGUN = { pair: 60, host: 240, domain: 480, network: 240, all: 1200 }
const MINUTE = 60
/** How many names are counted; the longest unheard of go first. */
const REMEMBERED = 20_000
/** When to try again while others are under way, in seconds. */
const RETRY_AFTER = 5

/** What a fetch takes of one budget. */
interface Share {
  name: string
  underWay: number
  begun: number
}

/**
 * Bounds what is fetched because somebody asked: for each host, each domain, each network that asks,
 * and in all. So neither a host that never answers nor somebody who asks for much keeps the documents
 * of others from being fetched, and nobody can use this server to send requests in numbers.
 */
export class FetchBudgets {
  readonly #clock: Clock
  readonly #underWay = new Map<string, number>()
  readonly #begun = new LRUCache<string, { count: number; since: number }>({ max: REMEMBERED })

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /**
   * Takes a share of each budget; what is returned gives back what is held while it is under way.
   * @throws {OAuthError} temporarily_unavailable
   */
  take(hostname: string, address: string): () => void {
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
      this.#countBegun(name)
    }
    return () => {
      for (const { name } of shares) {
        const left = (this.#underWay.get(name) ?? 0) - 1
        if (left > 0) this.#underWay.set(name, left)
        else this.#underWay.delete(name)
      }
    }
  }

  /** For how many seconds a budget has nothing left. */
  #wait({ name, underWay, begun }: Share): number {
    const counted = this.#begun.get(name)
    const now = this.#clock.now()
    if (counted && counted.count >= begun && isRecent(counted.since, MINUTE, now)) {
      return counted.since + MINUTE - now
    }
    return (this.#underWay.get(name) ?? 0) >= underWay ? RETRY_AFTER : 0
  }

  #countBegun(name: string): void {
    const now = this.#clock.now()
    const counted = this.#begun.get(name)
    if (counted && isRecent(counted.since, MINUTE, now)) counted.count += 1
    else this.#begun.set(name, { count: 1, since: now })
  }
}

function sharesOf(hostname: string, address: string): Share[] {
  const networks = networksOf(address).flatMap(({ network, times }) => [
    {
      name: `network ${network}`,
      underWay: UNDER_WAY.network * times,
      begun: BEGUN.network * times,
    },
    {
      name: `network ${network} at ${hostname}`,
      underWay: UNDER_WAY.host,
      begun: BEGUN.pair * times,
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
 * The domain that somebody registered, as far as a name tells: the last two labels, or three where
 * the second one is a short one of a country (`co.uk`, `com.au`).
 */
export function domainOf(hostname: string): string {
  const host = hostname.replace(/^\[|\]$/g, '')
  if (isIP(host) !== 0) return host
  const labels = host.split('.')
  const [second = '', top = ''] = labels.slice(-2)
  return labels.slice(top.length === 2 && second.length <= 3 ? -3 : -2).join('.')
}

/** The networks of an address that are counted, and how much more than an address each may do. */
function networksOf(address: string): { network: string; times: number }[] {
  if (!ipaddr.isValid(address)) return [{ network: 'unknown', times: 1 }]
  const parsed = ipaddr.process(address)
  if (parsed.kind() === 'ipv4') return [{ network: parsed.toString(), times: 1 }]
  return [
    [64, 1],
    [56, 2],
    [48, 4],
  ].map(([length = 64, times = 1]) => ({
    network: `${ipaddr.IPv6.networkAddressFromCIDR(`${parsed.toNormalizedString()}/${length}`)}/${length}`,
    times,
  }))
}
