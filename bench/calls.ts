import { type ChildProcess, fork } from 'node:child_process'
import { openSync } from 'node:fs'
import { join } from 'node:path'

// biome-ignore lint/suspicious/noExplicitAny: any arguments, each handler names its own
export type Handlers = Record<string, (...parameters: any[]) => unknown>

interface Call {
  id: number
  name: string
  parameters: unknown[]
}

interface Answer {
  id: number
  value?: unknown
  error?: string
}

/** Answers calls of the parent process, and exits when the parent does. */
export function serve(handlers: Handlers): void {
  process.on('disconnect', () => process.exit())
  process.on('message', async ({ id, name, parameters }: Call) => {
    try {
      process.send?.({ id, value: await handlers[name]?.(...parameters) })
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? error.stack : String(error) })
    }
  })
}

/** A process of the benchmark, started from a file of this folder. */
export class Child<H extends Handlers> {
  readonly #process: ChildProcess
  readonly #waiting = new Map<number, (answer: Answer) => void>()
  #calls = 0

  /** @param log the file for its output */
  constructor(file: string, parameters: string[] = [], log = '/dev/null') {
    const out = openSync(log, 'a')
    this.#process = fork(join(import.meta.dirname, file), parameters, {
      execArgv: [...process.execArgv, '--expose-gc', '--disable-warning=ExperimentalWarning'],
      stdio: ['ignore', out, out, 'ipc'],
      serialization: 'advanced',
    })
    this.#process.on('message', (answer: Answer) => this.#waiting.get(answer.id)?.(answer))
    this.#process.on('exit', (code) => {
      for (const settle of this.#waiting.values())
        settle({ id: 0, error: `${file} ended: ${code}` })
    })
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  /** Runs a handler in that process. Throws the handler's error. */
  call<N extends keyof H & string>(
    name: N,
    ...parameters: Parameters<H[N]>
  ): Promise<Awaited<ReturnType<H[N]>>> {
    this.#calls += 1
    const id = this.#calls
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ value, error }) => {
        this.#waiting.delete(id)
        if (error === undefined) resolve(value as never)
        else reject(new Error(error))
      })
      this.#process.send({ id, name, parameters } satisfies Call)
    })
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return
    const ended = new Promise((resolve) => this.#process.once('exit', resolve))
    this.#process.kill('SIGKILL')
    await ended
  }
}
