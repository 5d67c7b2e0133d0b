/**
 * What a grant remembers of its refresh tokens. When a used token is presented again, this tells copies
 * of one host from a thief. A grant has one line of tokens: an accepted reuse is answered with the
 * newest token.
 */
export interface RefreshHistory {
  /**
   * When tokens were used, oldest first: a generation and epoch seconds. Tokens from this generation up
   * to that of the next entry were used in the same second.
   */
  uses: [generation: number, at: number][]
  /**
   * Keyed hashes of the networks that tokens were used from, the most recent last. A network is proven
   * if the code was redeemed from it, or if it has shared a token with a proven network.
   */
  networks: [hash: string, proven: 0 | 1][]
  /**
   * The last token that was used from a network that was not known at that time, while no proven
   * network has used a later one. Whoever holds this token or an older one may be the victim of
   * whoever used it.
   */
  disputable: number | null
  /** When it was last recorded that several copies of one client share the sign-in. */
  copies_recorded_at: number | null
}

/** Which tokens are accepted again after their use. */
export interface ReusePolicy {
  /** For this many seconds after its use, a token is answered with the newest one, from any network. */
  grace: number
  /** For hosts: reuse from networks that have used the sign-in. */
  known_networks?: {
    /** A keyed hash of the caller's network. */
    network: string
    /**
     * For this many seconds after its successor was used, an older token is answered with the newest
     * one; the token before the newest is at any time. With 0 no used token is accepted.
     */
    grace: number
  }
}

const MAX_NETWORKS = 8
/** How many entries `used` has at most; a token that was used before the oldest is not accepted again. */
const MAX_USES = 128
/** The shortest time between two records of several copies, in seconds. */
const RECORDED_EVERY = 86_400

const nothing: RefreshHistory = {
  uses: [],
  networks: [],
  disputable: null,
  copies_recorded_at: null,
}

export function parseHistory(text: string | null): RefreshHistory {
  return text === null ? nothing : JSON.parse(text)
}

/** The history of a sign-in whose code was just redeemed; null when reuse is never accepted. */
export function startHistory({ known_networks }: ReusePolicy): string | null {
  if (known_networks === undefined) return null
  return JSON.stringify({ ...nothing, networks: [[known_networks.network, 1]] })
}

/** The history after the newest token was used; null when reuse is never accepted. */
export function recordUse(
  text: string | null,
  { generation, now, reuse }: { generation: number; now: number; reuse: ReusePolicy },
): string | null {
  const { grace, known_networks } = reuse
  const kept = Math.max(grace, known_networks?.grace ?? 0)
  if (kept === 0) return null
  const history = parseHistory(text)
  const uses = history.uses.filter(([, at]) => at > now - kept)
  if (uses.at(-1)?.[1] !== now) uses.push([generation, now])
  const used = { ...history, uses: uses.slice(-MAX_USES) }
  if (known_networks === undefined) return JSON.stringify(used)
  return JSON.stringify({ ...used, ...addNetwork(history, known_networks.network, generation) })
}

/** The networks after one of them has used the newest token. */
function addNetwork(
  { networks, disputable }: RefreshHistory,
  network: string,
  generation: number,
): Pick<RefreshHistory, 'networks' | 'disputable'> {
  const found = networks.find(([hash]) => hash === network)
  const others = networks.filter((each) => each !== found)
  // A sign-in from before histories were kept trusts the first network that uses it.
  if (networks.length === 0) return { networks: [[network, 1]], disputable: null }
  if (found === undefined) {
    return { networks: withoutOldest([...others, [network, 0]]), disputable: generation }
  }
  if (found[1] === 0) return { networks: [...others, found], disputable }
  // A proven network has the token that the new networks received, so they share one token store.
  return { networks: [...others, found].map(([hash]) => [hash, 1]), disputable: null }
}

/** Keeps proven networks longest, so that an attacker's networks cannot displace them. */
function withoutOldest(networks: RefreshHistory['networks']): RefreshHistory['networks'] {
  if (networks.length <= MAX_NETWORKS) return networks
  const last = networks.length - 1
  const unproven = networks.findIndex(([, proven], at) => proven === 0 && at < last)
  return networks.toSpliced(Math.max(unproven, 0), 1)
}

/** Whether a used token is answered with the newest one, `newest`. */
export function mayComeAgain(
  { uses, networks, disputable }: RefreshHistory,
  {
    generation,
    newest,
    refreshed_at,
    now,
    reuse: { grace, known_networks },
  }: {
    generation: number
    newest: number
    /** When the token before the newest was used. */
    refreshed_at: number | null
    now: number
    reuse: ReusePolicy
  },
): boolean {
  const isWithin = (at: number | null | undefined, seconds: number) =>
    typeof at === 'number' && at <= now && now < at + seconds
  const usedAt = (token: number) =>
    token === newest - 1 ? refreshed_at : uses.findLast(([first]) => first <= token)?.[1]
  if (isWithin(usedAt(generation), grace)) return true
  if (known_networks === undefined || known_networks.grace === 0) return false
  if (!networks.some(([hash]) => hash === known_networks.network)) return false
  if (disputable !== null && generation <= disputable) return false
  return generation === newest - 1 || isWithin(usedAt(generation + 1), known_networks.grace)
}

/** The history with several copies recorded now; undefined when they were recorded recently. */
export function recordCopies(text: string | null, now: number): string | undefined {
  const history = parseHistory(text)
  const { copies_recorded_at: at } = history
  if (at !== null && at <= now && now < at + RECORDED_EVERY) return undefined
  return JSON.stringify({ ...history, copies_recorded_at: now })
}
