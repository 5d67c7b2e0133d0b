import { readFileSync } from 'node:fs'
import type { Client } from '../../db/store.ts'
import { Refusal } from './session.ts'

/**
 * The JSON object in a file, or on standard input for `-`.
 * @param kind what the file should hold, in words
 * @throws {Refusal} that names the file, without its content, which may be a private key
 */
export function readJsonObject(file: string, kind: string): Record<string, unknown> {
  const name = file === '-' ? 'Standard input' : file
  let value: unknown
  try {
    value = JSON.parse(decodeText(readBytes(file, name)))
  } catch (error) {
    if (error instanceof Refusal) throw error
    throw new Refusal(`${name} does not hold JSON. It must hold ${kind}.`)
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return value as Record<string, unknown>
  }
  throw new Refusal(`${name} does not hold a JSON object. It must hold ${kind}.`)
}

/** A JSON Web Key Set or a single key. The keys are checked when the client is registered. */
export function readKeySet(file: string): Client['jwks'] {
  const json = readJsonObject(file, 'a JSON Web Key Set, such as {"keys":[…]}, or one key')
  return ('kty' in json ? { keys: [json] } : json) as Client['jwks']
}

function readBytes(file: string, name: string): Buffer {
  try {
    return readFileSync(file === '-' ? 0 : file)
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    throw new Refusal(`${name} cannot be read: ${fileProblems[code] ?? code}.`, { cause: error })
  }
}

const fileProblems: Record<string, string> = {
  ENOENT: 'there is no such file',
  ENOTDIR: 'there is no such file',
  EISDIR: 'it is a folder',
  EACCES: 'its permissions do not allow it',
  EPERM: 'its permissions do not allow it',
}

/** Decodes a text by its byte order mark, which editors and shells on Windows write. */
function decodeText(bytes: Buffer): string {
  const isUtf16 = bytes[0] === 0xff && bytes[1] === 0xfe
  // A byte order mark is left out by the decoder.
  return new TextDecoder(isUtf16 ? 'utf-16le' : 'utf-8', { fatal: true }).decode(bytes)
}
