import fp from 'fastify-plugin'
import type { Client, LiveSecret, Store } from '../../../db/store.ts'
import type { Clock } from '../clock.ts'
import { ClientDocuments, isMetadataDocumentUrl } from './client-documents.ts'

/** Finds clients, also those that are known by a metadata document. */
export class Clients {
  readonly #store: Pick<Store, 'clients'>
  readonly #clock: Clock
  readonly #documents: ClientDocuments

  constructor(store: Pick<Store, 'clients'>, clock: Clock, documents: ClientDocuments) {
    this.#store = store
    this.#clock = clock
    this.#documents = documents
  }

  /**
   * @param address the caller's network address
   * @throws {OAuthError} invalid_client for a metadata document that cannot be used;
   *   temporarily_unavailable when too many documents are being fetched or there are too many clients
   *   of strangers
   */
  async find(client_id: string, address: string): Promise<Client | undefined> {
    return isMetadataDocumentUrl(client_id)
      ? await this.#documents.read(client_id, address)
      : await this.#store.clients.find(client_id)
  }

  /**
   * The client, with the secrets that are valid now.
   * @throws {OAuthError} as `find` does
   */
  async findWithSecrets(
    client_id: string,
    address: string,
  ): Promise<(Client & { secrets: LiveSecret[] }) | undefined> {
    return isMetadataDocumentUrl(client_id)
      ? { ...(await this.#documents.read(client_id, address)), secrets: [] }
      : await this.#store.clients.findWithSecrets(client_id, this.#clock.now())
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    clients: Clients
  }
}

export default fp(
  async (app) => {
    const { clock, remoteDocuments, settings, store, strangers } = app
    const documents = new ClientDocuments({ clock, settings, store, strangers }, remoteDocuments)
    app.decorate('clients', new Clients(store, clock, documents))
  },
  { name: 'clients', dependencies: ['clock', 'remoteDocuments', 'settings', 'store', 'strangers'] },
)
