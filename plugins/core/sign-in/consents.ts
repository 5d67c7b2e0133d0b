import { hash } from 'node:crypto'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import {
  type Agent,
  type AuthorizationRequest,
  type AuthorizationRequestState,
  type Client,
  type ConsentOutcome,
  type RememberedConsent,
  standing,
} from '../../../db/store.ts'
import { PREFIXES } from '../../../schemas/identifier.ts'
import { shownName } from '../../../schemas/name.ts'
import { PERSON_ACR, PERSON_AMR } from '../../../schemas/openid.ts'
import { normalResourceUri } from '../../../schemas/resource.ts'
import { IDENTITY_SCOPES, OFFLINE_ACCESS, scopeWords } from '../../../schemas/scope.ts'
import type { SignInDescription } from '../../../schemas/sign-in-description.ts'
import { isLoopback, parseUri } from '../../../schemas/uri.ts'
import { toDetail } from '../audit/sign-in-lines.ts'
import { newId } from '../crypto/secrets.ts'
import { OAuthError } from '../http/errors.ts'
import type { SignedIn } from '../persons/sessions.ts'
import { type AuthorizationResponse, authorizationResponse } from './authorization-response.ts'

/** How long a person can allow a sign-in to last, in seconds; null for no end of its own. */
export const LASTS: Record<Lasting, number | null> = {
  'until-stopped': null,
  '30-days': 30 * 86_400,
  '1-day': 86_400,
  once: null,
}
export type Lasting = 'until-stopped' | '30-days' | '1-day' | 'once'

/** Stands for an agent that is made with the consent, named after the site. */
export const NEW_AGENT = 'new'

/** An agent of the owner, and why it cannot be chosen where that is so. */
export interface OfferedAgent {
  agent: Agent
  refusal: string | undefined
}

/** What a person is asked, and can choose from. */
export interface Offer {
  request: AuthorizationRequest
  client: Client
  description: SignInDescription
  /** The scopes that can be left out. */
  optional: string[]
  /** Those that the sign-in needs. */
  required: string[]
  agents: OfferedAgent[]
  /** Whether an agent can be made for this. */
  mayBeNew: boolean
  /** The choice that the page begins with; undefined where nothing can be chosen. */
  preselected: string | undefined
  /** Whether later sign-ins of this client can go without a page. */
  mayRemember: boolean
}

/** What a person chose. */
export interface Choice {
  /** An `agent_id` of the owner, or NEW_AGENT. */
  agent: string
  /** Of the optional scopes. */
  scopes: string[]
  lasts: Lasting
  remember: boolean
}

/** What `findSilent` needs to know of a request that is not stored yet. */
type NewRequest = Pick<
  AuthorizationRequest,
  'client_id' | 'redirect_uri' | 'scope' | 'resource' | 'hinted_sub'
>

type Parts = Pick<
  FastifyInstance,
  | 'audit'
  | 'clock'
  | 'describeSignIn'
  | 'log'
  | 'policies'
  | 'requestWatch'
  | 'settings'
  | 'store'
  | 'tokens'
>

/**
 * A person's consent to an authorization request, in place of an agent's authentication. The consent
 * itself is a passkey's assertion over all that was shown and chosen; a session alone never suffices.
 */
export class Consents {
  readonly #parts: Parts

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /**
   * A request that waits.
   * @throws {OAuthError} not_found for one that does not, or no more
   */
  async findPending(request_id: string): Promise<AuthorizationRequestState> {
    const found = await this.#parts.store.authorizationRequests.find(request_id)
    if (found !== undefined && standing(found, this.#parts.clock.now()) === 'pending') return found
    throw notWaiting()
  }

  /**
   * What the owner is asked.
   * @throws {OAuthError} access_denied where no person can sign in to the site
   */
  async offer(request: AuthorizationRequest, { owner }: SignedIn): Promise<Offer> {
    const { store, policies, describeSignIn } = this.#parts
    const client = await store.clients.find(request.client_id)
    if (client === undefined || client.disabled_at !== null) throw notWaiting()
    await policies.assertTakesPersons(client.client_id)
    const description = await describeSignIn(request)
    const { hinted_sub } = request
    const isHinted = (agent_id: string) =>
      hinted_sub === null || hinted_sub === agent_id || hinted_sub === owner.owner_id
    const agents = await Promise.all(
      (await store.agents.listOfOwner(owner.owner_id)).map(async (agent) => ({
        agent,
        refusal: !isHinted(agent.agent_id)
          ? 'the site expects another agent'
          : agent.disabled_at !== null
            ? 'it is disabled'
            : await policies.findRefusalOfOwner(agent.agent_id, request, description),
      })),
    )
    const mayBeNew = hinted_sub === null || hinted_sub === owner.owner_id
    const words = scopeWords(request.scope)
    const optional = words.filter((word) => !isNeeded(word))
    const required = words.filter((word) => IDENTITY_SCOPES.includes(word))
    const mayRemember = this.mayBeSilent(client, request.redirect_uri)
    const offer = {
      request,
      client,
      description,
      optional,
      required,
      agents,
      mayBeNew,
      mayRemember,
    }
    return { ...offer, preselected: await this.#preselect(offer, owner.owner_id) }
  }

  /** The agent that the site names, else the one that was used there last, else the first. */
  async #preselect(
    { request, agents, mayBeNew }: Omit<Offer, 'preselected'>,
    owner_id: string,
  ): Promise<string | undefined> {
    const free = agents.filter(({ refusal }) => refusal === undefined)
    const has = (agent_id: string | null | undefined) =>
      free.find(({ agent }) => agent.agent_id === agent_id)?.agent.agent_id
    const used = (await this.#parts.store.consents.listRemembered(owner_id)).find(
      ({ client_id }) => client_id === request.client_id,
    )
    return (
      has(request.hinted_sub) ??
      has(request.login_hint) ??
      has(used?.agent_id) ??
      free[0]?.agent.agent_id ??
      (mayBeNew ? NEW_AGENT : undefined)
    )
  }

  /** Tells whether the page still shows what holds: it goes into the form, and comes back with it. */
  digest({ description, client }: Offer): string {
    return hash('sha256', JSON.stringify([description, client.subject]), 'base64url')
  }

  /**
   * All that was shown and chosen, which the passkey's assertion is bound to.
   * @throws {OAuthError} invalid_request for a choice that was not offered
   */
  subject(offer: Offer, choice: Choice): string {
    const { request, client, description } = offer
    const { scope, resource } = narrow(offer, choice)
    const { agent, lasts, remember } = choice
    if (!isOffered(offer, agent)) throw invalidChoice('This agent cannot be chosen')
    if (remember && lasts === 'once') {
      throw invalidChoice('What is for this once cannot be remembered: choose one or the other')
    }
    if (remember && !offer.mayRemember) throw invalidChoice('This cannot be remembered')
    const known_as = client.subject
    const chosen = { agent, scope, resource, lasts, remember }
    return JSON.stringify({ request_id: request.request_id, description, known_as, chosen })
  }

  /**
   * Signs in as chosen. The caller has verified the passkey for this very subject.
   * @throws {OAuthError} not_found when the request waits no more; access_denied when the session, the
   *   owner or the agent ended in the meantime
   */
  async consent(
    offer: Offer,
    choice: Choice,
    { session, owner }: SignedIn,
    proved: { subject: string; proof: string },
    address: string,
  ): Promise<AuthorizationResponse> {
    const { request, description } = offer
    const now = this.#parts.clock.now()
    const lasts = LASTS[choice.lasts]
    return await this.#conclude(
      await this.#parts.store.consents.consent({
        ...this.#prepare(request.request_id, { session, owner }, address, description, proved),
        ...proved,
        ...narrow(offer, choice),
        ends_at: lasts === null ? null : now + lasts,
        refreshable: choice.lasts === 'once' ? 0 : 1,
        agent: choice.agent === NEW_AGENT ? newAgent(offer, owner, now) : choice.agent,
        remember: choice.remember,
      }),
    )
  }

  /**
   * Whether a remembered consent suffices: for a client that proves itself, or whose https redirect
   * host is known to be its own, by the operator or by its document. Never on a loopback, whose port
   * anybody may take (RFC 8252 section 8.6, OAuth 2.1 section 7.3.1).
   */
  mayBeSilent(client: Client, redirect_uri: string): boolean {
    const url = parseUri(redirect_uri)
    if (url?.protocol !== 'https:' || isLoopback(url.hostname)) return false
    if (client.token_endpoint_auth_method !== 'none' || client.origin === 'operator') return true
    return client.origin === 'document' && new URL(client.client_id).host === url.host
  }

  /**
   * The remembered consent by which a request needs no page; undefined where there is none, or where
   * this client may not go without one. It needs a session that a passkey began or confirmed.
   */
  async findSilent(
    request: NewRequest,
    client: Client,
    { session, owner }: SignedIn,
  ): Promise<RememberedConsent | undefined> {
    if (session.passkey_at === null) return undefined
    if (!this.mayBeSilent(client, request.redirect_uri)) return undefined
    const { store, policies, clock } = this.#parts
    const consent = await store.consents.findRemembered(
      owner.owner_id,
      request,
      request.hinted_sub,
      clock.now(),
    )
    if (consent === undefined) return undefined
    const { allowed_models } = await policies.ofClient(client.client_id)
    if (allowed_models.length > 0) return undefined
    const { agent_id, redirect_host } = consent
    const { client_id, origin: client_origin } = client
    const client_host = client_origin === 'document' ? new URL(client_id).host : undefined
    const site = { client_id, client_origin, client_host, redirect_host }
    const refusal = await policies.findRefusalOfOwner(agent_id, request, site)
    return refusal === undefined ? consent : undefined
  }

  /**
   * Signs in by a remembered consent, in the owner's session.
   * @throws {OAuthError} as `consent` does
   */
  async signInSilently(
    request_id: string,
    consent: RememberedConsent,
    signedIn: SignedIn,
    address: string,
  ): Promise<AuthorizationResponse> {
    return await this.#conclude(
      await this.#parts.store.consents.signInSilently({
        ...this.#prepare(request_id, signedIn, address),
        consent,
        ends_at: consent.ends_at,
        refreshable: 1,
      }),
    )
  }

  /**
   * Refuses a request for good: no agent can authenticate it any more.
   * @throws {OAuthError} not_found when it waits no more
   */
  async deny(
    { request_id }: AuthorizationRequest,
    { owner }: SignedIn,
    address: string,
  ): Promise<AuthorizationResponse> {
    const { audit, clock, store, requestWatch, settings } = this.#parts
    const { owner_id } = owner
    const event = audit.toRow({ event: 'sign_in', outcome: 'denied', owner_id, address })
    const request = await store.consents.deny(request_id, clock.now(), event)
    if (request === undefined) throw notWaiting()
    requestWatch.notify(request_id)
    return authorizationResponse(request, {
      error: 'access_denied',
      error_description: 'The person refused the sign-in',
      state: request.state,
      iss: settings.ISSUER,
    })
  }

  #prepare(
    request_id: string,
    { session, owner }: SignedIn,
    address: string,
    description?: SignInDescription,
    proved?: object,
  ) {
    const { audit, clock, settings } = this.#parts
    const now = clock.now()
    const { owner_id } = owner
    const what = proved === undefined ? 'By the consent that was remembered' : undefined
    return {
      request_id,
      owner_id,
      session_hash: session.session_hash,
      grant_id: newId(PREFIXES.grant_id),
      amr: PERSON_AMR.join(' '),
      acr: PERSON_ACR,
      now,
      code_expires_at: now + settings.AUTHORIZATION_CODE_TTL,
      event: audit.toRow({
        event: 'sign_in',
        outcome: 'granted',
        method: proved === undefined ? 'session' : 'passkey',
        owner_id,
        address,
        detail: description === undefined ? what : toDetail(description),
      }),
    }
  }

  #conclude(result: ConsentOutcome): AuthorizationResponse {
    switch (result.outcome) {
      case 'signed_out':
        throw new OAuthError('access_denied', 'You are signed out here: sign in and try again')
      case 'agent_gone':
        throw new OAuthError('access_denied', 'This agent was disabled or removed meanwhile')
      case 'forgotten':
        throw new OAuthError('access_denied', 'What was consented to is no longer remembered')
      case 'authenticated': {
        const { request, agent_id } = result
        const { request_id, client_id, state } = request
        const { log, requestWatch, settings, tokens } = this.#parts
        requestWatch.notify(request_id)
        log.info({ agent_id, client_id, grant_id: request.grant_id }, 'person signed in')
        const code = tokens.sealCode(request_id)
        return authorizationResponse(request, { code, state, iss: settings.ISSUER })
      }
      default:
        throw notWaiting()
    }
  }
}

/** An agent that is named after the site. It has no secret until its owner makes one. */
function newAgent({ client }: Offer, { owner_id, email }: SignedIn['owner'], now: number) {
  return {
    agent_id: newId(PREFIXES.agent_id),
    owner_id,
    email,
    email_verified: 0,
    name: shownName(client.client_name),
    created_at: now,
    disabled_at: null,
  }
}

/** How long the sign-in lasts is a choice of its own, so `offline_access` is none. */
function isNeeded(word: string): boolean {
  return IDENTITY_SCOPES.includes(word) || word === OFFLINE_ACCESS
}

function isOffered({ agents, mayBeNew }: Offer, chosen: string): boolean {
  if (chosen === NEW_AGENT) return mayBeNew
  return agents.some(({ agent, refusal }) => agent.agent_id === chosen && refusal === undefined)
}

/**
 * What is granted: the request without the scopes that were left out, and without the APIs of which
 * nothing is left. An API of which no scope was asked stays.
 * @throws {OAuthError} invalid_request when nothing is left, or more was chosen than asked
 */
function narrow(
  { request, description, optional }: Offer,
  { scopes, lasts }: Choice,
): { scope: string; resource: string | null } {
  if (!scopes.every((word) => optional.includes(word))) {
    throw invalidChoice('The site did not ask for that')
  }
  const words = scopeWords(request.scope).filter(
    (word) =>
      scopes.includes(word) || (isNeeded(word) && !(word === OFFLINE_ACCESS && lasts === 'once')),
  )
  if (words.every((word) => word === OFFLINE_ACCESS)) {
    throw invalidChoice('Choose at least one thing that the site may do, or deny the sign-in')
  }
  const dropped = description.apis
    .filter(({ scopes: asked }) => asked.length > 0 && !asked.some((word) => words.includes(word)))
    .map(({ uri }) => uri)
  if (request.resource === null || dropped.length === 0) {
    return { scope: words.join(' '), resource: request.resource }
  }
  const kept = (JSON.parse(request.resource) as string[]).filter(
    (normal_uri) => !dropped.some((uri) => normalResourceUri(uri) === normal_uri),
  )
  return { scope: words.join(' '), resource: kept.length === 0 ? null : JSON.stringify(kept) }
}

function invalidChoice(text: string): OAuthError {
  return new OAuthError('invalid_request', text)
}

function notWaiting(): OAuthError {
  return new OAuthError(
    'not_found',
    'This sign-in does not wait any more: go back to the website and start it again',
  )
}

declare module 'fastify' {
  interface FastifyInstance {
    consents: Consents
  }
}

export default fp(
  async (app) => {
    const { audit, clock, describeSignIn, log, policies, requestWatch, settings, store, tokens } =
      app
    app.decorate(
      'consents',
      new Consents({
        audit,
        clock,
        describeSignIn,
        log,
        policies,
        requestWatch,
        settings,
        store,
        tokens,
      }),
    )
  },
  {
    name: 'consents',
    dependencies: [
      'audit',
      'clock',
      'describeSignIn',
      'policies',
      'requestWatch',
      'sessions',
      'settings',
      'store',
      'tokens',
    ],
  },
)
