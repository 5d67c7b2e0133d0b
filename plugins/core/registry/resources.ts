import type { Resource, Store } from '../../../db/store.ts'
import { normalResourceUri, type ResourceParameter } from '../../../schemas/resource.ts'
import { DEFAULT_SCOPE, IDENTITY_SCOPES, scopeWords } from '../../../schemas/scope.ts'
import { OAuthError } from '../http/errors.ts'
import type { Settings } from '../settings.ts'

/** How many resources one token can be for. */
const MAX_RESOURCES = 10

/** What a request asks for. */
export interface Wish {
  scope?: string | undefined
  resource?: ResourceParameter | undefined
}

export interface Limits {
  /** The scopes that belong to no resource and can be granted. */
  own: string[]
  /** The only scopes that the client may have, when these are limited. */
  registered: string | null
}

/** What it can have. */
export interface Target {
  scope: string
  /** Empty when the token is for this server alone. */
  resources: Resource[]
}

/**
 * What an authorization request can be granted: the words of the scope that are ours or of a
 * resource that it names (RFC 8707 section 2.1). Without `resource`, the scope tells which resource
 * is meant (RFC 9068 section 3).
 * @throws {OAuthError} invalid_target for a resource that is not registered, invalid_scope when
 *   nothing of the scope is left or it belongs to several resources and none is named.
 */
export async function findTarget(
  store: Pick<Store, 'resources'>,
  { scope = DEFAULT_SCOPE, resource }: Wish,
  { own, registered }: Limits,
): Promise<Target> {
  const may = registered === null ? undefined : scopeWords(registered)
  const words = scopeWords(scope).filter((word) => may?.includes(word) ?? true)
  const resources =
    resource === undefined ? await inferResources(store, words) : await find(store, resource)
  return { scope: scopeWithin(words, own, resources), resources }
}

/**
 * The part of a grant that a token request asks for: a narrower scope, fewer resources (RFC 6749
 * section 6, RFC 8707 section 2.2). A token for some of the resources has only their scopes.
 * @param granted with the resources that are still registered
 * @param isKnown which words can be granted at all; the others are left out, as at /authorize
 * @throws {OAuthError} invalid_target, invalid_scope
 */
export function narrowTarget(
  granted: { scope: string; resource: string | null; resources: Resource[] },
  { scope, resource }: Wish,
  isKnown: (word: string) => boolean = () => true,
): Target {
  let { resources } = granted
  if (resource !== undefined) {
    const wanted = normalUris(resource)
    resources = resources.filter(({ normal_uri }) => wanted.includes(normal_uri))
    if (resources.length < wanted.length) throw notGranted()
  }
  if (granted.resource !== null && resources.length === 0) throw notGranted()

  const words = scopeWords(scope ?? granted.scope).filter(isKnown)
  const grantedWords = scopeWords(granted.scope)
  if (words.some((word) => !grantedWords.includes(word))) {
    throw new OAuthError('invalid_scope', `The scope was granted as ${granted.scope}`)
  }
  return { scope: scopeWithin(words, IDENTITY_SCOPES, resources), resources }
}

/**
 * Which words of a scope can be granted to a client at all: those of this server and of every
 * registered resource, within what the client may ask for.
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

/** The `aud` of a token: one string for one resource; undefined when it is for this server. */
export function audienceOf(resources: Resource[]): string | string[] | undefined {
  const [only, ...others] = resources.map(({ uri }) => uri)
  return only === undefined || others.length === 0 ? only : [only, ...others]
}

/**
 * What signs an access token for these resources. Resource servers that take one algorithm alone get
 * a token of their own.
 * @throws {OAuthError} invalid_target when they take different ones (RFC 8707 section 2.2)
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
    'These resources take tokens that are signed differently: name one resource for each token',
  )
}

async function find(
  store: Pick<Store, 'resources'>,
  parameter: ResourceParameter,
): Promise<Resource[]> {
  return await Promise.all(
    normalUris(parameter).map(async (normal_uri) => {
      const resource = await store.resources.findByUri(normal_uri)
      if (resource !== undefined) return resource
      throw new OAuthError('invalid_target', `The resource ${normal_uri} is not registered here`)
    }),
  )
}

async function inferResources(
  store: Pick<Store, 'resources'>,
  words: string[],
): Promise<Resource[]> {
  const foreign = words.filter((word) => !IDENTITY_SCOPES.includes(word))
  if (foreign.length === 0) return []
  const resources = await store.resources.list()
  const known = foreign.filter((word) => resources.some(({ scopes }) => scopes.includes(word)))
  if (known.length === 0) return []
  const [only, another] = resources.filter(({ scopes }) =>
    known.every((word) => scopes.includes(word)),
  )
  if (only === undefined || another !== undefined) {
    throw new OAuthError('invalid_scope', 'Say with resource which API this scope is for')
  }
  return [only]
}

function scopeWithin(words: string[], own: string[], resources: Resource[]): string {
  const known = [...own, ...resources.flatMap(({ scopes }) => scopes)]
  const within = words.filter((word) => known.includes(word))
  if (within.length === 0) {
    throw new OAuthError('invalid_scope', 'Nothing of this scope can be granted')
  }
  return within.join(' ')
}

function normalUris(parameter: ResourceParameter): string[] {
  const uris = [parameter].flat().map((uri) => {
    const normal = normalResourceUri(uri)
    if (normal !== undefined) return normal
    throw new OAuthError('invalid_target', 'resource must be an absolute URI without a fragment')
  })
  const distinct = [...new Set(uris)]
  if (distinct.length > MAX_RESOURCES) {
    throw new OAuthError('invalid_target', `resource may name at most ${MAX_RESOURCES} APIs`)
  }
  return distinct
}

function notGranted(): OAuthError {
  return new OAuthError('invalid_target', 'The resource was not granted, or is there no more')
}
