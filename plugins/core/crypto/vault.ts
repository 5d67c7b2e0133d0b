import {
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
  timingSafeEqual,
} from 'node:crypto'
import {
  existsSync,
  linkSync,
  mkdirSync,
  readFileSync,
  statSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { dirname, resolve } from 'node:path'
import { CompactEncrypt, compactDecrypt } from 'jose'
import { decodeKey, type Settings, SettingsError } from '../settings.ts'

const MAC_BYTES = 32

/** Everything that needs the encryption key, which is not in the database. */
export class Vault {
  readonly #cipherKey: Buffer
  readonly #sealKey: KeyObject

  constructor(encryptionKey: Buffer) {
    this.#cipherKey = derive(encryptionKey, 'auth-agent private keys at rest')
    this.#sealKey = createSecretKey(derive(encryptionKey, 'auth-agent sealed tokens'))
  }

  /** A JWE (RFC 7516) of a text, with `context` authenticated beside it in the protected header. */
  encrypt(text: string, context: string): Promise<string> {
    return new CompactEncrypt(Buffer.from(text))
      .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', context })
      .encrypt(this.#cipherKey)
  }

  /** @throws when the text was not encrypted with this key and context. */
  async decrypt(encrypted: string, context: string): Promise<string> {
    if (!encrypted.includes('.')) return this.#decryptWithoutHeader(encrypted, context)
    const { plaintext, protectedHeader } = await compactDecrypt(encrypted, this.#cipherKey, {
      keyManagementAlgorithms: ['dir'],
      contentEncryptionAlgorithms: ['A256GCM'],
    })
    if (protectedHeader.context !== context) throw new Error('Encrypted for another context')
    return Buffer.from(plaintext).toString('utf8')
  }

  /** Decrypts the form of older databases: nonce, tag and text of AES-256-GCM, without a header. */
  #decryptWithoutHeader(encrypted: string, context: string): string {
    const bytes = Buffer.from(encrypted, 'base64url')
    const decipher = createDecipheriv('aes-256-gcm', this.#cipherKey, bytes.subarray(0, 12), {
      authTagLength: 16,
    })
    decipher.setAAD(Buffer.from(context))
    decipher.setAuthTag(bytes.subarray(12, 28))
    return decipher.update(bytes.subarray(28), undefined, 'utf8') + decipher.final('utf8')
  }

  /**
   * An opaque token of `content` that only this server can make: `prefix`, then the content and its
   * HMAC-SHA256. The same content always gives the same token, so that it can be sent again without
   * being stored.
   */
  seal(prefix: string, content: Buffer): string {
    return prefix + Buffer.concat([content, this.#mac(prefix, content)]).toString('base64url')
  }

  /** The content of a token that `seal` made with this prefix; undefined for any other text. */
  unseal(prefix: string, token: string): Buffer | undefined {
    if (!token.startsWith(prefix)) return undefined
    const text = token.slice(prefix.length)
    const bytes = Buffer.from(text, 'base64url')
    // Accept one spelling only: Node's decoder skips characters that are not base64url.
    if (bytes.length < MAC_BYTES || bytes.toString('base64url') !== text) return undefined
    const content = bytes.subarray(0, -MAC_BYTES)
    const authentic = timingSafeEqual(bytes.subarray(-MAC_BYTES), this.#mac(prefix, content))
    return authentic ? content : undefined
  }

  /** An HMAC-SHA256 of a text that is too short for a plain hash to hide it. */
  fingerprint(purpose: string, text: string): string {
    return this.#mac(`${purpose} fingerprint `, Buffer.from(text)).toString('base64url')
  }

  #mac(prefix: string, content: Buffer): Buffer {
    return createHmac('sha256', this.#sealKey).update(prefix).update(content).digest()
  }
}

function derive(key: Buffer, purpose: string): Buffer {
  return Buffer.from(hkdfSync('sha256', key, '', purpose, 32))
}

/**
 * Opens the vault with ENCRYPTION_KEY, or with the key in ENCRYPTION_KEY_FILE, which is made (mode
 * 0600) when it does not exist. A database in memory gets a key of its own.
 * @throws {SettingsError} when the file holds no key, or is missing beside a database that was made
 *   with it.
 */
export function openVault(settings: Settings): Vault {
  const { ENCRYPTION_KEY, ENCRYPTION_KEY_FILE, DATABASE_URL } = settings
  const given = ENCRYPTION_KEY === undefined ? undefined : decodeKey(ENCRYPTION_KEY)
  if (given !== undefined) return new Vault(given)
  const database = DATABASE_URL.slice('sqlite:'.length)
  if (ENCRYPTION_KEY_FILE === undefined && database === ':memory:')
    return new Vault(randomBytes(32))
  const file = resolve(ENCRYPTION_KEY_FILE ?? `${database}.key`)
  // Another process may be creating both, the key first. Check the database first, then the key.
  const hasDatabase = database !== ':memory:' && isInUse(database)
  if (hasDatabase && !existsSync(file)) throw missingKey(file, resolve(database))
  const key = decodeKey(readOrMake(file))
  if (key === undefined) throw new SettingsError([`ENCRYPTION_KEY_FILE=${file}: holds no key`])
  return new Vault(key)
}

function isInUse(database: string): boolean {
  return (statSync(database, { throwIfNoEntry: false })?.size ?? 0) > 0
}

function missingKey(file: string, database: string): SettingsError {
  return new SettingsError([
    `ENCRYPTION_KEY_FILE=${file}: does not exist, and the database ${database} cannot be read without it. Restore the file, or set ENCRYPTION_KEY. To start anew, without any client, agent or sign-in, move the database away`,
  ])
}

/**
 * Reads the key file, and creates it when there is none: by a hard link, or else by an exclusive open,
 * so that processes that start together all read the same key.
 */
function readOrMake(file: string): string {
  try {
    return readWhole(file)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  const draft = `${file}.${randomBytes(8).toString('hex')}`
  const text = `${randomBytes(32).toString('base64url')}\n`
  writeFileSync(draft, text, { mode: 0o600, flush: true })
  try {
    linkSync(draft, file)
  } catch (error) {
    // FAT, and some network and container file systems, have no hard links.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') createExclusively(file, text)
  } finally {
    unlinkSync(draft)
  }
  return readWhole(file)
}

function createExclusively(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600, flush: true, flag: 'wx' })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

/** Reads the key file. Waits if another process has created it but not yet written it. */
function readWhole(file: string): string {
  for (let tries = 0; tries < 100 && statSync(file).size === 0; tries += 1) {
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10)
  }
  return readFileSync(file, 'utf8')
}
