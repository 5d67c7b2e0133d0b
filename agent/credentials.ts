import { open, writeFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose'
import { SignInError } from './errors.ts'

/** An agent that proves itself with a private key, which never leaves this process. */
export interface KeyCredentials {
  agent_id: string
  private_jwk: JWK
}

/** An agent that proves itself with a shared secret, which it sends to the issuer. */
export interface SecretCredentials {
  agent_id: string
  agent_secret: string
}

export type Credentials = KeyCredentials | SecretCredentials

/**
 * Reads the credentials that the environment names: AUTH_AGENT_ID with AUTH_AGENT_KEY_FILE (a private
 * JWK in a file of mode 0600), AUTH_AGENT_KEY (the JWK itself) or AUTH_AGENT_SECRET, in this order; or
 * else AUTH_AGENT_CREDENTIALS_FILE.
 * @throws {SignInError} configuration
 */
export async function credentialsFromEnvironment(
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Credentials> {
  const { AUTH_AGENT_ID: agent_id, AUTH_AGENT_CREDENTIALS_FILE: file } = environment
  const { AUTH_AGENT_KEY_FILE, AUTH_AGENT_KEY, AUTH_AGENT_SECRET } = environment
  if (!agent_id && file) return await readCredentials(file)
  if (!agent_id) {
    throw new SignInError(
      'configuration',
      'AUTH_AGENT_ID is not set, and AUTH_AGENT_CREDENTIALS_FILE is not either',
    )
  }
  if (AUTH_AGENT_KEY_FILE) {
    const key_file = file ? resolve(dirname(file), AUTH_AGENT_KEY_FILE) : AUTH_AGENT_KEY_FILE
    return { agent_id, private_jwk: await readKey(key_file) }
  }
  if (AUTH_AGENT_KEY) return { agent_id, private_jwk: parseKey(AUTH_AGENT_KEY, 'AUTH_AGENT_KEY') }
  if (AUTH_AGENT_SECRET) return { agent_id, agent_secret: AUTH_AGENT_SECRET }
  throw new SignInError(
    'configuration',
    'Set AUTH_AGENT_KEY_FILE, AUTH_AGENT_KEY or AUTH_AGENT_SECRET',
  )
}

/**
 * Reads a credentials file: a JSON object of `agent_id` and either `key_file`, whose path may be
 * relative to the file's own folder, or `agent_secret`.
 * @throws {SignInError} configuration
 */
export async function readCredentials(file: string): Promise<Credentials> {
  const { text, isPrivate } = await readText(file, 'credentials')
  const { agent_id, key_file, agent_secret } = parseObject(text)
  if (typeof agent_id !== 'string' || agent_id === '') {
    throw new SignInError('configuration', `${file} is not a JSON object with an agent_id`)
  }
  if (typeof key_file === 'string' && key_file !== '') {
    return { agent_id, private_jwk: await readKey(resolve(dirname(file), key_file)) }
  }
  if (typeof agent_secret !== 'string' || agent_secret === '') {
    throw new SignInError('configuration', `${file} needs a key_file or an agent_secret`)
  }
  if (!isPrivate) throw readableByOthers(file)
  return { agent_id, agent_secret }
}

/**
 * Reads the private JWK in a file that only its owner can read.
 * @throws {SignInError} configuration
 */
export async function readKey(file: string): Promise<JWK> {
  const { text, isPrivate } = await readText(file, 'key')
  if (!isPrivate) throw readableByOthers(file)
  return parseKey(text, file)
}

/**
 * Makes a key, writes its private part to a new file of mode 0600 and returns its public part, which
 * `auth-agent agent add-key` registers.
 * @throws {SignInError} configuration, if the file exists or cannot be written
 */
export async function generateKey(file: string): Promise<JWK> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const public_jwk = await exportJWK(publicKey)
  const names = { kid: await calculateJwkThumbprint(public_jwk), alg: 'ES256', use: 'sig' }
  const private_jwk = { ...(await exportJWK(privateKey)), ...names }
  try {
    await writeFile(file, `${JSON.stringify(private_jwk)}\n`, { mode: 0o600, flag: 'wx' })
  } catch (cause) {
    throw new SignInError('configuration', `The key file ${file} cannot be written`, { cause })
  }
  return { ...public_jwk, ...names }
}

async function readText(file: string, what: string): Promise<{ text: string; isPrivate: boolean }> {
  try {
    await using handle = await open(file)
    const { mode } = await handle.stat()
    const isPrivate = process.platform === 'win32' || (mode & 0o077) === 0
    return { text: await handle.readFile('utf8'), isPrivate }
  } catch (cause) {
    throw new SignInError('configuration', `The ${what} file ${file} cannot be read`, { cause })
  }
}

function readableByOthers(file: string): SignInError {
  return new SignInError('configuration', `Others can read ${file}: chmod 600 it`)
}

function parseKey(text: string, name: string): JWK {
  const { kty, d, ...rest } = parseObject(text)
  if (typeof kty !== 'string' || typeof d !== 'string') {
    throw new SignInError('configuration', `${name} is not a private JSON Web Key`)
  }
  return { kty, d, ...rest }
}

/** The members of a JSON object; none of any other text, as a parser's message could quote a secret. */
function parseObject(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? { ...value } : {}
  } catch {
    return {}
  }
}
