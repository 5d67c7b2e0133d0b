import { Value } from '@sinclair/typebox/value'
import type { FastifyInstance } from 'fastify'
import type { Client } from '../../../db/store.ts'
import { ClientMetadataDocument } from '../../../schemas/client.ts'
import { matchesHostPattern, parseUri } from '../../../schemas/uri.ts'
import { OAuthError } from '../http/errors.ts'
import { isObject, withoutEmpty } from '../http/parameters.ts'
import { readHostList } from '../settings.ts'
import { checkStrangersMetadata } from './client-metadata.ts'
import { RemoteDocumentError } from './fetch-document.ts'
import type { RemoteDocuments } from './remote-documents.ts'

/** The largest document, in bytes, as the draft recommends. */
const DOCUMENT_BYTES = 5 * 1024

/**
 * Clients without a registration: their `client_id` is the URL of a document with the metadata that a
 * registration would contain (draft-ietf-oauth-client-id-metadata-document).
 */
export class ClientDocuments {
  readonly #parts: Pick<FastifyInstance, 'clock' | 'settings' | 'store' | 'strangers'>
  readonly #documents: RemoteDocuments
  readonly #enabled: boolean
  readonly #allowed: string[]
  readonly #denied: string[]

  constructor(
    parts: Pick<FastifyInstance, 'clock' | 'settings' | 'store' | 'strangers'>,
    documents: RemoteDocuments,
  ) {
    const { settings } = parts
    this.#parts = parts
    this.#documents = documents
    this.#enabled = settings.CLIENT_ID_METADATA_DOCUMENTS === 'on'
    this.#allowed = readHostList(settings.CLIENT_ID_METADATA_ALLOWED_HOSTS).patterns
    this.#denied = readHostList(settings.CLIENT_ID_METADATA_DENIED_HOSTS).patterns
  }

  /**
   * The client that the document at this URL describes, fetched again as HTTP caching requires.
   * @param address the caller's network address
   * @throws {OAuthError} invalid_client, with advice for its publisher; temporarily_unavailable when
   *   too many documents are being fetched or there are too many clients of strangers
   */
  async read(client_id: string, address: string): Promise<Client> {
    this.#assertAcceptable(client_id)
    const said = await this.#readDocument(client_id, address).catch((error) => {
      if (!(error instanceof RemoteDocumentError)) throw error
      throw unusableDocument(`its document ${error.message}`, error)
    })
    const known = await this.#parts.store.clients.find(client_id)
    const client = {
      ...said,
      client_id,
      origin: 'document' as const,
      scope: null,
      subject: 'agent' as const,
      default_resource: null,
      refresh_reuse_grace: null,
      refresh_reuse: null,
      legacy_polling: false,
      created_at: known?.created_at ?? this.#parts.clock.now(),
      disabled_at: known?.disabled_at ?? null,
    }
    if (
      known !== undefined &&
      Value.Equal(known, { ...known, ...client, ...known.operator_change })
    ) {
      return known
    }
    if (known === undefined) await this.#parts.strangers.admitClient(address)
    return await this.#parts.store.clients.saveDocument(client)
  }

  async #readDocument(client_id: string, address: string) {
    const body = await this.#documents.read(client_id, DOCUMENT_BYTES, { address })
    try {
      return readDocument(client_id, body)
    } catch (error) {
      throw error instanceof OAuthError ? this.#documents.unusable(client_id, error) : error
    }
  }

  #assertAcceptable(client_id: string): void {
    if (!this.#enabled) throw unusableDocument('metadata documents are switched off here')
    const problem = clientIdProblem(client_id)
    if (problem !== undefined) throw unusableDocument(problem)
    const { hostname } = new URL(client_id)
    const named = (patterns: string[]) =>
      patterns.some((pattern) => matchesHostPattern(hostname, pattern))
    if (named(this.#denied) || (this.#allowed.length > 0 && !named(this.#allowed))) {
      throw unusableDocument('clients of its host are not accepted here')
    }
  }
}

/** Whether a `client_id` is the URL of a metadata document. */
export function isMetadataDocumentUrl(client_id: string): boolean {
  return /^https?:/i.test(client_id)
}

/** Why a `client_id` is not a URL of section 3 of the draft: https, a path, and the normal form of URLs. */
export function clientIdProblem(client_id: string): string | undefined {
  if (client_id.length > 2048) return 'it is too long'
  if (!URL.canParse(client_id)) return 'it is not a URL'
  const url = new URL(client_id)
  if (url.protocol !== 'https:') return 'it must be https'
  if (url.pathname === '/') return 'it must have a path'
  if (client_id.includes('#')) return 'it must have no fragment'
  if (url.username || url.password) return 'it must have no user'
  if (/\/(\.|%2e){1,2}(?=[/?]|$)/i.test(client_id)) return 'it must have no dot segments'
  if (parseUri(client_id) === undefined) return 'it must be in the normal form of URLs'
  return undefined
}

/** Section 4 of the draft. Refusals quote nothing that the document says. */
function readDocument(client_id: string, body: string): ReturnType<typeof checkStrangersMetadata> {
  const metadata = parseDocument(body)
  if (metadata.client_id !== client_id) throw unusableDocument('its document has another client_id')
  const token_endpoint_auth_method = authenticationMethod(metadata)
  if (!AUTHENTICATION_METHODS.includes(token_endpoint_auth_method)) {
    throw unusableDocument('its token_endpoint_auth_method must be none or private_key_jwt')
  }
  try {
    return checkStrangersMetadata({ ...metadata, token_endpoint_auth_method })
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    const why = error.code === 'invalid_redirect_uri' ? REDIRECT_URIS : error.message
    throw unusableDocument(`its document is not acceptable: ${why}`, error)
  }
}

/** The draft's other methods use a shared secret, which a public document cannot have. */
const AUTHENTICATION_METHODS = ['none', 'private_key_jwt']

const REDIRECT_URIS =
  'redirect_uris must be https, or http on localhost or a loopback address, in the normal form of URLs, without user, fragment or wildcard'

/** Null and empty members count as left out, as in a registration (RFC 7591 section 2). */
function parseDocument(body: string): ClientMetadataDocument {
  let json: unknown
  try {
    json = JSON.parse(body)
  } catch (error) {
    throw unusableDocument('its document is not JSON', error)
  }
  const document = isObject(json) ? withoutEmpty(json) : json
  if (isObject(document) && 'client_secret' in document) {
    throw unusableDocument('its document must have no client_secret')
  }
  const [error] = Value.Errors(ClientMetadataDocument, document)
  if (error === undefined) return document as ClientMetadataDocument
  const member = error.path.split('/')[1]
  throw unusableDocument(
    member === undefined
      ? 'its document must be a JSON object'
      : `the ${member} of its document is missing or malformed`,
  )
}

/** The method that the document names, or one of those that it supports, preferably with keys. */
function authenticationMethod(metadata: ClientMetadataDocument): string {
  const { token_endpoint_auth_method, token_endpoint_auth_methods_supported: supported } = metadata
  if (token_endpoint_auth_method !== undefined) return token_endpoint_auth_method
  if (!Array.isArray(supported) || supported.length === 0) return 'none'
  const hasKeys = metadata.jwks !== undefined || metadata.jwks_uri !== undefined
  const preferred = hasKeys ? [...AUTHENTICATION_METHODS].reverse() : AUTHENTICATION_METHODS
  return preferred.find((method) => supported.includes(method)) ?? String(supported[0])
}

function unusableDocument(why: string, cause?: unknown): OAuthError {
  return new OAuthError('invalid_client', `The client_id cannot be used: ${why}`, {
    status: 400,
    cause,
  })
}
