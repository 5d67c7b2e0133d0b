import type { Child } from '../calls.ts'
import type { DriverHandlers, Load, Measured } from '../driver.ts'
import type { AuthAgentHandlers } from '../servers/auth-agent.ts'
import type { ServerHandlers } from '../servers/server.ts'

/** What a measurement works with. */
export interface Bench {
  /** Less of everything: two minutes for the whole. */
  quick: boolean
  driver: Child<DriverHandlers>
  startDriver(): Child<DriverHandlers>
  /** Starts ours, in a new folder unless one is given. */
  startOurs(folder?: string): Promise<Child<AuthAgentHandlers>>
  startPeer(storage: 'sqlite' | 'memory', folder?: string): Promise<Child<ServerHandlers>>
  startLimit(): Promise<Child<ServerHandlers>>
  /** Makes a new folder. */
  folder(): string
}

export interface Goal {
  what: string
  goal: string
  measured: string
  reached: boolean
}

export interface Result {
  title: string
  /** For people. */
  table: string
  /** For programs. */
  data: unknown
  goals: Goal[]
}

export type Measurement = (bench: Bench) => Promise<Result>

/** Requests a second and what one costs. */
export interface Slice extends Measured {
  perSecond: number
  /** CPU time of the server's process per request, in microseconds. */
  cpu: number
}

/** Puts one load on one server. Refresh tokens that the load brings are replaced by the last ones. */
export async function measure(
  { driver }: Bench,
  server: Child<ServerHandlers>,
  load: Omit<Load, 'site'>,
): Promise<Slice> {
  await driver.call('prepare', { ...load, site: await server.call('site') })
  const before = await server.call('cpu')
  const measured = await driver.call('run')
  const cpu = ((await server.call('cpu')) - before) / measured.requests
  const refreshTokens = await driver.call('finish')
  if (load.refreshTokens) load.refreshTokens = refreshTokens
  return { ...measured, perSecond: measured.requests / measured.seconds, cpu }
}
