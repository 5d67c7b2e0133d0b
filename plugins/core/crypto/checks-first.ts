import { FixedQueue, queueOptionsSymbol, type TaskQueue } from 'piscina'

type Task = Parameters<TaskQueue['push']>[0]

/** Queue options of a task that hashes a new secret. */
export const NEW_SECRET = {}

/** The queue of the bcrypt thread: checks run before new secrets. */
export class ChecksFirst implements TaskQueue {
  readonly #checks = new FixedQueue()
  readonly #newSecrets = new FixedQueue()

  get size(): number {
    return this.#checks.size + this.#newSecrets.size
  }

  /** The number of waiting checks. */
  get checks(): number {
    return this.#checks.size
  }

  /** The number of new secrets that wait to be hashed. */
  get newSecrets(): number {
    return this.#newSecrets.size
  }

  push(task: Task): void {
    this.#queueOf(task).push(task)
  }

  shift(): Task | null {
    return this.#checks.shift() ?? this.#newSecrets.shift()
  }

  remove(task: Task): void {
    this.#queueOf(task).remove(task)
  }

  #queueOf(task: Task): FixedQueue {
    return task[queueOptionsSymbol] === NEW_SECRET ? this.#newSecrets : this.#checks
  }
}
