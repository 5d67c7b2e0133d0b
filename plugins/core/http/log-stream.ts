import { constants, fstatSync, openSync, write } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** How many characters of log lines are kept while they cannot be written. */
const MAX_WAITING = 1024 * 1024
/** How many characters one write has, unless a single line is longer. */
const CHUNK = 64 * 1024
/** The delay before another try, in milliseconds: after an error, and for a slow reader. */
const RETRY_AFTER_ERROR = 1000
const RETRY_AFTER_FULL = 50
/** How long a closing server waits for unwritten lines, in milliseconds. */
const FLUSH = 1000

/** Writes bytes without blocking, and reports how many it has written. */
type Output = (
  bytes: Buffer,
  done: (error: NodeJS.ErrnoException | null, written: number) => void,
) => void

/**
 * Writes log lines to standard output. A fault of standard output neither stops nor ends the server:
 * lines are kept in memory up to a bound and dropped beyond it. Standard error gets a line when that
 * begins, and another with the number of dropped lines when it is over. Lines of one turn of the event
 * loop are written together.
 */
export class LogStream {
  /** Is called with the number of dropped lines when lines can be written again. */
  onRecovered: ((dropped: number) => void) | undefined
  #output: Output | undefined
  #errors: Output | undefined
  #lines: string[] = []
  /** The length of `#lines`, in characters. */
  #size = 0
  /** The bytes that are being written, or that will be tried again. */
  #rest: Buffer | undefined
  #busy = false
  #failing = false
  #troubled = false
  #dropped = 0

  write(line: string): void {
    if (this.#size + line.length > MAX_WAITING) {
      this.#dropped += 1
      this.#complain('nobody reads it')
      return
    }
    this.#lines.push(line)
    this.#size += line.length
    if (this.#busy) return
    this.#busy = true
    setImmediate(() => this.#send())
  }

  /** Waits a short time for unwritten lines; those that are left are lost. */
  async flush(): Promise<void> {
    const end = performance.now() + FLUSH
    while (this.#busy && !this.#failing && performance.now() < end) await sleep(5)
    const lost = this.#dropped + this.#lines.length + (this.#rest === undefined ? 0 : 1)
    if (lost > 0) await this.#say(`The server ends; log lines that could not be written: ${lost}.`)
  }

  #send(): void {
    if (this.#rest === undefined) {
      if (this.#lines.length === 0) {
        this.#busy = false
        return
      }
      this.#rest = Buffer.from(this.#takeLines())
    }
    this.#output ??= openOutput(1)
    this.#output(this.#rest, (error, written) => {
      if (error === null) this.#succeeded(written)
      else this.#failed(error)
    })
  }

  /** Whole lines, as many as fit into a chunk. */
  #takeLines(): string {
    let end = 0
    let size = 0
    while (end < this.#lines.length && (end === 0 || size < CHUNK)) {
      size += this.#lines[end]?.length ?? 0
      end += 1
    }
    this.#size -= size
    return this.#lines.splice(0, end).join('')
  }

  #succeeded(written: number): void {
    this.#failing = false
    this.#rest = this.#rest?.subarray(written)
    if (this.#rest?.length === 0) this.#rest = undefined
    if (this.#rest === undefined && this.#lines.length === 0) this.#recover()
    setImmediate(() => this.#send())
  }

  #failed(error: NodeJS.ErrnoException): void {
    const full = error.code === 'EAGAIN'
    if (!full) {
      this.#failing = true
      this.#complain(error.message)
    }
    setTimeout(() => this.#send(), full ? RETRY_AFTER_FULL : RETRY_AFTER_ERROR).unref()
  }

  #complain(reason: string): void {
    if (this.#troubled) return
    this.#troubled = true
    void this.#say(
      `The log cannot be written (${reason}). Up to 1 MiB of it waits, further lines are dropped.`,
    )
  }

  #recover(): void {
    if (!this.#troubled) return
    this.#troubled = false
    const dropped = this.#dropped
    this.#dropped = 0
    void this.#say(`The log can be written again. Lines that were dropped: ${dropped}.`)
    if (dropped > 0) this.onRecovered?.(dropped)
  }

  /** Writes to standard error. Resolves after a short time if that cannot be written either. */
  async #say(sentence: string): Promise<void> {
    this.#errors ??= openOutput(2)
    const errors = this.#errors
    const said = new Promise((resolve) => errors(Buffer.from(`${sentence}\n`), resolve))
    await Promise.race([said, sleep(FLUSH, undefined, { ref: false })])
  }
}

/** Handles the stream's `error` event, which each write's callback reports as well. */
const ignore = () => undefined

/**
 * Opens standard output (1) or standard error (2) for writes that do not block. Node's own streams do
 * not block on pipes and sockets, but on files and terminals they do. A file is written by another
 * thread. A terminal that its user has paused would block that thread too, so it is opened again with
 * O_NONBLOCK.
 */
function openOutput(fd: 1 | 2): Output {
  const stats = fstatSync(fd)
  if (stats.isFIFO() || stats.isSocket()) {
    const stream = fd === 1 ? process.stdout : process.stderr
    if (!stream.listeners('error').includes(ignore)) stream.on('error', ignore)
    return (bytes, done) =>
      void stream.write(bytes, (error) => done(error ?? null, error ? 0 : bytes.length))
  }
  const target = stats.isCharacterDevice() ? openUnblocked(fd) : fd
  return (bytes, done) => write(target, bytes, done)
}

function openUnblocked(fd: number): number {
  try {
    const { O_WRONLY, O_NONBLOCK, O_NOCTTY } = constants
    return openSync(`/dev/fd/${fd}`, O_WRONLY | O_NONBLOCK | O_NOCTTY)
  } catch {
    return fd
  }
}
