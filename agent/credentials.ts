import { open, writeFile } from 'node:fs/promises'
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose'
import { SignInError } from './errors.ts'

/** An agent that proves itself with a private key, which never leaves this process. */
export interface KeyCredentials {
  agent_id: string
  private_jwk: JWK
}

/** An agent that proves itself with a shared secret, which the issuer is sent. */
export interface SecretCredentials {
  agent_id: string
  agent_secret: string
}

export type Credentials = KeyCredentials | SecretCredentials

/**
 * The credentials that the environment names: AUTH_AGENT_ID with AUTH_AGENT_KEY_FILE (a private JWK
 * in a file of mode 0600), AUTH_AGENT_KEY (the JWK itself) or AUTH_AGENT_SECRET, in this order.
 * @throws {SignInError} configuration
 */
export async function credentialsFromEnvironment(
  environment: NodeJS.ProcessEnv = process.env,
): Promise<Credentials> {
  const { AUTH_AGENT_ID, AUTH_AGENT_KEY_FILE, AUTH_AGENT_KEY, AUTH_AGENT_SECRET } = environment
  if (!AUTH_AGENT_ID) throw new SignInError('configuration', 'AUTH_AGENT_ID is not set')
  const agent_id = AUTH_AGENT_ID
  if (AUTH_AGENT_KEY_FILE) return { agent_id, private_jwk: await readKey(AUTH_AGENT_KEY_FILE) }
  if (AUTH_AGENT_KEY) return { agent_id, private_jwk: parseKey(AUTH_AGENT_KEY, 'AUTH_AGENT_KEY') }
  if (AUTH_AGENT_SECRET) return { agent_id, agent_secret: AUTH_AGENT_SECRET }
  throw new SignInError(
    'configuration',
    'Set AUTH_AGENT_KEY_FILE, AUTH_AGENT_KEY or AUTH_AGENT_SECRET',
  )
}

/**
 * The private JWK in a file that nobody else can read.
 * @throws {SignInError} configuration
 */
export async function readKey(file: string): Promise<JWK> {
  let mode: number
  let text: string
  try {
    await using handle = await open(file)
    ;({ mode } = await handle.stat())
    text = await handle.readFile('utf8')
  } catch (cause) {
    throw new SignInError('configuration', `The key file ${file} cannot be read`, { cause })
  }
  if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
    throw new SignInError('configuration', `Others can read ${file}: chmod 600 it`)
  }
  return parseKey(text, file)
}

/**
 * Makes a key, writes its private part to a new file of mode 0600 and gives its public part, which
 * `auth-agent agent add-key` registers.
 * @throws {SignInError} configuration, when the file exists already or cannot be written
 */
export async function generateKey(file: string): Promise<JWK> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const public_jwk = await exportJWK(publicKey)
  const names = { kid: await calculateJwkThumbprint(public_jwk), alg: 'ES256', use: 'sig' }
  const private_jwk = { ...(await exportJWK(privateKey)), ...names }
  try {
    await writeFile(file, `${JSON.stringify(private_jwk)}\n`, { mode: 0o600, flag: 'wx' })
  } catch (cause) {
    throw new SignInError('configuration', `The key file ${file} cannot be made`, { cause })
  }
  return { ...public_jwk, ...names }
}

function parseKey(text: string, name: string): JWK {
  let jwk: JWK | undefined
  try {
    jwk = JSON.parse(text)
  } catch {
    // Said below; a parser's message could quote the key.
  }
  if (typeof jwk?.kty !== 'string' || typeof jwk.d !== 'string') {
    throw new SignInError('configuration', `${name} is not a private JSON Web Key`)
  }
  return jwk
}
