import type { FastifyInstance } from 'fastify'
import type { AuthorizationRequest, Client, Resource } from '../../../db/store.ts'
import { redirectHost } from '../../../schemas/client.ts'
import { quoteName, shownName } from '../../../schemas/name.ts'
import { IDENTITY_SCOPES, scopeWords } from '../../../schemas/scope.ts'
import type { SignInDescription } from '../../../schemas/sign-in-description.ts'
import { isLoopback } from '../../../schemas/uri.ts'
import { OAuthError } from '../http/errors.ts'
import { normalAddress } from '../limits/network.ts'
import { isIssuer } from '../registry/resources.ts'

/** The agent's part of a sign-in, once an agent has come. */
export interface SigningAgent {
  agent_id: string
  model: string
  deliver: 'agent' | null
  address: string | null
}

type RequestFacts = Pick<
  AuthorizationRequest,
  'client_id' | 'redirect_uri' | 'scope' | 'opened_from' | 'created_at'
>

/** The one description of a sign-in, whoever is told of it. */
export function describe(
  { client_id, redirect_uri, scope, opened_from, created_at }: RequestFacts,
  { origin, client_name }: Pick<Client, 'origin' | 'client_name'>,
  resources: Pick<Resource, 'uri' | 'name' | 'scopes'>[],
  agent?: SigningAgent,
): SignInDescription {
  const words = scopeWords(scope)
  return {
    redirect_host: redirectHost(redirect_uri),
    client_origin: origin,
    ...(origin === 'document' && { client_host: new URL(client_id).host }),
    client_id,
    apis: resources.map(({ uri, name, scopes }) => ({
      uri,
      ...(name !== null && { name: shownName(name) }),
      scopes: words.filter((word) => scopes.includes(word)),
    })),
    scope,
    ...(opened_from !== null && { opened_from: normalAddress(opened_from) }),
    opened_at: created_at,
    ...(agent !== undefined && {
      agent_id: agent.agent_id,
      ...(agent.address !== null && { agent_address: normalAddress(agent.address) }),
      delivery: agent.deliver ?? 'opener',
    }),
    client_name: shownName(client_name),
    ...(agent !== undefined && { model: shownName(agent.model) }),
  }
}

export type DescribeSignIn = ReturnType<typeof createSignInDescription>

/** Describes a request that was opened before. */
export function createSignInDescription(app: Pick<FastifyInstance, 'settings' | 'store'>) {
  /** @throws {OAuthError} invalid_request (404) when its client was removed in the meantime */
  return async (
    request: RequestFacts & Pick<AuthorizationRequest, 'resource'>,
    agent?: SigningAgent,
  ): Promise<SignInDescription> => {
    const client = await app.store.clients.find(request.client_id)
    if (client === undefined) {
      throw new OAuthError('invalid_request', 'The request_id is unknown or has expired', {
        status: 404,
      })
    }
    const named: string[] = request.resource === null ? [] : JSON.parse(request.resource)
    const uris = named.filter((uri) => !isIssuer(uri, app.settings))
    const resources = await Promise.all(
      uris.map(async (uri) => {
        const registered = await app.store.resources.findByUri(uri)
        return registered ?? { uri, name: null, scopes: [] }
      }),
    )
    return describe(request, client, resources, agent)
  }
}

/** Who vouches for a client's name, as a person reads it. */
export const VOUCHERS: Record<SignInDescription['client_origin'], string> = {
  operator: 'the operator of this server, who registered it',
  document: 'nobody here, only the host of its document',
  dynamic: 'nobody here: it registered itself',
}

/** Each fact as a line of a mail or list, in this order; undefined for what is not known. */
const lines: {
  [Fact in keyof Required<SignInDescription>]: [
    label: string,
    text: (description: SignInDescription) => string | undefined,
  ]
} = {
  redirect_host: [
    'Leads to',
    ({ redirect_host }) =>
      isLoopbackHost(redirect_host) ? `${redirect_host}, a program on a computer` : redirect_host,
  ],
  client_origin: ['Vouched for by', ({ client_origin }) => VOUCHERS[client_origin]],
  client_host: ['Document at', ({ client_host }) => client_host],
  client_id: ['Client', ({ client_id }) => shortened(client_id)],
  apis: [
    'Gives access to',
    ({ apis }) => (apis.length === 0 ? 'no API' : apis.map(describeApi).join('; ')),
  ],
  scope: ['It gets', ({ scope }) => describeScope(scope)],
  opened_from: ['Opened from', ({ opened_from }) => opened_from],
  opened_at: ['Opened at', ({ opened_at }) => describeTime(opened_at)],
  agent_id: ['Agent', ({ agent_id }) => agent_id],
  agent_address: ['Agent came from', ({ agent_address }) => agent_address],
  delivery: [
    'Code goes to',
    ({ delivery }) => (delivery === undefined ? undefined : RECEIVERS[delivery]),
  ],
  client_name: ['Name', ({ client_name }) => `calls itself ${quoteName(client_name)}`],
  model: ['Model', ({ model }) => model && `calls itself ${quoteName(model)}`],
}

const RECEIVERS: Record<NonNullable<SignInDescription['delivery']>, string> = {
  agent: 'the agent alone',
  opener: 'whoever opened the sign-in',
}

/** What is known, one fact a line. */
export function toLines(description: SignInDescription): [label: string, text: string][] {
  return Object.values(lines).flatMap(([label, write]): [string, string][] => {
    const text = write(description)
    return text === undefined ? [] : [[label, text]]
  })
}

/** What is known in one line, for the audit trail, which has agent, address and model apart. */
export function toDetail(description: SignInDescription): string {
  return toLines(description)
    .map(([label, text]) => `${label}: ${text}`)
    .join(' | ')
}

function describeApi({ uri, name, scopes }: SignInDescription['apis'][number]): string {
  const called = name === undefined ? '' : ` (${quoteName(name)})`
  return `${uri}${called}, ${scopes.length === 0 ? 'no scope of it' : `for ${scopes.join(' ')}`}`
}

/** The scope in a person's words; an API's own scopes as they are. */
function describeScope(scope: string): string {
  const words = scopeWords(scope)
  const others = words.filter((word) => !IDENTITY_SCOPES.includes(word))
  const identity = others.length < words.length ? ["the e-mail address of the agent's owner"] : []
  return [...identity, ...others].join(', ')
}

export function isLoopbackHost(host: string): boolean {
  return isLoopback(new URL(`http://${host}`).hostname)
}

export function describeTime(seconds: number): string {
  return `${new Date(seconds * 1000).toISOString().slice(0, 16).replace('T', ' ')} UTC`
}

/** The path of a document's URL is a stranger's to choose. */
function shortened(client_id: string): string {
  return client_id.length > 120 ? `${client_id.slice(0, 119)}…` : client_id
}
