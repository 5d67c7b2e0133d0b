import type { TSchema } from '@sinclair/typebox'
import { Value } from '@sinclair/typebox/value'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import type { AuthorizationRequest, RememberedApproval } from '../../../db/store.ts'
import { AgentPolicy, allowsModel, ModelPolicy } from '../../../schemas/policy.ts'
import type { SignInDescription } from '../../../schemas/sign-in-description.ts'
import { isSite, normalSite } from '../../../schemas/site.ts'
import type { Actor } from '../audit/audit.ts'
import { OAuthError } from '../http/errors.ts'

export interface SignIn {
  agent_id: string
  model: string
  deliver: 'agent' | null
}

/** What owners allow their agents, and which models a site accepts. */
export class Policies {
  readonly #parts: Pick<FastifyInstance, 'audit' | 'store'>

  constructor(parts: Pick<FastifyInstance, 'audit' | 'store'>) {
    this.#parts = parts
  }

  ofAgent(agent_id: string): Promise<AgentPolicy> {
    return this.#parts.store.policies.ofAgent(agent_id)
  }

  ofClient(client_id: string): Promise<ModelPolicy> {
    return this.#parts.store.policies.ofClient(client_id)
  }

  /** The approvals that the owner of an agent had remembered. */
  remembered(agent_id: string): Promise<RememberedApproval[]> {
    return this.#parts.store.policies.remembered(agent_id)
  }

  /**
   * Forgets the remembered approvals of a client: the owner is asked again.
   * @throws {OAuthError} not_found when there are none
   */
  async forget(agent_id: string, client_id: string, by: Actor = {}): Promise<void> {
    const event = this.#event({ forgotten: client_id }, { agent_id, client_id, ...by })
    if (await this.#parts.store.policies.forget(agent_id, client_id, event)) return
    throw new OAuthError('not_found', `Nothing is remembered of ${client_id}`)
  }

  /**
   * Changes the given members of an agent's policy.
   * @throws {OAuthError} invalid_request for an invalid policy, or one that would lock the agent out;
   *   not_found
   */
  async changeAgent(
    agent_id: string,
    given: Partial<AgentPolicy>,
    by: Actor = {},
  ): Promise<AgentPolicy> {
    const allowed_sites = given.allowed_sites?.map(readSite)
    const change = allowed_sites ? { ...given, allowed_sites } : given
    assertPolicy(AgentPolicy, change)
    if (
      change.secret === 'forbid' &&
      (await this.#parts.store.agentKeys.list(agent_id)).length === 0
    ) {
      throw new OAuthError('invalid_request', 'Register a key before you forbid the secret')
    }
    if (
      change.approval === 'passkey' &&
      (await this.#parts.store.agents.find(agent_id))?.owner_id === null
    ) {
      throw new OAuthError(
        'invalid_request',
        'Nobody could approve: the agent belongs to no owner with a verified address. Invite its owner first',
      )
    }
    const event = this.#event(change, { agent_id, ...by })
    const policy = await this.#parts.store.policies.changeOfAgent(agent_id, change, event)
    if (policy === undefined) throw new OAuthError('not_found', `There is no ${agent_id}`)
    return policy
  }

  /**
   * Changes which models a site accepts.
   * @throws {OAuthError} invalid_request for an invalid policy; not_found
   */
  async changeClient(
    client_id: string,
    change: Partial<ModelPolicy>,
    by: Actor = {},
  ): Promise<ModelPolicy> {
    assertPolicy(ModelPolicy, change)
    const event = this.#event(change, { client_id, ...by })
    const policy = await this.#parts.store.policies.changeOfClient(client_id, change, event)
    if (policy === undefined) throw new OAuthError('not_found', `There is no ${client_id}`)
    return policy
  }

  /**
   * Decides a sign-in by the policies of the agent and of the site: it is allowed, or the owner has to
   * be asked first.
   * @throws {OAuthError} access_denied when one of the policies forbids it
   */
  async decide(
    { agent_id, model, deliver }: SignIn,
    request: Pick<AuthorizationRequest, 'client_id' | 'redirect_uri' | 'scope' | 'resource'>,
    site: SignInDescription,
  ): Promise<'allowed' | { ask: Pick<AgentPolicy, 'approval'> & { remember: boolean } }> {
    const { agent, client, registered, lacksOwner, remembered } =
      await this.#parts.store.policies.ofSignIn(agent_id, request)
    if (!allowsModel(agent, model)) {
      throw accessDenied(`The agent may not sign in with the model ${model}`)
    }
    if (!allowsModel(client, model)) throw accessDenied(`The site does not take the model ${model}`)
    if (lacksOwner) throw ownerNeeded()
    if (agent.deliver === 'agent' && deliver !== 'agent') {
      throw accessDenied('The agent may sign in only with deliver set to agent')
    }
    if (
      agent.sites === 'any' ||
      (agent.sites === 'registered' && registered) ||
      remembered ||
      agent.allowed_sites.some((allowed) => isSite(allowed, site))
    ) {
      return 'allowed'
    }
    if (agent.sites === 'list') throw accessDenied('The agent may not sign in to this site')
    return { ask: { remember: agent.remember_sites, approval: agent.approval } }
  }

  /**
   * Why an agent's owner may not sign in as it, in a sentence; undefined where that is allowed. The
   * owner is who would be asked, so `ask` and `registered` allow every site. A person names no model:
   * where only some models may act, none may be missing.
   */
  async findRefusalOfOwner(
    agent_id: string,
    request: Pick<AuthorizationRequest, 'client_id' | 'redirect_uri' | 'scope' | 'resource'>,
    site: Pick<SignInDescription, 'client_id' | 'client_origin' | 'redirect_host'> & {
      client_host?: string | undefined
    },
  ): Promise<string | undefined> {
    const { agent } = await this.#parts.store.policies.ofSignIn(agent_id, request)
    if (agent.allowed_models.length > 0) return 'its policy allows only certain models'
    if (agent.deliver === 'agent') return 'its policy gives codes to the agent alone'
    const isListed = agent.allowed_sites.some((allowed) => isSite(allowed, site))
    return agent.sites === 'list' && !isListed ? 'its policy does not list this site' : undefined
  }

  /**
   * A person names no model, so a site that accepts only certain ones accepts no person.
   * @throws {OAuthError} access_denied
   */
  async assertTakesPersons(client_id: string): Promise<void> {
    const { allowed_models } = await this.ofClient(client_id)
    if (allowed_models.length === 0) return
    throw accessDenied(
      'This site accepts only agents with certain models, and a person has none: let your agent sign in',
    )
  }

  #event(change: object, whose: Actor & { agent_id?: string; client_id?: string }) {
    const detail = JSON.stringify(change).slice(0, 1000)
    return this.#parts.audit.toRow({ event: 'policy', outcome: 'changed', detail, ...whose })
  }
}

/** @throws {OAuthError} invalid_request for a text that is neither a client_id nor a host */
function readSite(site: string): string {
  const normal = normalSite(site)
  if (normal !== undefined) return normal
  throw new OAuthError(
    'invalid_request',
    'A site is a client_id or a host, such as shop.example or 127.0.0.1:3000',
  )
}

function assertPolicy(schema: TSchema & { properties: Record<string, TSchema> }, change: object) {
  for (const [name, value] of Object.entries(change)) {
    const member = schema.properties[name]
    if (member !== undefined && Value.Check(member, value)) continue
    throw new OAuthError(
      'invalid_request',
      `The policy cannot have ${name} ${JSON.stringify(value)}`,
    )
  }
}

/** The refusal of an agent without an owner where a website knows people by their owner. */
export function ownerNeeded(): OAuthError {
  return new OAuthError(
    'access_denied',
    'This website knows people by their owner, and this agent has none: the operator has to invite the owner of its e-mail address (auth-agent owner invite) and see the address verified',
    { reason: 'owner' },
  )
}

function accessDenied(text: string): OAuthError {
  return new OAuthError('access_denied', text, { reason: 'policy' })
}

declare module 'fastify' {
  interface FastifyInstance {
    policies: Policies
  }
}

export default fp(
  async (app) => {
    const { audit, store } = app
    app.decorate('policies', new Policies({ audit, store }))
  },
  { name: 'policies', dependencies: ['audit', 'store'] },
)
