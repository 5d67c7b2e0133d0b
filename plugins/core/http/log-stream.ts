import { destination } from 'pino'

/** How many characters wait at most for the turn's end. */
const BUFFERED = 8 * 1024

/**
 * Where log lines go: standard output. Those of one turn of the event loop are written together when
 * it ends, with one system call; nothing is held back for longer.
 */
export class LogStream {
  readonly #output = destination({ dest: 1, sync: true, minLength: BUFFERED })
  #waiting = false

  write(line: string): void {
    this.#output.write(line)
    if (this.#waiting) return
    this.#waiting = true
    setImmediate(() => this.flushSync())
  }

  /** Writes what waits, at once; pino calls it after a fatal line. */
  flushSync(): void {
    this.#waiting = false
    this.#output.flush()
  }
}
