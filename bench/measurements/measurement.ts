import type { Child } from '../calls.ts'
import type { DriverHandlers, Load, Measured } from '../driver.ts'
import type { AuthAgentHandlers } from '../servers/auth-agent.ts'
import type { ServerHandlers } from '../servers/server.ts'

/** The tools of a measurement. */
export interface Bench {
  /** Smaller loads: two minutes for all measurements. */
  quick: boolean
  driver: Child<DriverHandlers>
  startDriver(): Child<DriverHandlers>
  /** Starts Auth Agent, in a new folder unless one is given. */
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
  /** The result as text, for people. */
  table: string
  /** The result as data, for programs. */
  data: unknown
  goals: Goal[]
}

export type Measurement = (bench: Bench) => Promise<Result>

/** Requests a second, and the cost of one. */
export interface Slice extends Measured {
  perSecond: number
  /** CPU time of the server's process per request, in microseconds. */
  cpu: number
}

/** Puts one load on one server. Updates the refresh tokens that were given for the load. */
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
