import { compareSync, hashSync } from 'bcryptjs'

const ROUNDS = 10

/** Runs in a worker thread: hashes the secret, or compares it with the hash. */
export default function bcrypt({ secret, hash }: { secret: string; hash?: string }) {
  return hash === undefined ? hashSync(secret, ROUNDS) : compareSync(secret, hash)
}
