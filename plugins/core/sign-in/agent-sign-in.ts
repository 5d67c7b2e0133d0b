import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import {
  type Authentication,
  type AuthenticationOutcome,
  type AuthorizationRequestState,
  standing,
} from '../../../db/store.ts'
import type { AuthenticateResponse } from '../../../schemas/authenticate.ts'
import { PREFIXES } from '../../../schemas/identifier.ts'
import type { SignInDescription } from '../../../schemas/sign-in-description.ts'
import { toDetail } from '../audit/sign-in-lines.ts'
import { invalidCredentials } from '../callers/agent-authentication.ts'
import { newId } from '../crypto/secrets.ts'
import { OAuthError } from '../http/errors.ts'
import { assertRedirectUri, authorizationResponse } from './authorization-response.ts'
import { ownerNeeded } from './policies.ts'

export type AgentSignIn = ReturnType<typeof createAgentSignIn>

/** The first and last steps of a sign-in, which both endpoints for agents share. */
export function createAgentSignIn(
  parts: Pick<
    FastifyInstance,
    'audit' | 'clock' | 'log' | 'requestWatch' | 'settings' | 'store' | 'tokens'
  >,
) {
  return {
    /**
     * The request, which must be pending and have a redirect URI that leads to one host. Checked first,
     * which spares the work of checking a secret.
     * @throws {OAuthError} invalid_request
     */
    async findPending(request_id: string): Promise<AuthorizationRequestState> {
      const found = await parts.store.authorizationRequests.find(request_id)
      if (found === undefined) throw unknownRequest()
      const state = standing(found, parts.clock.now())
      if (state === 'expired') throw unknownRequest()
      if (state === 'denied') throw requestDenied()
      if (state !== 'pending') throw authenticatedBefore()
      assertRedirectUri(found.redirect_uri)
      return found
    },

    /** What the store needs to authenticate the request and create its grant. */
    prepare(
      signIn: Pick<Authentication, 'request_id' | 'agent_id' | 'model' | 'deliver' | 'amr'>,
      address: string,
      description: SignInDescription,
    ): Authentication {
      const now = parts.clock.now()
      const event = parts.audit.toRow({ event: 'sign_in', outcome: 'granted', address })
      return {
        ...signIn,
        grant_id: newId(PREFIXES.grant_id),
        now,
        code_expires_at: now + parts.settings.AUTHORIZATION_CODE_TTL,
        event: {
          event_id: event.event_id,
          address: event.address,
          detail: toDetail(description),
        },
      }
    },

    /**
     * The answer to the agent. Wakes those who wait for the request.
     * @throws {OAuthError} when the agent did not get the request
     */
    conclude(authentication: Authentication, result: AuthenticationOutcome): AuthenticateResponse {
      if (result.outcome === 'agent_disabled') throw invalidCredentials()
      if (result.outcome === 'agent_without_owner') throw ownerNeeded()
      if (result.outcome === 'authenticated_before') throw authenticatedBefore()
      if (result.outcome !== 'authenticated') throw unknownRequest()
      const { request_id, agent_id, model, grant_id, amr } = authentication
      parts.requestWatch.notify(request_id)
      const { client_id, state } = result.request
      parts.log.info({ agent_id, client_id, grant_id, model, amr }, 'agent signed in')
      const code = parts.tokens.sealCode(request_id)
      return {
        status: 'authenticated',
        success: true,
        message: 'The agent is authenticated',
        ...authorizationResponse(result.request, { code, state, iss: parts.settings.ISSUER }),
      }
    },
  }
}

function unknownRequest(): OAuthError {
  return new OAuthError('invalid_request', 'The request_id is unknown or has expired', {
    status: 404,
  })
}

function requestDenied(): OAuthError {
  return new OAuthError('access_denied', 'An owner refused this request', { reason: 'owner' })
}

function authenticatedBefore(): OAuthError {
  return new OAuthError('invalid_request', 'The request was authenticated already', { status: 409 })
}

declare module 'fastify' {
  interface FastifyInstance {
    agentSignIn: AgentSignIn
  }
}

export default fp(
  async (app) => {
    const { audit, clock, log, requestWatch, settings, store, tokens } = app
    app.decorate(
      'agentSignIn',
      createAgentSignIn({ audit, clock, log, requestWatch, settings, store, tokens }),
    )
  },
  {
    name: 'agentSignIn',
    dependencies: ['audit', 'clock', 'requestWatch', 'settings', 'store', 'tokens'],
  },
)
