import { lookup as askSystem, Resolver } from 'node:dns/promises'
import type { IncomingMessage } from 'node:http'
import { type RequestOptions, request } from 'node:https'
import { isIP, type LookupFunction } from 'node:net'
import { setTimeout } from 'node:timers'
import { isNeverFetched } from '../settings.ts'
import { isPrivateAddress, isPublicAddress } from './addresses.ts'

/** The time limits in milliseconds: for a whole fetch, for resolving its name, and for connecting. */
const WHOLE = 5000
const LOOKUP = 3000
const CONNECT = 2500
/** How many addresses of each family are tried. */
const ATTEMPTS = 2
/** How long a nameserver has to answer, in milliseconds, and how often it is asked. */
const RESOLVER = { timeout: 1000, tries: 2 }
/** For names that the system may resolve as well: leaves the rest of the time for that. */
const RESOLVER_BEFORE_SYSTEM = { timeout: 1000, tries: 1 }

/** How this server connects to others; by default with the system's nameservers and certificates. */
export interface Network {
  /** Resolves a name to addresses. Must end soon after the signal. */
  lookup?: (hostname: string, signal: AbortSignal) => Promise<string[]>
  /** Addresses of nameservers to ask instead of the system's. */
  nameservers?: string[]
  /** Whether an address may be connected to; by default those of the public internet. */
  allowsAddress?: (address: string) => boolean
  /** Certificates of authorities to trust, in PEM. */
  ca?: string
}

/**
 * Why a document cannot be fetched, as the end of a sentence that names it. Contains no text that a
 * stranger chose.
 */
export class RemoteDocumentError extends Error {
  override name = 'RemoteDocumentError'
  /** Whether its host answered that the document no longer exists, so that no copy is used. */
  readonly gone: boolean
  /** The end of the sentence for the operator only, in the log and on the command line. */
  readonly forOperator: string
  constructor(
    message: string,
    options: { gone?: boolean; cause?: unknown; forOperator?: string | undefined } = {},
  ) {
    super(message, { cause: options.cause })
    this.gone = options.gone ?? false
    this.forOperator = options.forOperator ?? message
  }
}

/** The answer of a host. */
export interface FetchedDocument {
  body: string
  headers: IncomingMessage['headers']
}

/** The document to fetch, and the copy that may still be valid. */
export const REQUEST_HEADERS = { accept: 'application/json', 'user-agent': 'auth-agent' }

/**
 * GETs a JSON document from an https URL. Callers cannot make this server connect to addresses outside
 * the public internet, except for the operator's private hosts: the addresses of the name are checked,
 * only these are connected to, and redirects are not followed. Size and time are bounded. The socket is
 * closed when it returns or throws.
 * @param isPrivateHost whether the operator allows its host to be on a private network
 * @throws {RemoteDocumentError}
 */
export async function fetchDocument(
  url: URL,
  maxBytes: number,
  network: Network,
  isPrivateHost: boolean,
  closing: AbortSignal,
): Promise<FetchedDocument> {
  if (url.protocol !== 'https:') throw new RemoteDocumentError('is not https')
  const signal = AbortSignal.any([closing, AbortSignal.timeout(WHOLE)])
  try {
    const addresses = await findAddresses(url.hostname, network, isPrivateHost, signal)
    const asked = { headers: REQUEST_HEADERS }
    return await send(url, asked, addresses, network.ca, signal, async (response) => {
      assertDocument(response)
      return { body: await readBounded(response, maxBytes), headers: response.headers }
    })
  } catch (cause) {
    if (cause instanceof RemoteDocumentError) throw cause
    throw cannotBeFetched(cause)
  }
}

/**
 * POSTs a form to an https URL under the same guard, and returns the status of the answer.
 * @throws {RemoteDocumentError}
 */
export async function postForm(
  url: URL,
  form: Record<string, string>,
  network: Network,
  isPrivateHost: boolean,
  closing: AbortSignal,
): Promise<number> {
  const signal = AbortSignal.any([closing, AbortSignal.timeout(WHOLE)])
  const body = new URLSearchParams(form).toString()
  const asked = {
    method: 'POST',
    headers: {
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': Buffer.byteLength(body),
      'user-agent': REQUEST_HEADERS['user-agent'],
    },
    body,
  }
  try {
    const addresses = await findAddresses(url.hostname, network, isPrivateHost, signal)
    return await send(url, asked, addresses, network.ca, signal, async ({ statusCode = 0 }) => {
      return statusCode
    })
  } catch (cause) {
    throw cause instanceof RemoteDocumentError ? cause : cannotBeFetched(cause)
  }
}

/** The OpenSSL error codes for a certificate of an unknown authority. */
const UNKNOWN_AUTHORITY = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]
const UNTRUSTED =
  'has a certificate of an authority that is not trusted; set NODE_EXTRA_CA_CERTS to a file with the certificate of that authority'

function cannotBeFetched(cause: unknown): RemoteDocumentError {
  const { code = '' } = cause as NodeJS.ErrnoException
  const forOperator = UNKNOWN_AUTHORITY.includes(code) ? UNTRUSTED : undefined
  return new RemoteDocumentError('cannot be fetched', { cause, forOperator })
}

/** The addresses of a host. Throws unless all of them may be connected to. */
async function findAddresses(
  hostname: string,
  { lookup, nameservers, allowsAddress = isPublicAddress }: Network,
  isPrivateHost: boolean,
  signal: AbortSignal,
): Promise<string[]> {
  const host = hostname.replace(/^\[|\]$/g, '')
  const bounded = AbortSignal.any([signal, AbortSignal.timeout(LOOKUP)])
  const addresses =
    isIP(host) !== 0
      ? [host]
      : lookup !== undefined
        ? await lookup(host, bounded)
        : isPrivateHost
          ? await resolveOrAskSystem(host, nameservers, bounded)
          : await resolve(host, new Resolver(RESOLVER), nameservers, bounded)
  const refused = addresses.filter(
    (address) =>
      isNeverFetched(address) ||
      !(allowsAddress(address) || (isPrivateHost && isPrivateAddress(address))),
  )
  if (addresses.length === 0 || refused.length > 0) throw notPublic(addresses, refused)
  return [4, 6].flatMap((family) =>
    addresses.filter((address) => isIP(address) === family).slice(0, ATTEMPTS),
  )
}

/**
 * The addresses of a private host, which may be known only to the hosts file of this machine or to
 * multicast DNS. getaddrinfo is tried second, since it cannot be cancelled.
 */
async function resolveOrAskSystem(
  hostname: string,
  nameservers: string[] | undefined,
  signal: AbortSignal,
): Promise<string[]> {
  try {
    return await resolve(hostname, new Resolver(RESOLVER_BEFORE_SYSTEM), nameservers, signal)
  } catch (error) {
    signal.throwIfAborted()
    const aborted = new Promise<never>((_, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
    })
    const asking = askSystem(hostname, { all: true }).catch(() => {
      throw error
    })
    return (await Promise.race([asking, aborted])).map(({ address }) => address)
  }
}

/** Asks nameservers directly: getaddrinfo cannot be cancelled and blocks a thread. */
async function resolve(
  hostname: string,
  resolver: Resolver,
  nameservers: string[] | undefined,
  signal: AbortSignal,
): Promise<string[]> {
  signal.throwIfAborted()
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
    // Strangers must not learn which names exist on the operator's network.
    throw new RemoteDocumentError(NOT_PUBLIC, { cause: errors[0] })
  } finally {
    signal.removeEventListener('abort', cancel)
  }
}

const NOT_PUBLIC = 'is not on the public internet'

/** Strangers get the same error for a name without an address and for every kind of refused address. */
function notPublic(addresses: string[], refused: string[]): RemoteDocumentError {
  const cause = new Error(`it has the addresses ${addresses.join(', ') || 'none'}`)
  return new RemoteDocumentError(NOT_PUBLIC, { cause, forOperator: whyRefused(refused) })
}

function whyRefused(refused: string[]): string | undefined {
  if (refused.length === 0) return undefined
  if (refused.every(isPrivateAddress)) {
    return 'resolves to a private address; name its host in PRIVATE_HOSTS to allow it'
  }
  return refused.some(isNeverFetched)
    ? 'resolves to a link-local address or a cloud metadata service, which PRIVATE_HOSTS cannot allow'
    : 'resolves to an address of special use, which PRIVATE_HOSTS cannot allow'
}

/** Reads the answer from one of these addresses, and returns when the socket is closed. */
async function send<T>(
  url: URL,
  { body, ...asked }: Pick<RequestOptions, 'method' | 'headers'> & { body?: string },
  addresses: string[],
  ca: string | undefined,
  signal: AbortSignal,
  read: (response: IncomingMessage) => Promise<T>,
): Promise<T> {
  const outgoing = request(url, {
    ...asked,
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
      outgoing.end(body)
    })
    return await read(response)
  } finally {
    clearTimeout(connecting)
    outgoing.destroy()
    await closed
  }
}

/** A lookup function that always returns these addresses. */
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
