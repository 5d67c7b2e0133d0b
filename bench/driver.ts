import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from 'undici'
import { serve } from './calls.ts'
import { connect, expect, form, send } from './http.ts'
import type { Site } from './servers/server.ts'
import { authenticate, requestTokens, signIn, type TokenPair } from './sign-in.ts'

/** Makes the load in a process of its own, so that it takes no CPU time of the server process. */

export type Scenario =
  | 'refresh'
  | 'sign-in'
  | 'introspection'
  | 'userinfo'
  | 'client_credentials'
  | 'discovery'
  | 'key set'

export interface Load {
  site: Site
  scenario: Scenario
  connections: number
  seconds: number
  /** Refresh tokens to start with, instead of those of new sign-ins. */
  refreshTokens?: string[]
  /** Requests a second, evenly spaced; by default each connection sends as fast as it can. */
  rate?: number
}

export interface Measured {
  requests: number
  seconds: number
  /** Milliseconds from the request, or from the time at which it was due, to the answer. */
  p50: number
  p99: number
}

/** How many independent grants the load uses. */
const CHAINS = 64

type Ask = (client: Client, site: Site, chain: TokenPair) => Promise<unknown>

const scenarios: Record<Scenario, Ask> = {
  async refresh(client, site, chain) {
    const { refresh_token } = chain
    Object.assign(
      chain,
      await requestTokens(client, site, { grant_type: 'refresh_token', refresh_token }),
    )
  },
  'sign-in': (client, site) => signIn(client, site, 'email'),
  async introspection(client, { client_id, client_secret }, { access_token: token }) {
    const answer = await expect(
      client,
      200,
      form('/introspect', { token, client_id, client_secret }),
    )
    if (!answer.body.includes('"active":true')) throw new Error(answer.body)
  },
  userinfo: (client, _site, { access_token }) =>
    expect(client, 200, {
      path: '/userinfo',
      headers: { authorization: `Bearer ${access_token}` },
    }),
  client_credentials: (client, site) =>
    requestTokens(client, site, { grant_type: 'client_credentials' }),
  discovery: (client) => expect(client, 200, { path: '/.well-known/oauth-authorization-server' }),
  'key set': (client) => expect(client, 200, { path: '/.well-known/jwks.json' }),
}

/** Connections and sign-ins that are ready to be measured. */
interface Prepared extends Load {
  clients: Client[]
  chains: TokenPair[]
}
let prepared: Prepared | undefined
let waitingPages: Client[] = []

const handlers = {
  /** Connects, and signs in if the scenario needs it. */
  async prepare(load: Load): Promise<void> {
    const { site, scenario, connections, refreshTokens } = load
    const clients = Array.from({ length: connections }, () => connect(site.origin))
    let chains = refreshTokens?.map((refresh_token) => ({ access_token: '', refresh_token })) ?? []
    if (['refresh', 'introspection', 'userinfo'].includes(scenario) && chains.length === 0) {
      const scope = scenario === 'userinfo' ? 'openid email' : 'email'
      chains = await inTurns(clients, CHAINS, (client) => signIn(client, site, scope))
    }
    if (chains.length === 0) chains = Array.from({ length: CHAINS }, () => noTokens)
    prepared = { ...load, clients, chains }
    for (const client of clients) await send(client, { path: '/.well-known/jwks.json' })
  },

  /** Measures what was prepared. */
  async run(): Promise<Measured> {
    if (prepared === undefined) throw new Error('Nothing is prepared')
    const { site, scenario, clients, chains, seconds, rate } = prepared
    const ask = scenarios[scenario]
    const milliseconds: number[] = []
    const started = performance.now()
    const until = started + seconds * 1000
    const connection = async (client: Client, first: number) => {
      let at = performance.now()
      for (let turn = first; at < until; turn += clients.length) {
        if (rate !== undefined) {
          const due = started + (turn * 1000) / rate
          if (due >= until) return
          if (due > at) await sleep(due - at)
          at = due > at ? performance.now() : due
        }
        await ask(client, site, chains[turn % chains.length] ?? noTokens)
        const answered = performance.now()
        milliseconds.push(answered - at)
        at = answered
      }
    }
    await Promise.all(clients.map(connection))
    const took = (performance.now() - started) / 1000
    return { requests: milliseconds.length, seconds: took, ...percentiles(milliseconds) }
  },

  /** Closes the connections. Returns the valid refresh tokens. */
  async finish(): Promise<string[]> {
    const { clients = [], chains = [] } = prepared ?? {}
    prepared = undefined
    await Promise.all(clients.map((client) => client.destroy()))
    return chains.map(({ refresh_token }) => refresh_token)
  },

  /** Opens requests, each with a waiting page that polls again after each answer. */
  async wait(site: Site, count: number): Promise<void> {
    const request_ids = await openRequests(site, count)
    waitingPages = request_ids.map(() => connect(site.origin))
    const page = async (client: Client, request_id: string | undefined) => {
      const path = `/api/check-status?request_id=${request_id}&wait=25`
      while (!client.destroyed) await send(client, { path }).catch(() => undefined)
    }
    waitingPages.forEach((client, index) => void page(client, request_ids[index]))
    await sleep(count / 2)
  },

  async stopWaiting(): Promise<void> {
    await Promise.all(waitingPages.map((client) => client.destroy()))
    waitingPages = []
  },

  /**
   * Authenticates waiting requests, one every `every` milliseconds. Returns the milliseconds from the
   * agent's answer to the page's answer, and from the agent's request to the page's answer.
   */
  async redirect(site: Site, count: number, every: number) {
    const request_ids = await openRequests(site, count)
    const agent = connect(site.origin)
    await signIn(agent, site, 'email')
    const pages = request_ids.map(async (request_id) => {
      const client = connect(site.origin)
      const path = `/api/check-status?request_id=${request_id}&wait=25`
      const { body } = await expect(client, 200, { path })
      const at = performance.now()
      if (JSON.parse(body).redirect_to === undefined) throw new Error(body)
      await client.destroy()
      return at
    })
    await sleep(count)
    const fromAnswer: number[] = []
    const fromQuestion: number[] = []
    for (const [index, request_id] of request_ids.entries()) {
      const asked = performance.now()
      await authenticate(agent, site, request_id)
      const answered = performance.now()
      const redirected = (await pages[index]) ?? Number.NaN
      fromAnswer.push(Math.max(0, redirected - answered))
      fromQuestion.push(redirected - asked)
      await sleep(every)
    }
    await agent.destroy()
    return { fromAnswer: percentiles(fromAnswer), fromQuestion: percentiles(fromQuestion) }
  },

  /** Tries wrong secrets for `seconds`. Returns the number of answers by status. */
  async tryWrongSecrets(site: Site, connections: number, seconds: number) {
    const statuses: Record<number, number> = {}
    const until = performance.now() + seconds * 1000
    const guess = async (_: unknown, index: number) => {
      const client = connect(site.origin)
      for (let turn = 0; performance.now() < until; turn += 1) {
        const { status } = await send(
          client,
          form('/token', {
            grant_type: 'refresh_token',
            refresh_token: 'rt_guess',
            client_id: site.client_id,
            client_secret: `cs_guess_${index}_${turn}`,
          }),
        )
        statuses[status] = (statuses[status] ?? 0) + 1
      }
      await client.destroy()
    }
    await Promise.all(Array.from({ length: connections }, guess))
    return statuses
  },

  /** Milliseconds until a server at this address answers for the first time. */
  async firstAnswer(origin: string): Promise<number> {
    for (;;) {
      const client = connect(origin)
      try {
        const path = '/.well-known/oauth-authorization-server'
        await expect(client, 200, { path })
        return performance.timeOrigin + performance.now()
      } catch {
        await sleep(1)
      } finally {
        await client.destroy()
      }
    }
  },
}

export type DriverHandlers = typeof handlers
serve(handlers)

const noTokens: TokenPair = { access_token: '', refresh_token: '' }

async function openRequests(site: Site, count: number): Promise<string[]> {
  const query = new URLSearchParams({
    response_type: 'code',
    client_id: site.client_id,
    redirect_uri: site.redirect_uri,
    code_challenge: 'x'.repeat(43),
    code_challenge_method: 'S256',
    state: 'the state',
  })
  const clients = Array.from({ length: 16 }, () => connect(site.origin))
  const question = { path: `/authorize?${query}`, headers: { accept: 'application/json' } }
  const request_ids = await inTurns(clients, count, async (client) => {
    const { body } = await expect(client, 200, question)
    return String(JSON.parse(body).request_id)
  })
  await Promise.all(clients.map((client) => client.destroy()))
  return request_ids
}

/** Runs a function `count` times, spread over all connections. */
async function inTurns<T>(
  clients: Client[],
  count: number,
  act: (client: Client) => Promise<T>,
): Promise<T[]> {
  const results: T[] = []
  let begun = 0
  await Promise.all(
    clients.map(async (client) => {
      while (begun < count) {
        begun += 1
        results.push(await act(client))
      }
    }),
  )
  return results
}

function percentiles(milliseconds: number[]): { p50: number; p99: number } {
  const sorted = milliseconds.toSorted((a, b) => a - b)
  const at = (share: number) => sorted[Math.floor((sorted.length - 1) * share)] ?? 0
  return { p50: at(0.5), p99: at(0.99) }
}
