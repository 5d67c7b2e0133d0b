import { compareSync, hashSync } from 'bcryptjs'

const ROUNDS = 10

export interface BcryptTask {
  secret: string
  /** What to compare the secret with; without it, the secret is hashed. */
  hash?: string
}

export interface BcryptResult {
  value: string | boolean
  /** How long the work took. */
  milliseconds: number
}

/** Runs in a worker thread: hashes the secret, or compares it with the hash. */
export default function bcrypt({ secret, hash }: BcryptTask): BcryptResult {
  const start = performance.now()
  const value = hash === undefined ? hashSync(secret, ROUNDS) : compareSync(secret, hash)
  return { value, milliseconds: performance.now() - start }
}
