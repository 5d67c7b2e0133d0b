import type { FastifyInstance } from 'fastify'
import type { Resource, ResourceChange } from '../../../db/store.ts'
import { PREFIXES } from '../../../schemas/identifier.ts'
import { normalResourceUri, OPEN_TO, type OpenTo, slashTwin } from '../../../schemas/resource.ts'
import { parseUri } from '../../../schemas/uri.ts'
import { newId } from '../crypto/secrets.ts'
import { OAuthError } from '../http/errors.ts'
import { SIGNING_ALGS } from '../settings.ts'
import { assertFound } from './found.ts'
import { HolderSecrets } from './holder-secrets.ts'
import { readName, withName } from './names.ts'
import { isIssuer } from './resources.ts'
import { assertScopes } from './scopes.ts'

export interface NewResource {
  uri: string
  scopes: string[]
  name?: string | undefined
  /** By default `registered`: only clients that the operator registered may ask for it. */
  open_to?: OpenTo | undefined
  /** The algorithm that signs its access tokens; null for the server's ACCESS_TOKEN_ALG. */
  access_token_alg?: string | null | undefined
}

/** Registers and changes protected resources: APIs and MCP servers. */
export function createResourceRegistration({
  clock,
  keys,
  secrets,
  settings,
  store,
}: Pick<FastifyInstance, 'clock' | 'keys' | 'secrets' | 'settings' | 'store'>) {
  const holderSecrets = new HolderSecrets(secrets, PREFIXES.resource_secret)

  return {
    /**
     * Registers an API or MCP server, whose URI and scopes clients can then ask for (RFC 8707).
     * @returns the resource and, if there is one, the registered URI that differs by the slash at its end:
     *   from then on each spelling names its own resource
     * @throws {OAuthError} invalid_target, invalid_scope, invalid_request
     */
    async createResource(
      given: NewResource,
    ): Promise<{ resource: Resource; resource_secret: string; twin_uri?: string }> {
      const { open_to = 'registered', access_token_alg = null } = given
      const normal_uri = normalResourceUri(given.uri)
      if (normal_uri === undefined || parseUri(given.uri) === undefined) {
        throw new OAuthError(
          'invalid_target',
          `${given.uri} is not an absolute URI in its normal form, without user and fragment`,
        )
      }
      if (isIssuer(normal_uri, settings)) {
        throw new OAuthError('invalid_target', `${given.uri} is this server itself`)
      }
      assertScopes(given.scopes)
      assertOpenTo(open_to)
      assertAccessTokenAlg(access_token_alg)
      // Make its first key now, so that no token request is delayed or fails because of it.
      if (access_token_alg !== null) await keys.active(access_token_alg)
      const resource: Resource = {
        resource_id: newId(PREFIXES.resource_id),
        uri: given.uri,
        normal_uri,
        name: given.name === undefined ? null : readName('The name', given.name),
        scopes: [...new Set(given.scopes)],
        open_to,
        access_token_alg,
        created_at: clock.now(),
      }
      const { secret, row } = await holderSecrets.create(resource.resource_id)
      const { outcome } = await store.resources.create(resource, row)
      if (outcome === 'exists') {
        throw new OAuthError('invalid_target', `The resource ${given.uri} is registered already`)
      }
      const twin = slashTwin(normal_uri)
      const other = twin && (await store.resources.findByUri(twin))
      const hasTwin = other && other.resource_id !== resource.resource_id
      return { resource, resource_secret: secret, ...(hasTwin && { twin_uri: other.uri }) }
    },

    /** @throws {OAuthError} invalid_scope, invalid_request, not_found */
    async updateResource(resource_id: string, change: ResourceChange): Promise<Resource> {
      const { scopes, open_to, access_token_alg } = change
      if (scopes !== undefined) assertScopes(scopes)
      if (open_to !== undefined) assertOpenTo(open_to)
      if (access_token_alg !== undefined) assertAccessTokenAlg(access_token_alg)
      if (access_token_alg) await keys.active(access_token_alg)
      const normal = scopes === undefined ? change : { ...change, scopes: [...new Set(scopes)] }
      return assertFound(await store.resources.update(resource_id, withName(normal)), resource_id)
    },

    /**
     * Gives the resource a new secret; the old one works for `overlap` more seconds.
     * @throws {OAuthError} not_found
     */
    async rotateResourceSecret(resource_id: string, overlap = 0): Promise<string> {
      assertFound(await store.resources.find(resource_id), resource_id)
      return await holderSecrets.rotate(resource_id, { overlap }, store.resources.replaceSecret)
    },
  }
}

function assertOpenTo(open_to: OpenTo): void {
  if (OPEN_TO.includes(open_to)) return
  throw new OAuthError('invalid_request', `open_to must be ${OPEN_TO.join(' or ')}`)
}

function assertAccessTokenAlg(alg: string | null): void {
  if (alg === null || SIGNING_ALGS.includes(alg)) return
  throw new OAuthError(
    'invalid_request',
    `access_token_alg must be one of ${SIGNING_ALGS.join(', ')}`,
  )
}
