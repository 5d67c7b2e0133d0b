import type { FastifyInstance } from 'fastify'
import type { Client, Resource, Store } from '../../../db/store.ts'
import { normalResourceUri, type ResourceParameter } from '../../../schemas/resource.ts'
import {
  DEFAULT_SCOPE,
  IDENTITY_SCOPES,
  OFFLINE_ACCESS,
  scopeWords,
} from '../../../schemas/scope.ts'
import { OAuthError } from '../http/errors.ts'
import type { Settings } from '../settings.ts'

/** How many resources one token can be for. */
const MAX_RESOURCES = 10

/** The scope and resources that a request asks for. */
export interface RequestedTarget {
  scope?: string | undefined
  resource?: ResourceParameter | undefined
}

export interface AllowedScopes {
  /** The scopes that belong to no resource and can be granted. */
  own: string[]
  /** Whether the grant gets a refresh token. */
  refreshable: boolean
  /** The only scopes that the client may have; null when it may have any. */
  registered: string | null
  /** The resource for requests that name none; null for this server. */
  defaultResource: string | null
  /** Who registered the client: some APIs are only for clients that the operator registered. */
  origin: Client['origin']
}

/** The scope and resources of a grant or token. */
export interface Target {
  scope: string
  /** The resources beside this server. */
  resources: Resource[]
  /** Whether this server is in the audience, for /userinfo (RFC 9068 section 4). */
  includesIssuer: boolean
  /** Whether the request named the issuer alone and thereby meant these resources. */
  issuerMeansResources?: boolean
}

/**
 * The target that an authorization request can be granted: the words of the scope that belong to this
 * server or to the resources that the request names (RFC 8707 section 2.1) or has by default. Without
 * these, the scope determines the resource (RFC 9068 section 3). The issuer may be named beside
 * resources. Naming only the issuer is the same as naming no resource, since hosts that cannot read a
 * resource's metadata send it.
 * @throws {OAuthError} invalid_target for a resource that is not registered or not open to this
 *   client, also when only its scope is named; invalid_scope when no word of the scope can be granted,
 *   or when it belongs to several resources and none is named
 */
export async function findTarget(
  { store, settings }: Pick<FastifyInstance, 'store' | 'settings'>,
  { scope = DEFAULT_SCOPE, resource }: RequestedTarget,
  { own, refreshable, registered, defaultResource, origin }: AllowedScopes,
): Promise<Target> {
  const may = registered === null ? undefined : scopeWords(registered)
  const asked = scopeWords(isOfflineAlone(scope) ? `${DEFAULT_SCOPE} ${scope}` : scope)
  const words = asked.filter((word) => may?.includes(word) ?? true)
  const offline = refreshable && asked.includes(OFFLINE_ACCESS)
  const named = resource === undefined ? undefined : namedAudience(resource, settings)
  const namesResource = named !== undefined && named.normal_uris.length > 0
  const { resources, includesIssuer } = await findAudience()
  const issuerMeansResources = named !== undefined && !namesResource && !includesIssuer
  return { scope: grantedScope(), resources, includesIssuer, issuerMeansResources }

  async function findAudience(): Promise<Pick<Target, 'resources' | 'includesIssuer'>> {
    if (namesResource) {
      if (named.includesIssuer && own.length === 0) {
        throw new OAuthError(
          'invalid_target',
          'A client cannot have a token of its own for the issuer',
        )
      }
      const resources = await find(store, named.normal_uris, origin)
      return { resources, includesIssuer: named.includesIssuer }
    }
    if (defaultResource !== null) {
      const { normal_uris } = namedAudience(defaultResource, settings)
      return { resources: await find(store, normal_uris, origin), includesIssuer: false }
    }
    const resources = await inferResources({ store, settings }, words, origin)
    return { resources, includesIssuer: resources.length === 0 }
  }

  function grantedScope(): string {
    const scope = scopeWithin(words, own, resources)
    return offline ? `${scope} ${OFFLINE_ACCESS}` : scope
  }
}

/**
 * The resources that a grant stores; empty when the audience is only this server. The issuer is first if
 * it is in the audience, and last if it was named alone and stands for the resources, as it then does at
 * the token endpoint.
 */
export function storedResources(
  { resources, includesIssuer, issuerMeansResources }: Target,
  settings: Pick<Settings, 'ISSUER'>,
): string[] {
  const normal_uris = resources.map(({ normal_uri }) => normal_uri)
  if (normal_uris.length === 0) return []
  const issuer = normalIssuer(settings)
  if (includesIssuer) return [issuer, ...normal_uris]
  return issuerMeansResources ? [...normal_uris, issuer] : normal_uris
}

/** The scope of a grant, and those of its resources that are still registered. */
interface Granted {
  scope: string
  resource: string | null
  resources: Resource[]
}

/** The part of a grant that a token is issued for. */
export interface TokenTarget extends Target {
  /** The scope before it was narrowed to the audience; it decides what an ID Token says. */
  requestedScope: string
}

/**
 * The part of a grant that a token request asks for: a narrower scope, fewer resources (RFC 6749
 * section 6, RFC 8707 section 2.2). A token has only the scopes of its audience: those of its
 * resources, and this server's own if it is for this server. A client that was granted one of this
 * server's scopes may ask for a token for this server, whichever resources the grant has. Naming only
 * the issuer is the same as naming no resource in two cases: the grant has none of this server's
 * scopes, or the authorization request named only the issuer and thereby meant a resource.
 * @param granted resources that are no longer open to the client are ignored
 * @param isKnown whether a word can be granted at all; others are left out, as at /authorize
 * @throws {OAuthError} invalid_target, invalid_scope
 */
export async function narrowTarget(
  app: Pick<FastifyInstance, 'store' | 'settings'>,
  client: Pick<Client, 'origin'>,
  granted: Granted,
  { scope, resource }: RequestedTarget,
  isKnown: (word: string) => boolean = () => true,
): Promise<TokenTarget> {
  const grantedWords = scopeWords(granted.scope)
  const asked = scope === undefined || isOfflineAlone(scope) ? granted.scope : scope
  const words = scopeWords(asked).filter((word) =>
    // The presence of a refresh token says the same, whether or not the word was granted.
    word === OFFLINE_ACCESS ? grantedWords.includes(word) : isKnown(word),
  )
  if (words.some((word) => !grantedWords.includes(word))) {
    throw new OAuthError('invalid_scope', `The scope was granted as ${granted.scope}`)
  }
  const audience = await narrowAudience(app, client, granted, resource)
  const { resources, includesIssuer } = audience
  if (resources.length === 0 && !includesIssuer) throw notGranted()
  const requestedScope = words.join(' ')
  const forApis = !includesIssuer && words.some(isIdentityScope)
  // RFC 6749 section 3.3 has no empty scope. But a token for APIs from a grant with only this server's
  // own scopes (the default scope) has no scope at these APIs.
  const within = forApis
    ? wordsWithin(words, [], resources)
    : scopeWords(scopeWithin(words, includesIssuer ? IDENTITY_SCOPES : [], resources))
  if (words.includes(OFFLINE_ACCESS)) within.push(OFFLINE_ACCESS)
  return { scope: within.join(' '), resources, includesIssuer, requestedScope }
}

/**
 * The words of a scope that can be granted to a client at all: those of this server and of every
 * registered resource that the client may ask for.
 */
export async function knownScopes(
  store: Pick<Store, 'resources'>,
  registered: string | null,
): Promise<(word: string) => boolean> {
  const resources = await store.resources.list()
  const known = new Set([...IDENTITY_SCOPES, ...resources.flatMap(({ scopes }) => scopes)])
  const may = registered === null ? undefined : scopeWords(registered)
  return (word) => known.has(word) && (may?.includes(word) ?? true)
}

async function narrowAudience(
  { store, settings }: Pick<FastifyInstance, 'store' | 'settings'>,
  client: Pick<Client, 'origin'>,
  granted: Granted,
  resource: ResourceParameter | undefined,
): Promise<Pick<Target, 'resources' | 'includesIssuer'>> {
  const stored: string[] = granted.resource === null ? [] : JSON.parse(granted.resource)
  const [first, last] = [stored.at(0), stored.at(-1)]
  const issuerGranted = first === undefined || isIssuer(first, settings)
  const ownGranted = scopeWords(granted.scope).some(isIdentityScope)
  const registered = withoutIssuer(granted.resources, settings)
  const named = resource === undefined ? undefined : namedAudience(resource, settings)
  const issuerMeansResources =
    !issuerGranted && (!ownGranted || (last !== undefined && isIssuer(last, settings)))
  if (named === undefined || (named.normal_uris.length === 0 && issuerMeansResources)) {
    const resources = registered.filter((each) => isOpenTo(each, client.origin))
    const isClosed = registered.length > 0 && resources.length === 0 && !issuerGranted
    if (isClosed) throw notOpen()
    return { resources, includesIssuer: issuerGranted }
  }
  const { normal_uris, includesIssuer } = named
  const meant = new Set(await Promise.all(normal_uris.map(findMeant)))
  const resources = registered.filter(({ resource_id }) => meant.has(resource_id))
  if (resources.length < meant.size) throw notGranted()
  if (!resources.every((each) => isOpenTo(each, client.origin))) throw notOpen()
  if (includesIssuer && !issuerGranted && !ownGranted) throw notGranted()
  return { resources, includesIssuer }

  async function findMeant(normal_uri: string): Promise<string | undefined> {
    const exact = registered.find((each) => each.normal_uri === normal_uri)
    return (exact ?? (await store.resources.findByUri(normal_uri)))?.resource_id
  }
}

/** The `aud` of a token: one string for one audience. */
export function audienceOf(
  { resources, includesIssuer }: Pick<Target, 'resources' | 'includesIssuer'>,
  { ISSUER }: Pick<Settings, 'ISSUER'>,
): string | string[] {
  const uris = resources.map(({ uri }) => uri)
  const [only, ...others] = includesIssuer ? [ISSUER, ...uris] : uris
  return only === undefined || others.length === 0 ? (only ?? ISSUER) : [only, ...others]
}

/** Whether a URI is the issuer, which cannot be registered as a resource. */
export function isIssuer(normal_uri: string, settings: Pick<Settings, 'ISSUER'>): boolean {
  return withoutSlash(normal_uri) === withoutSlash(normalIssuer(settings))
}

/** An older version may have registered a resource under the issuer's own URI. */
function withoutIssuer(resources: Resource[], settings: Pick<Settings, 'ISSUER'>): Resource[] {
  return resources.filter(({ normal_uri }) => !isIssuer(normal_uri, settings))
}

function normalIssuer({ ISSUER }: Pick<Settings, 'ISSUER'>): string {
  return normalResourceUri(ISSUER) ?? ISSUER
}

function withoutSlash(uri: string): string {
  return uri.replace(/\/$/, '')
}

/** Whether the scope is only `offline_access`, which is then treated like no scope. */
function isOfflineAlone(scope: string): boolean {
  const words = scopeWords(scope)
  return words.length === 1 && words[0] === OFFLINE_ACCESS
}

function isIdentityScope(word: string): boolean {
  return IDENTITY_SCOPES.includes(word)
}

/**
 * The algorithm that signs an access token for these resources. Each resource may require one.
 * @throws {OAuthError} invalid_target when they require different ones (RFC 8707 section 2.2)
 */
export function accessTokenAlg(
  resources: Resource[],
  { ACCESS_TOKEN_ALG }: Pick<Settings, 'ACCESS_TOKEN_ALG'>,
): string {
  const [alg = ACCESS_TOKEN_ALG, ...others] = new Set(
    resources.map(({ access_token_alg }) => access_token_alg ?? ACCESS_TOKEN_ALG),
  )
  if (others.length === 0) return alg
  throw new OAuthError(
    'invalid_target',
    'These resources require different signature algorithms: ask for one token for each resource',
  )
}

async function find(
  store: Pick<Store, 'resources'>,
  normal_uris: string[],
  origin: Client['origin'],
): Promise<Resource[]> {
  const resources = await Promise.all(
    normal_uris.map(async (normal_uri) => {
      const resource = await store.resources.findByUri(normal_uri)
      if (resource === undefined) {
        throw new OAuthError(
          'invalid_target',
          'A resource that was asked for is not registered here',
        )
      }
      if (!isOpenTo(resource, origin)) throw notOpen()
      return resource
    }),
  )
  // Two spellings of one resource name it once.
  return [...new Map(resources.map((each) => [each.resource_id, each])).values()]
}

async function inferResources(
  { store, settings }: Pick<FastifyInstance, 'store' | 'settings'>,
  words: string[],
  origin: Client['origin'],
): Promise<Resource[]> {
  const foreign = words.filter((word) => ![...IDENTITY_SCOPES, OFFLINE_ACCESS].includes(word))
  if (foreign.length === 0) return []
  const registered = withoutIssuer(await store.resources.list(), settings)
  const resources = registered.filter((resource) => isOpenTo(resource, origin))
  const known = foreign.filter((word) => registered.some(({ scopes }) => scopes.includes(word)))
  if (known.some((word) => !resources.some(({ scopes }) => scopes.includes(word)))) throw notOpen()
  if (known.length === 0) return []
  const [only, another] = resources.filter(({ scopes }) =>
    known.every((word) => scopes.includes(word)),
  )
  if (only === undefined || another !== undefined) {
    throw new OAuthError('invalid_scope', 'Name the API of this scope in the parameter resource')
  }
  return [only]
}

function wordsWithin(words: string[], own: string[], resources: Resource[]): string[] {
  const known = [...own, ...resources.flatMap(({ scopes }) => scopes)]
  return words.filter((word) => known.includes(word))
}

function scopeWithin(words: string[], own: string[], resources: Resource[]): string {
  const within = wordsWithin(words, own, resources)
  if (within.length === 0) {
    throw new OAuthError('invalid_scope', 'No part of this scope can be granted')
  }
  return within.join(' ')
}

/** The resources that a request names, without the issuer, and whether it names the issuer. */
function namedAudience(
  parameter: ResourceParameter,
  settings: Pick<Settings, 'ISSUER'>,
): { normal_uris: string[]; includesIssuer: boolean } {
  const named = normalUris(parameter)
  const normal_uris = named.filter((uri) => !isIssuer(uri, settings))
  return { normal_uris, includesIssuer: normal_uris.length < named.length }
}

function normalUris(parameter: ResourceParameter): string[] {
  const uris = [parameter].flat().map((uri) => {
    const normal = normalResourceUri(uri)
    if (normal !== undefined) return normal
    throw new OAuthError('invalid_target', 'resource must be an absolute URI without a fragment')
  })
  const distinct = [...new Set(uris)]
  if (new Set(distinct.map(withoutSlash)).size > MAX_RESOURCES) {
    throw new OAuthError('invalid_target', `resource may name at most ${MAX_RESOURCES} APIs`)
  }
  return distinct
}

/** A client that the operator did not register may use only APIs that are open to anyone. */
function isOpenTo({ open_to }: Resource, origin: Client['origin']): boolean {
  return open_to === 'anyone' || origin === 'operator'
}

function notOpen(): OAuthError {
  return new OAuthError(
    'invalid_target',
    'This API is open only to clients that the operator of this server registered',
  )
}

function notGranted(): OAuthError {
  return new OAuthError('invalid_target', 'The resource was not granted, or has been deleted')
}
