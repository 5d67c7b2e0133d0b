import type { FastifyBaseLogger } from 'fastify'
import fp from 'fastify-plugin'

/** How often a continuing fault is logged, in milliseconds. */
const EVERY = 1000
/** How many kinds of fault are told apart. */
const MAX_KINDS = 50

interface Fault {
  log: Pick<FastifyBaseLogger, 'error'>
  message: string
  code: string
  repeated: number
  timer: NodeJS.Timeout
}

/**
 * Logs faults of this server. The first fault of a kind is logged at once, with its stack. While it
 * continues, one line a second tells how often it occurred: on a full disk every request fails.
 */
export class FaultLog {
  readonly #faults = new Map<string, Fault>()

  report(log: Pick<FastifyBaseLogger, 'error'>, thrown: unknown, message: string): void {
    const code = codeOf(thrown)
    let kind = `${message} ${code}`
    if (!this.#faults.has(kind) && this.#faults.size >= MAX_KINDS) kind = message
    const fault = this.#faults.get(kind)
    if (fault !== undefined) {
      fault.repeated += 1
      return
    }
    log.error({ err: thrown }, message)
    const timer = setInterval(() => this.#tell(kind), EVERY)
    timer.unref()
    this.#faults.set(kind, { log, message, code, repeated: 0, timer })
  }

  /** Logs the counts of faults that have not been logged yet. */
  close(): void {
    for (const kind of this.#faults.keys()) {
      this.#tell(kind)
      clearInterval(this.#faults.get(kind)?.timer)
    }
    this.#faults.clear()
  }

  #tell(kind: string): void {
    const fault = this.#faults.get(kind)
    if (fault === undefined) return
    const { log, message, code, repeated, timer } = fault
    if (repeated === 0) {
      clearInterval(timer)
      this.#faults.delete(kind)
      return
    }
    fault.repeated = 0
    log.error({ code, repeated }, message)
  }
}

/** The code of the innermost cause that has one, such as SQLite's. */
function codeOf(thrown: unknown): string {
  let code = thrown instanceof Error ? thrown.name : 'unknown'
  for (let error = thrown; error instanceof Error; error = error.cause) {
    if ('code' in error && typeof error.code === 'string') code = error.code
  }
  return code
}

declare module 'fastify' {
  interface FastifyInstance {
    faults: FaultLog
  }
}

export default fp(
  async (app) => {
    const faults = new FaultLog()
    app.decorate('faults', faults)
    app.addHook('onClose', async () => faults.close())
  },
  { name: 'faults' },
)
