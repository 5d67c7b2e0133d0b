import { Resolver } from 'node:dns/promises'
import type { IncomingMessage } from 'node:http'
import { request } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { setTimeout } from 'node:timers'
import ipaddr from 'ipaddr.js'

/** In milliseconds: for a whole fetch, for its name, and until it is connected. */
const WHOLE = 5000
const LOOKUP = 3000
const CONNECT = 2500
/** How many addresses of each family are tried. */
const ATTEMPTS = 2
/** How long a nameserver has to answer, in milliseconds, and how often it is asked. */
const RESOLVER = { timeout: 1000, tries: 2 }

/** How this server reaches others; by default through the system's nameservers and certificates. */
export interface Network {
  /** The addresses of a name; must end soon after the signal. */
  lookup?: (hostname: string, signal: AbortSignal) => Promise<string[]>
  /** Addresses of nameservers to ask instead of the system's. */
  nameservers?: string[]
  /** Whether an address may be connected to; by default those of the public internet. */
  allowsAddress?: (address: string) => boolean
  /** Certificates of authorities to trust, in PEM. */
  ca?: string
}

/**
 * Why a document cannot be had, as the end of a sentence that names it. Quotes nothing that a
 * stranger wrote.
 */
export class RemoteDocumentError extends Error {
  override name = 'RemoteDocumentError'
  /** Whether its host says that it is there no more, so that no copy may stand in. */
  readonly gone: boolean
  constructor(message: string, options: { gone?: boolean; cause?: unknown } = {}) {
    super(message, { cause: options.cause })
    this.gone = options.gone ?? false
  }
}

/** What a host answered. */
export interface FetchedDocument {
  body: string
  headers: IncomingMessage['headers']
}

/** What is asked for, as caching wants to know it. */
export const REQUEST_HEADERS = { accept: 'application/json', 'user-agent': 'auth-agent' }

/**
 * GETs a JSON document from an https URL, so that nobody can make this server talk to what is not on
 * the public internet: the addresses of the name are checked and are the ones connected to, redirects
 * are not followed, size and time are bounded. When it returns or throws, the name is no longer asked
 * for and the socket is closed.
 * @throws {RemoteDocumentError}
 */
export async function fetchDocument(
  url: URL,
  maxBytes: number,
  network: Network,
  closing: AbortSignal,
): Promise<FetchedDocument> {
  if (url.protocol !== 'https:') throw new RemoteDocumentError('is not https')
  const signal = AbortSignal.any([closing, AbortSignal.timeout(WHOLE)])
  try {
    const addresses = await findAddresses(url.hostname, network, signal)
    return await get(url, addresses, network.ca, signal, async (response) => {
      assertDocument(response)
      return { body: await readBounded(response, maxBytes), headers: response.headers }
    })
  } catch (cause) {
    if (cause instanceof RemoteDocumentError) throw cause
    throw new RemoteDocumentError('cannot be fetched', { cause })
  }
}

/** Whether an address is of the public internet, and of no special use (RFC 6890). */
export function isPublicAddress(text: string): boolean {
  if (!ipaddr.isValid(text)) return false
  const address = ipaddr.process(text)
  if (address.range() !== 'unicast') return false
  return address.kind() === 'ipv4' || address.match(ipaddr.parseCIDR('2000::/3'))
}

/** The addresses of a host, of which every one may be connected to. */
async function findAddresses(
  hostname: string,
  { lookup, nameservers, allowsAddress = isPublicAddress }: Network,
  signal: AbortSignal,
): Promise<string[]> {
  const host = hostname.replace(/^\[|\]$/g, '')
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(LOOKUP)])
  const addresses =
    isIP(host) !== 0
      ? [host]
      : lookup === undefined
        ? await resolve(host, nameservers, bounded)
        : await lookup(host, bounded)
  if (addresses.length === 0 || !addresses.every(allowsAddress)) {
    throw notPublic(new Error(`it has the addresses ${addresses.join(', ') || 'none'}`))
  }
  return [4, 6].flatMap((family) =>
    addresses.filter((address) => isIP(address) === family).slice(0, ATTEMPTS),
  )
}

/** Asks nameservers, and not getaddrinfo: that cannot be cancelled and blocks a thread. */
async function resolve(
  hostname: string,
  nameservers: string[] | undefined,
  signal: AbortSignal,
): Promise<string[]> {
  signal.throwIfAborted()
  const resolver = new Resolver(RESOLVER)
  if (nameservers !== undefined) resolver.setServers(nameservers)
  const cancel = () => resolver.cancel()
  signal.addEventListener('abort', cancel)
  try {
    const answers = await Promise.allSettled([
      resolver.resolve4(hostname),
      resolver.resolve6(hostname),
    ])
    const addresses = answers.flatMap((answer) =>
      answer.status === 'fulfilled' ? answer.value : [],
    )
    if (addresses.length > 0) return addresses
    const errors = answers.flatMap((answer) => (answer.status === 'rejected' ? answer.reason : []))
    const telling = errors.find(({ code }) => code !== 'ENODATA' && code !== 'ENOTFOUND')
    if (telling !== undefined) throw telling
    // Strangers are not told which names there are on our own network.
    throw notPublic(errors[0])
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}

function notPublic(cause?: unknown): RemoteDocumentError {
  return new RemoteDocumentError('is not on the public internet', { cause })
}

/** Reads the answer of one of these addresses, and returns when its socket is closed. */
async function get<T>(
  url: URL,
  addresses: string[],
  ca: string | undefined,
  signal: AbortSignal,
  read: (response: IncomingMessage) => Promise<T>,
): Promise<T> {
  const outgoing = request(url, {
    headers: REQUEST_HEADERS,
    agent: false,
    lookup: answer(addresses),
    signal,
    ...(ca !== undefined && { ca }),
  })
  const closed = new Promise<void>((resolve) => {
    outgoing.once('close', () => {
      const { socket } = outgoing
      if (socket === null || socket.closed) resolve()
      else socket.once('close', () => resolve())
    })
  })
  const connecting = setTimeout(() => outgoing.destroy(new Error('connect timeout')), CONNECT)
  outgoing.once('socket', (socket) => socket.once('secureConnect', () => clearTimeout(connecting)))
  try {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      outgoing.once('response', resolve)
      outgoing.on('error', reject)
      outgoing.once('close', () => reject(new Error('closed without an answer')))
      outgoing.end()
    })
    return await read(response)
  } finally {
    clearTimeout(connecting)
    outgoing.destroy()
    await closed
  }
}

/** A lookup that always has this answer. */
function answer(addresses: string[]): LookupFunction {
  const found = addresses.map((address) => ({ address, family: isIP(address) }))
  return (_hostname, options, callback) => {
    if (options.all) callback(null, found)
    else callback(null, found[0]?.address ?? '', found[0]?.family)
  }
}

function assertDocument({ statusCode, headers }: IncomingMessage): void {
  if (statusCode !== 200) {
    throw new RemoteDocumentError(`answered ${statusCode} instead of 200`, {
      gone: statusCode === 404 || statusCode === 410,
    })
  }
  if (!/^application\/([^\s;/,]+\+)?json\s*(;|$)/i.test(headers['content-type'] ?? '')) {
    throw new RemoteDocumentError('is not JSON by its Content-Type')
  }
  const codings = (headers['content-encoding'] ?? '').split(',').map((coding) => coding.trim())
  if (codings.some((coding) => coding !== '' && coding.toLowerCase() !== 'identity')) {
    throw new RemoteDocumentError('is compressed')
  }
}

async function readBounded(body: AsyncIterable<Buffer>, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > maxBytes) throw new RemoteDocumentError(`is larger than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  // RFC 8259 section 8.1: a byte order mark may be ignored, and a TextDecoder does.
  return new TextDecoder().decode(Buffer.concat(chunks))
}
