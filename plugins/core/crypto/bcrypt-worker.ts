import { compareSync, hashSync } from 'bcryptjs'

export type BcryptTask =
  | { secret: string /** How often it is hashed, as a power of two. */; rounds: number }
  | { secret: string /** What to compare the secret with. */; hash: string }

export interface BcryptResult {
  value: string | boolean
  /** The duration of the work, in milliseconds. */
  milliseconds: number
}

/** Runs in a worker thread: hashes the secret, or compares it with the hash. */
export default function bcrypt(task: BcryptTask): BcryptResult {
  const start = performance.now()
  const { secret } = task
  const value = 'rounds' in task ? hashSync(secret, task.rounds) : compareSync(secret, task.hash)
  return { value, milliseconds: performance.now() - start }
}
