import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { AuthorizationRequest, Client, Resource } from '../../../db/store.ts'
import { redirectHost } from '../../../schemas/client.ts'
import { shownName } from '../../../schemas/name.ts'
import { scopeWords } from '../../../schemas/scope.ts'
import type { SignInDescription } from '../../../schemas/sign-in-description.ts'
import { OAuthError } from '../http/errors.ts'
import { normalAddress } from '../limits/network.ts'
import { isIssuer } from '../registry/resources.ts'

/** The agent's part of a sign-in, once an agent has asked for it. */
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

/** Describes a sign-in, for pages, mails, lists, the audit trail and agents alike. */
export function describe(
  { client_id, redirect_uri, scope, opened_from, created_at }: RequestFacts,
  { origin, client_name, subject }: Pick<Client, 'origin' | 'client_name' | 'subject'>,
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
    ...(subject === 'owner' && { subject }),
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
export function createSignInDescription(parts: Pick<FastifyInstance, 'settings' | 'store'>) {
  /** @throws {OAuthError} invalid_request (404) when its client was removed in the meantime */
  return async (
    request: RequestFacts & Pick<AuthorizationRequest, 'resource'>,
    agent?: SigningAgent,
  ): Promise<SignInDescription> => {
    const client = await parts.store.clients.find(request.client_id)
    if (client === undefined) {
      throw new OAuthError('invalid_request', 'The request_id is unknown or has expired', {
        status: 404,
      })
    }
    const named: string[] = request.resource === null ? [] : JSON.parse(request.resource)
    const uris = named.filter((uri) => !isIssuer(uri, parts.settings))
    const resources = await Promise.all(
      uris.map(async (uri) => {
        const registered = await parts.store.resources.findByUri(uri)
        return registered ?? { uri, name: null, scopes: [] }
      }),
    )
    return describe(request, client, resources, agent)
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    describeSignIn: DescribeSignIn
  }
}

export default fp(
  async (app) => {
    const { settings, store } = app
    app.decorate('describeSignIn', createSignInDescription({ settings, store }))
  },
  { name: 'describeSignIn', dependencies: ['settings', 'store'] },
)
