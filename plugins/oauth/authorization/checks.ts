import type { FastifyInstance } from 'fastify'
import type { AuthorizeQuery } from '../../../schemas/authorize.ts'
import { matchesRedirectUri } from '../../../schemas/client.ts'
import { PROMPTS, RESPONSE_MODES } from '../../../schemas/openid.ts'
import { IDENTITY_SCOPES, scopeWords } from '../../../schemas/scope.ts'
import type { Client } from '../../core/core.ts'
import { OAuthError } from '../../core/http/errors.ts'
import { findTarget, type Target } from '../../core/registry/resources.ts'
import { assertRedirectUri } from '../../core/sign-in/authorization-response.ts'

/** The most bytes of `state` and `nonce` together, which are stored with the request. */
const MAX_STATE_AND_NONCE = 4096

/** Parameters before they are held to a schema: a repeated one is an array. */
export type UncheckedQuery = { [Name in keyof AuthorizeQuery]?: unknown }

/** Who asks, and where the answer goes. */
export interface Site {
  client: Client
  redirect_uri: string
}

/** What was asked for, once every check has passed. */
export interface CheckedRequest {
  target: Target
  hinted_sub: string | null
  /** Each word once. */
  prompt: string[]
  /** In seconds. */
  max_age: number | undefined
}

/**
 * The client and its redirect URI, before anything is redirected (RFC 6749 section 4.1.2.1).
 * @throws {OAuthError} invalid_request, to be shown and never redirected
 */
export async function findSite(
  app: Pick<FastifyInstance, 'clients'>,
  { client_id, redirect_uri }: UncheckedQuery,
  address: string,
): Promise<Site> {
  if (typeof client_id !== 'string') throw missingOrRepeated('client_id', client_id)
  const client = await app.clients.find(client_id, address)
  if (client === undefined || client.disabled_at !== null) throw unknownClient()
  const site = { client, redirect_uri: chooseRedirectUri(client, redirect_uri) }
  assertRedirectUri(site.redirect_uri)
  return site
}

/**
 * The checks of an authorization request of a known client, in the order of the specifications.
 * @throws {OAuthError} for the website (RFC 6749 section 4.1.2.1)
 */
export async function checkRequest(
  app: Pick<FastifyInstance, 'settings' | 'store' | 'tokens'>,
  { client }: Site,
  query: AuthorizeQuery,
  validationError: Error | undefined,
): Promise<CheckedRequest> {
  assertNoRequestObject(query)
  assertResponseType(query)
  assertChallenge(query)
  if (validationError !== undefined) throw validationError
  assertGrantType(client)
  assertChallengeMethod(query)
  assertResponseMode(query)
  assertLength(query)
  const prompt = readPrompt(query)
  return {
    target: await findTarget(app, query, {
      own: IDENTITY_SCOPES,
      refreshable: client.grant_types.includes('refresh_token'),
      registered: client.scope,
      defaultResource: client.default_resource,
      origin: client.origin,
    }),
    hinted_sub: await readHint(app, query, client),
    prompt,
    max_age: query.max_age === undefined ? undefined : Number(query.max_age),
  }
}

export function unknownClient(): OAuthError {
  return new OAuthError('invalid_request', 'No website with this client_id is registered here', {
    websiteError: 'client',
  })
}

/** OAuth 2.1 section 2.3.2: it may be left out where only one is registered. */
function chooseRedirectUri({ redirect_uris }: Client, requested: unknown): string {
  const [only, another] = redirect_uris
  if (requested === undefined && only !== undefined && another === undefined) return only
  if (typeof requested !== 'string') throw missingOrRepeated('redirect_uri', requested)
  if (!redirect_uris.some((registered) => matchesRedirectUri(requested, registered))) {
    throw new OAuthError('invalid_request', 'The redirect_uri is not registered for this website', {
      websiteError: 'redirect-uri',
    })
  }
  return requested
}

/** OpenID Connect Core sections 6 and 7.2.1, RFC 9101. */
function assertNoRequestObject(query: UncheckedQuery): void {
  for (const name of ['request', 'request_uri', 'registration'] as const) {
    if (query[name] !== undefined) {
      throw new OAuthError(`${name}_not_supported`, `The parameter ${name} is not supported`)
    }
  }
}

/** RFC 6749 section 3.1.1. That it is missing or repeated is for the schema to say. */
function assertResponseType({ response_type }: UncheckedQuery): void {
  if (typeof response_type === 'string' && response_type !== 'code') {
    throw new OAuthError('unsupported_response_type', 'The only response_type is code')
  }
}

/** RFC 7636 section 4.4.1. */
function assertChallenge({ code_challenge }: UncheckedQuery): void {
  if (code_challenge !== undefined) return
  throw new OAuthError(
    'invalid_request',
    'code_challenge is required: turn on PKCE with S256 at this website',
    { websiteError: 'pkce' },
  )
}

function assertGrantType({ grant_types }: Client): void {
  if (grant_types.includes('authorization_code')) return
  throw new OAuthError('unauthorized_client', 'This client may not use authorization codes', {
    websiteError: 'grant-type',
  })
}

/** RFC 7636 section 4.3: no method means plain. */
function assertChallengeMethod({ code_challenge_method }: AuthorizeQuery): void {
  if (code_challenge_method === 'S256') return
  throw new OAuthError(
    'invalid_request',
    'code_challenge_method must be S256: turn on PKCE with S256 at this website',
    { websiteError: 'pkce' },
  )
}

/** OAuth 2.0 Multiple Response Type Encoding Practices section 2.1. */
function assertResponseMode({ response_mode = 'query' }: AuthorizeQuery): void {
  if (RESPONSE_MODES.includes(response_mode)) return
  throw new OAuthError('invalid_request', `response_mode must be ${RESPONSE_MODES.join(' or ')}`, {
    websiteError: 'response-mode',
  })
}

function assertLength({ state = '', nonce = '' }: AuthorizeQuery): void {
  if (Buffer.byteLength(state) + Buffer.byteLength(nonce) <= MAX_STATE_AND_NONCE) return
  throw new OAuthError(
    'invalid_request',
    `state and nonce must not have more than ${MAX_STATE_AND_NONCE} bytes together`,
  )
}

/** OpenID Connect Core section 3.1.2.1. */
function readPrompt({ prompt = '' }: AuthorizeQuery): string[] {
  const words = scopeWords(prompt)
  if (words.some((word) => !PROMPTS.includes(word))) {
    throw new OAuthError('invalid_request', `prompt may be ${PROMPTS.join(', ')} and nothing else`)
  }
  if (words.includes('none') && words.length > 1) {
    throw new OAuthError('invalid_request', 'prompt=none must stand alone')
  }
  return words
}

/** The one subject that an ID Token of this client names (OpenID Connect Core section 3.1.2.1). */
async function readHint(
  app: Pick<FastifyInstance, 'tokens'>,
  { id_token_hint }: AuthorizeQuery,
  { client_id }: Client,
): Promise<string | null> {
  if (id_token_hint === undefined) return null
  const claims = await app.tokens.readIdToken(id_token_hint, client_id)
  if (claims === undefined) {
    throw new OAuthError('invalid_request', 'id_token_hint is no ID Token of this client')
  }
  return claims.sub
}

function missingOrRepeated(name: string, value: unknown): OAuthError {
  const what = value === undefined ? `${name} is required` : `${name} must be given only once`
  return new OAuthError('invalid_request', what)
}
