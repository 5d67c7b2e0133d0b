import type { FastifyInstance } from 'fastify'
import type { Client, ClientChange } from '../../../db/store.ts'
import { PREFIXES } from '../../../schemas/identifier.ts'
import { normalResourceUri } from '../../../schemas/resource.ts'
import { scopeWords } from '../../../schemas/scope.ts'
import { newId } from '../crypto/secrets.ts'
import { OAuthError } from '../http/errors.ts'
import {
  assertRedirectUris,
  assertTokenTerms,
  checkClientMetadata,
  hasSecret,
  MAX_REDIRECT_URIS,
  type NewClient,
  tooManyRedirectUris,
} from './client-metadata.ts'
import { assertFound } from './found.ts'
import { HolderSecrets, type SecretRotation } from './holder-secrets.ts'
import { assertScopeWord } from './scopes.ts'

/** Registers and changes clients, for the operator and for clients that register themselves. */
export function createClientRegistration({
  clock,
  secrets,
  store,
}: Pick<FastifyInstance, 'clock' | 'secrets' | 'store'>) {
  const holderSecrets = new HolderSecrets(secrets, PREFIXES.client_secret)

  return {
    /**
     * @throws {OAuthError} invalid_redirect_uri, invalid_client_metadata (RFC 7591 section 3.2.2);
     *   invalid_target for a default resource that is not registered
     */
    async createClient(
      given: NewClient,
      registered: {
        origin: Client['origin']
        registration_token_hash?: string
        /** Whether the operator, or the holder of an initial access token, registers it. */
        vouched?: boolean
      } = { origin: 'operator' },
    ): Promise<{ client: Client; client_secret?: string }> {
      assertTokenTerms(given)
      const { grant_types = ['authorization_code', 'refresh_token'] } = given
      const metadata = checkClientMetadata({ ...given, grant_types })
      const confidential = metadata.token_endpoint_auth_method !== 'none'
      const default_resource = await registeredUri(given.default_resource ?? null)
      const client: Client = {
        client_id: newId(PREFIXES.client_id),
        ...metadata,
        default_resource,
        legacy_polling: given.legacy_polling ?? (registered.origin === 'operator' && confidential),
        scope: normalScope(given.scope ?? null),
        subject: given.subject ?? 'agent',
        refresh_reuse_grace: given.refresh_reuse_grace ?? null,
        refresh_reuse: given.refresh_reuse ?? null,
        origin: registered.origin,
        operator_change: null,
        created_at: clock.now(),
        disabled_at: null,
      }
      const { registration_token_hash, vouched } = registered
      if (!hasSecret(client)) {
        await store.clients.create(client, undefined, registration_token_hash, vouched)
        return { client }
      }
      const { secret, row } = await holderSecrets.create(client.client_id)
      await store.clients.create(client, row, registration_token_hash, vouched)
      return { client, client_secret: secret }
    },

    /**
     * @param by `client` for the client itself (RFC 7592), which cannot undo a change by the operator
     * @throws {OAuthError} as `createClient` does, and not_found
     */
    async updateClient(
      client_id: string,
      given: ClientChange,
      by: 'operator' | 'client' = 'operator',
    ): Promise<Client> {
      const client = assertFound(await store.clients.find(client_id), client_id)
      const change = await withRegisteredUri(given)
      const { disabled_at: _, legacy_polling: __, ...metadata } = change
      // Only the changed members are checked: older versions had other rules, and such a client can
      // still be disabled or changed in other ways.
      const { client_name } =
        Object.keys(metadata).length > 0
          ? checkClientMetadata({ ...client, client_name: 'unchanged', ...metadata })
          : client
      assertTokenTerms(change)
      const renamed = change.client_name === undefined ? change : { ...change, client_name }
      const now = clock.now()
      const update = store.clients.update(client_id, normalChange(renamed), now, by)
      return assertFound(await update, client_id)
    },

    /**
     * Adds and removes redirect URIs, and makes a further change, in one act, so that concurrent changes
     * do not undo each other.
     * @throws {OAuthError} as `updateClient` does; invalid_redirect_uri when a URI to remove is not
     *   registered, or when the client would have too many, or none though it needs one
     */
    async editRedirectUris(
      client_id: string,
      { add, remove }: { add: string[]; remove: string[] },
      given: Omit<ClientChange, 'redirect_uris'> = {},
    ): Promise<Client> {
      const client = assertFound(await store.clients.find(client_id), client_id)
      const change = await withRegisteredUri(given)
      assertRedirectUris(add)
      // A redirect URI that was registered under older rules can still be removed.
      if (Object.keys(change).length > 0) checkClientMetadata({ ...client, ...change })
      assertTokenTerms(change)
      const edited = await store.clients.editRedirectUris(
        client_id,
        { add, remove, limit: MAX_REDIRECT_URIS },
        normalChange(change),
        clock.now(),
      )
      switch (edited.outcome) {
        case 'edited':
          return edited.client
        case 'unknown':
          throw new OAuthError('not_found', `There is no ${client_id}`)
        case 'not_registered':
          throw new OAuthError('invalid_redirect_uri', `${edited.uri} is not a redirect URI of it`)
        case 'none_left':
          throw new OAuthError('invalid_redirect_uri', 'A redirect URI is required')
        case 'too_many':
          throw tooManyRedirectUris()
      }
    },

    /**
     * Gives the client a new secret.
     * @throws {OAuthError} not_found; invalid_client_metadata for a client that has no secret
     */
    async rotateClientSecret(client_id: string, rotation: SecretRotation = {}): Promise<string> {
      const client = assertFound(await store.clients.find(client_id), client_id)
      if (!hasSecret(client)) {
        throw new OAuthError('invalid_client_metadata', `${client_id} is a client without a secret`)
      }
      return await holderSecrets.rotate(client_id, rotation, store.clients.replaceSecret)
    },
  }

  /** The change with the default resource in its registered spelling. */
  async function withRegisteredUri<Change extends Pick<ClientChange, 'default_resource'>>(
    change: Change,
  ): Promise<Change> {
    if (change.default_resource === undefined) return change
    return { ...change, default_resource: await registeredUri(change.default_resource) }
  }

  /** @throws {OAuthError} invalid_target for a URI that is not a registered resource */
  async function registeredUri(uri: string | null): Promise<string | null> {
    if (uri === null) return null
    const normal_uri = normalResourceUri(uri)
    const resource = normal_uri && (await store.resources.findByUri(normal_uri))
    if (resource) return resource.uri
    throw new OAuthError('invalid_target', `${uri} is not a resource that is registered here`)
  }
}

/** @throws {OAuthError} invalid_scope */
function normalScope(scope: string | null): string | null {
  if (scope === null) return null
  const words = scopeWords(scope)
  if (words.length === 0) {
    throw new OAuthError('invalid_scope', 'The scope is empty, so the client could not ask for any')
  }
  for (const word of words) assertScopeWord(word)
  return words.join(' ')
}

/** The change in the form that `createClient` stores. */
function normalChange<Change extends Pick<ClientChange, 'scope' | 'redirect_uris'>>(
  change: Change,
): Change {
  const { scope, redirect_uris } = change
  return {
    ...change,
    ...(scope !== undefined && { scope: normalScope(scope) }),
    ...(redirect_uris !== undefined && { redirect_uris: [...new Set(redirect_uris)] }),
  }
}
