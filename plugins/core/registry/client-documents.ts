import { Value } from '@sinclair/typebox/value'
import type { FastifyInstance } from 'fastify'
import type { Client } from '../../../db/store.ts'
import { ClientMetadataDocument } from '../../../schemas/client.ts'
import { OAuthError } from '../http/errors.ts'
import { strangersMetadata } from './registration.ts'
import { RemoteDocumentError, type RemoteDocuments } from './remote-documents.ts'

/** What the draft recommends as the largest document, in bytes. */
const DOCUMENT_BYTES = 5 * 1024

/**
 * Clients that nobody registered here: their `client_id` is the URL of a document that says what a
 * registration would (draft-ietf-oauth-client-id-metadata-document).
 */
export class ClientDocuments {
  readonly #app: Pick<FastifyInstance, 'clock' | 'settings' | 'store' | 'strangers'>
  readonly #documents: RemoteDocuments
  readonly #enabled: boolean
  readonly #allowed: string[]
  readonly #denied: string[]

  constructor(
    app: Pick<FastifyInstance, 'clock' | 'settings' | 'store' | 'strangers'>,
    documents: RemoteDocuments,
  ) {
    const { settings } = app
    this.#app = app
    this.#documents = documents
    this.#enabled = settings.CLIENT_ID_METADATA_DOCUMENTS === 'on'
    this.#allowed = hostList(settings.CLIENT_ID_METADATA_ALLOWED_HOSTS)
    this.#denied = hostList(settings.CLIENT_ID_METADATA_DENIED_HOSTS)
  }

  /** Whether a client with this id is one of those. */
  concern(client_id: string): boolean {
    return /^https?:/i.test(client_id)
  }

  /**
   * The client that the document at this URL describes, as fresh as HTTP caching wants it.
   * @param address of whoever asks
   * @throws {OAuthError} invalid_client, with what its publisher can do about it;
   *   temporarily_unavailable when strangers brought too many
   */
  async read(client_id: string, address: string): Promise<Client> {
    this.#assertAcceptable(client_id)
    let body: string
    try {
      body = await this.#documents.read(client_id, DOCUMENT_BYTES)
    } catch (error) {
      if (!(error instanceof RemoteDocumentError)) throw error
      throw unusable(error.message, error)
    }
    const said = readDocument(client_id, body)
    const known = await this.#app.store.clients.find(client_id)
    const client = {
      ...said,
      client_id,
      origin: 'document' as const,
      scope: null,
      refresh_reuse_grace: null,
      refresh_reuse: null,
      created_at: known?.created_at ?? this.#app.clock.now(),
      disabled_at: known?.disabled_at ?? null,
    }
    if (
      known !== undefined &&
      Value.Equal(known, { ...known, ...client, ...known.operator_change })
    ) {
      return known
    }
    if (known === undefined) await this.#app.strangers.admitClient(address)
    return await this.#app.store.clients.saveDocument(client)
  }

  #assertAcceptable(client_id: string): void {
    if (!this.#enabled) throw unusable('Metadata documents are switched off here')
    const problem = clientIdProblem(client_id)
    if (problem !== undefined) throw unusable(problem)
    const { hostname } = new URL(client_id)
    const named = (patterns: string[]) => patterns.some((pattern) => matchesHost(hostname, pattern))
    if (named(this.#denied) || (this.#allowed.length > 0 && !named(this.#allowed))) {
      throw unusable(`Clients of ${hostname} are not accepted here`)
    }
  }
}

/** Section 3 of the draft: https, a path, and written in the one way that URLs normally are. */
export function clientIdProblem(client_id: string): string | undefined {
  if (client_id.length > 2048) return 'it is too long'
  if (!URL.canParse(client_id)) return 'it is not a URL'
  const url = new URL(client_id)
  if (url.protocol !== 'https:') return 'it must be https'
  if (url.pathname === '/') return 'it must have a path'
  if (client_id.includes('#')) return 'it must have no fragment'
  if (url.username || url.password) return 'it must have no user'
  if (/\/(\.|%2e){1,2}(?=[/?]|$)/i.test(client_id)) return 'it must have no dot segments'
  if (url.href !== client_id) return `it must be in its normal form, ${url.href}`
  return undefined
}

/** Section 4 of the draft. */
function readDocument(client_id: string, body: string): ReturnType<typeof strangersMetadata> {
  let document: unknown
  try {
    document = JSON.parse(body)
  } catch {
    throw unusable('the document is not JSON')
  }
  if (typeof document === 'object' && document !== null && 'client_secret' in document) {
    throw unusable('the document must have no client_secret')
  }
  const [error] = Value.Errors(ClientMetadataDocument, document)
  if (error !== undefined)
    throw unusable(`${error.path.slice(1) || 'the document'}: ${error.message}`)
  const metadata = document as ClientMetadataDocument
  if (metadata.client_id !== client_id) {
    throw unusable(`the document says client_id ${metadata.client_id}`)
  }
  const { token_endpoint_auth_method = 'none' } = metadata
  if (!['none', 'private_key_jwt'].includes(token_endpoint_auth_method)) {
    throw unusable(`token_endpoint_auth_method ${token_endpoint_auth_method} needs a shared secret`)
  }
  return strangersMetadata({ ...metadata, token_endpoint_auth_method })
}

/** Names of hosts, separated by commas; `*.example.com` stands for all below example.com. */
function hostList(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((host) => host.trim().toLowerCase())
    .filter((host) => host !== '')
}

function matchesHost(hostname: string, pattern: string): boolean {
  return pattern.startsWith('*.') ? hostname.endsWith(pattern.slice(1)) : hostname === pattern
}

function unusable(why: string, cause?: unknown): OAuthError {
  return new OAuthError('invalid_client', `The client_id cannot be used: ${why}`, {
    status: 400,
    cause,
  })
}
