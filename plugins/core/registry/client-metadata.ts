import { Value } from '@sinclair/typebox/value'
import type { Client } from '../../../db/store.ts'
import { type ClientMetadata, JsonWebKeySet, redirectUriProblem } from '../../../schemas/client.ts'
import { normalName } from '../../../schemas/name.ts'
import { ID_TOKEN_SIGNING_ALGS } from '../../../schemas/openid.ts'
import { parseUri } from '../../../schemas/uri.ts'
import { OAuthError } from '../http/errors.ts'
import { MAX_REUSE_GRACE } from '../settings.ts'
import { readName } from './names.ts'

/** `token_endpoint_auth_methods_supported` (RFC 8414 section 2). */
export const CLIENT_AUTHENTICATION_METHODS = [
  'client_secret_basic',
  'client_secret_post',
  'private_key_jwt',
  'none',
]

/** Whether a client authenticates with a secret. */
export function hasSecret({
  token_endpoint_auth_method,
}: Pick<Client, 'token_endpoint_auth_method'>): boolean {
  return token_endpoint_auth_method.startsWith('client_secret_')
}

/** The metadata of a client that the operator registers. */
export interface NewClient
  extends Partial<
    Pick<
      Client,
      | 'application_type'
      | 'jwks'
      | 'jwks_uri'
      | 'post_logout_redirect_uris'
      | 'backchannel_logout_uri'
    >
  > {
  client_name: string
  /** Empty for a client that does not use authorization codes. */
  redirect_uris: string[]
  /** `none` for a public client; by default `client_secret_basic`. */
  token_endpoint_auth_method?: string
  /** By default `authorization_code` and `refresh_token`. */
  grant_types?: string[]
  /** `RS256` or `ES256`; by default `RS256` (OpenID Connect Dynamic Client Registration 2). */
  id_token_signed_response_alg?: string
  /** In seconds; null for the server's REFRESH_REUSE_GRACE. */
  refresh_reuse_grace?: number | null
  /** Whether a used refresh token may come again; null for the default of its kind of client. */
  refresh_reuse?: Client['refresh_reuse']
  /** The only scopes that the client may ask for, also for itself. */
  scope?: string | null
  /** Whom its tokens name as their subject; by default the agent. */
  subject?: Client['subject'] | undefined
  /**
   * Whether agents may poll the code of a request that no browser opened; by default true for a
   * client that the operator registers and that redeems it with a secret or key.
   */
  legacy_polling?: boolean | undefined
  /** The URI of the resource for requests that name none, as it is registered. */
  default_resource?: string | null
}

/**
 * Checks the metadata of a client, whoever registers it, and fills in the defaults (RFC 7591 section
 * 2).
 * @throws {OAuthError} invalid_redirect_uri, invalid_client_metadata (RFC 7591 section 3.2.2)
 */
export function checkClientMetadata(
  given: ClientMetadata | NewClient | Client,
): Pick<
  Client,
  | 'client_name'
  | 'redirect_uris'
  | 'grant_types'
  | 'token_endpoint_auth_method'
  | 'jwks'
  | 'jwks_uri'
  | 'application_type'
  | 'id_token_signed_response_alg'
  | 'post_logout_redirect_uris'
  | 'backchannel_logout_uri'
> {
  const {
    redirect_uris = [],
    grant_types = ['authorization_code'],
    token_endpoint_auth_method = 'client_secret_basic',
    jwks = null,
    jwks_uri = null,
    application_type = null,
    id_token_signed_response_alg = 'RS256',
    post_logout_redirect_uris = [],
    backchannel_logout_uri = null,
  } = given
  assertGrantTypes(grant_types, token_endpoint_auth_method)
  if (grant_types.includes('authorization_code') && redirect_uris.length === 0) {
    throw new OAuthError(
      'invalid_redirect_uri',
      'A redirect URI is required that is https, or http on localhost or a loopback address',
    )
  }
  assertRedirectUris(redirect_uris)
  assertLogoutUris(post_logout_redirect_uris, backchannel_logout_uri)
  const client_name =
    given.client_name === undefined
      ? hostOf(redirect_uris[0])
      : readName('client_name', given.client_name, 'invalid_client_metadata')
  if ('response_types' in given && given.response_types?.includes('code') === false) {
    throw invalidMetadata('The only response_type is code')
  }
  if (!CLIENT_AUTHENTICATION_METHODS.includes(token_endpoint_auth_method)) {
    throw invalidMetadata(
      `token_endpoint_auth_method must be one of ${CLIENT_AUTHENTICATION_METHODS.join(', ')}`,
    )
  }
  assertKeys(token_endpoint_auth_method, jwks, jwks_uri)
  assertTokenTerms({ id_token_signed_response_alg })
  return {
    client_name,
    redirect_uris: [...new Set(redirect_uris)],
    grant_types: [...new Set(grant_types)],
    token_endpoint_auth_method,
    jwks,
    jwks_uri,
    application_type,
    id_token_signed_response_alg,
    post_logout_redirect_uris: [...new Set(post_logout_redirect_uris)],
    backchannel_logout_uri,
  }
}

/**
 * Checks the metadata of a client that registers itself. Only the operator can let a client act for
 * itself. Unknown grant types and redirect URIs with a private scheme are left out, and the answer
 * shows what was registered (RFC 7591 sections 2 and 3.2.1).
 * @throws {OAuthError} as `checkClientMetadata` does
 */
export function checkStrangersMetadata(
  given: ClientMetadata,
): ReturnType<typeof checkClientMetadata> {
  const asked = unlessEmpty(given.grant_types)
  const grant_types = asked?.filter((type) => STRANGERS_GRANT_TYPES.includes(type))
  const metadata = checkClientMetadata({
    ...given,
    response_types: unlessEmpty(given.response_types),
    grant_types: grant_types && [...new Set(grant_types)],
    redirect_uris: given.redirect_uris?.filter((uri) => !hasPrivateScheme(uri)),
  })
  if (Buffer.byteLength(JSON.stringify(metadata)) > MAX_STRANGERS_BYTES) {
    throw invalidMetadata(`The metadata must not have more than ${MAX_STRANGERS_BYTES} bytes`)
  }
  return metadata
}

/**
 * Whether a redirect URI has a private scheme (RFC 8252 section 7.1). This server never redirects to
 * one: any application on a device can claim the same scheme.
 */
function hasPrivateScheme(uri: string): boolean {
  return URL.canParse(uri) && !['http:', 'https:'].includes(new URL(uri).protocol)
}

/** The most metadata that is stored of a client that registered itself, in bytes. */
const MAX_STRANGERS_BYTES = 8192

/** Generated Java clients send an empty list for a member that is left out. */
function unlessEmpty(list: string[] | undefined): string[] | undefined {
  return list?.length === 0 ? undefined : list
}

const STRANGERS_GRANT_TYPES = ['authorization_code', 'refresh_token']
const GRANT_TYPES = ['authorization_code', 'refresh_token', 'client_credentials']

function assertGrantTypes(grant_types: string[], token_endpoint_auth_method: string): void {
  if (grant_types.length === 0 || grant_types.some((type) => !GRANT_TYPES.includes(type))) {
    throw invalidMetadata(`grant_types can be ${GRANT_TYPES.join(', ')}`)
  }
  if (grant_types.every((type) => type === 'refresh_token')) {
    throw invalidMetadata('refresh_token needs a grant type that gives refresh tokens beside it')
  }
  if (grant_types.includes('client_credentials') && token_endpoint_auth_method === 'none') {
    throw invalidMetadata('A public client may not use client_credentials')
  }
}

/** Members of private and secret keys alone (RFC 7518 sections 6.2.2, 6.3.2 and 6.4.1). */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

/** RFC 7591 section 2: `jwks` and `jwks_uri` exclude each other; keys are public ones. */
function assertKeys(method: string, jwks: Client['jwks'], jwks_uri: string | null): void {
  if (jwks !== null && jwks_uri !== null) throw invalidMetadata('Give jwks or jwks_uri, not both')
  if (method === 'private_key_jwt' && jwks === null && jwks_uri === null) {
    throw invalidMetadata('private_key_jwt needs jwks or jwks_uri')
  }
  if (jwks !== null && !Value.Check(JsonWebKeySet, jwks)) {
    throw invalidMetadata(
      'jwks must be a JSON Web Key Set: an object whose member keys has 1 to 20 keys',
    )
  }
  for (const key of jwks?.keys ?? []) {
    if (PRIVATE_MEMBERS.some((member) => member in key)) {
      throw invalidMetadata('jwks has a private or secret key: give the public parts alone')
    }
    if (typeof key.kty !== 'string') throw invalidMetadata('Each key of jwks must have a kty')
  }
  if (jwks_uri !== null && parseUri(jwks_uri)?.protocol !== 'https:') {
    throw invalidMetadata('jwks_uri must be an https URL in its normal form, without a user')
  }
}

function invalidMetadata(description: string): OAuthError {
  return new OAuthError('invalid_client_metadata', description)
}

function hostOf(uri = ''): string {
  return (URL.canParse(uri) && normalName(new URL(uri).host)) || 'Unnamed'
}

/** The `maxItems` of `ClientMetadata`. */
export const MAX_REDIRECT_URIS = 50

export function tooManyRedirectUris(): OAuthError {
  return new OAuthError(
    'invalid_redirect_uri',
    `A client has at most ${MAX_REDIRECT_URIS} redirect URIs`,
  )
}

/** @throws {OAuthError} invalid_redirect_uri */
export function assertRedirectUris(uris: string[]): void {
  if (uris.length > MAX_REDIRECT_URIS) throw tooManyRedirectUris()
  for (const uri of uris) {
    const problem = redirectUriProblem(uri)
    if (problem !== undefined) throw new OAuthError('invalid_redirect_uri', problem)
  }
}

/**
 * OpenID Connect RP-Initiated Logout 1.0 section 3.1 and Back-Channel Logout 1.0 section 2.2. The
 * latter is https: this server calls it itself, as it fetches documents.
 * @throws {OAuthError} invalid_client_metadata
 */
function assertLogoutUris(after: string[], backchannel: string | null): void {
  if (after.length > MAX_REDIRECT_URIS) {
    throw invalidMetadata(`A client has at most ${MAX_REDIRECT_URIS} post_logout_redirect_uris`)
  }
  for (const uri of after) {
    const problem = redirectUriProblem(uri)
    if (problem !== undefined) {
      throw invalidMetadata(problem.replace('A redirect URI', 'A post_logout_redirect_uri'))
    }
  }
  if (backchannel === null) return
  const url = backchannel.length > 2048 ? undefined : parseUri(backchannel)
  if (url?.protocol !== 'https:' || backchannel.includes('#')) {
    throw invalidMetadata(
      'backchannel_logout_uri must be an https URL in its normal form, without a user or fragment',
    )
  }
}

/** @throws {OAuthError} invalid_client_metadata */
export function assertTokenTerms({
  id_token_signed_response_alg: alg = 'RS256',
  refresh_reuse_grace: grace = null,
}: Pick<NewClient, 'id_token_signed_response_alg' | 'refresh_reuse_grace'>): void {
  if (!ID_TOKEN_SIGNING_ALGS.includes(alg)) {
    throw invalidMetadata(
      `id_token_signed_response_alg must be one of ${ID_TOKEN_SIGNING_ALGS.join(', ')}`,
    )
  }
  if (grace !== null && !(Number.isInteger(grace) && grace >= 0 && grace <= MAX_REUSE_GRACE)) {
    throw invalidMetadata(
      `refresh_reuse_grace must be a whole number of seconds from 0 to ${MAX_REUSE_GRACE}`,
    )
  }
}
