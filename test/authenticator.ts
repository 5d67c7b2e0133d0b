import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON,
} from '@simplewebauthn/server'

/** What an authenticator or browser does otherwise than it should. */
export interface Deviation {
  origin?: string
  crossOrigin?: boolean
  topOrigin?: string
  type?: string
  challenge?: string
  rp_id?: string
  userPresent?: boolean
  userVerified?: boolean
  counter?: number
  /** The credential that is named in place of the own. */
  id?: string
  userHandle?: string | null
  /** Signs something else than it says. */
  garble?: boolean
}

const base64url = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')
const sha256 = (text: string | Uint8Array) => createHash('sha256').update(text).digest()

/** CBOR (RFC 8949) of what a passkey needs: integers, byte strings, text, maps. */
function cbor(value: number | string | Uint8Array | Map<number | string, unknown>): Buffer {
  const head = (major: number, size: number) =>
    size < 24
      ? Buffer.from([(major << 5) | size])
      : size < 256
        ? Buffer.from([(major << 5) | 24, size])
        : Buffer.from([(major << 5) | 25, size >> 8, size & 255])
  if (typeof value === 'number') return value < 0 ? head(1, -1 - value) : head(0, value)
  if (typeof value === 'string') return Buffer.concat([head(3, value.length), Buffer.from(value)])
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value])
  const members = [...value].map(([name, each]) =>
    Buffer.concat([cbor(name), cbor(each as Parameters<typeof cbor>[0])]),
  )
  return Buffer.concat([head(5, value.size), ...members])
}

/** One passkey (ES256) in software, which signs what a browser with an authenticator signs. */
export class SoftwarePasskey {
  readonly id = base64url(randomBytes(32))
  readonly #origin: string
  readonly #rp_id: string
  readonly #publicKey: KeyObject
  readonly #privateKey: KeyObject
  #userHandle: string | undefined
  #counter = 0

  constructor(issuer: string) {
    this.#origin = new URL(issuer).origin
    this.#rp_id = new URL(issuer).hostname
    const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    this.#publicKey = publicKey
    this.#privateKey = privateKey
  }

  /** Answers `navigator.credentials.create()`. */
  create(
    { challenge, user }: PublicKeyCredentialCreationOptionsJSON,
    change: Deviation = {},
  ): Record<string, unknown> {
    this.#userHandle = user.id
    const { x = '', y = '' } = this.#publicKey.export({ format: 'jwk' })
    const key = cbor(
      new Map<number, unknown>([
        [1, 2],
        [3, -7],
        [-1, 1],
        [-2, Buffer.from(x, 'base64url')],
        [-3, Buffer.from(y, 'base64url')],
      ]),
    )
    const id = Buffer.from(this.id, 'base64url')
    const attested = Buffer.concat([Buffer.alloc(16), Buffer.from([0, id.length]), id, key])
    const authData = Buffer.concat([this.#authenticatorData(change, 0x40), attested])
    const attestation = cbor(
      new Map<string, unknown>([
        ['fmt', 'none'],
        ['attStmt', new Map()],
        ['authData', authData],
      ]),
    )
    return this.#credential({
      clientDataJSON: this.#clientData('webauthn.create', challenge, change).toString('base64url'),
      attestationObject: base64url(attestation),
      transports: ['internal'],
    })
  }

  /** Answers `navigator.credentials.get()`. */
  get(
    { challenge }: PublicKeyCredentialRequestOptionsJSON,
    change: Deviation = {},
  ): Record<string, unknown> {
    this.#counter += 1
    const clientData = this.#clientData('webauthn.get', challenge, change)
    const authenticatorData = this.#authenticatorData(change)
    const signed = Buffer.concat([authenticatorData, sha256(clientData)])
    if (change.garble) signed[0] = (signed[0] ?? 0) ^ 1
    const userHandle = change.userHandle === undefined ? this.#userHandle : change.userHandle
    const answer = this.#credential({
      clientDataJSON: clientData.toString('base64url'),
      authenticatorData: base64url(authenticatorData),
      signature: base64url(sign('sha256', signed, this.#privateKey)),
      userHandle,
    })
    return change.id === undefined ? answer : { ...answer, id: change.id, rawId: change.id }
  }

  #credential(response: Record<string, unknown>): Record<string, unknown> {
    return {
      id: this.id,
      rawId: this.id,
      type: 'public-key',
      clientExtensionResults: {},
      response,
    }
  }

  #clientData(type: string, challenge: string, change: Deviation): Buffer {
    return Buffer.from(
      JSON.stringify({
        type: change.type ?? type,
        challenge: change.challenge ?? challenge,
        origin: change.origin ?? this.#origin,
        crossOrigin: change.crossOrigin ?? false,
        ...(change.topOrigin !== undefined && { topOrigin: change.topOrigin }),
      }),
    )
  }

  #authenticatorData(change: Deviation, more = 0): Buffer {
    const present = change.userPresent === false ? 0 : 0x01
    const verified = change.userVerified === false ? 0 : 0x04
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(change.counter ?? this.#counter)
    const flags = Buffer.from([present | verified | more])
    return Buffer.concat([sha256(change.rp_id ?? this.#rp_id), flags, counter])
  }
}
