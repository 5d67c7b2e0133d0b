import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { createAgentRegistration } from './agent-registration.ts'
import { createClientRegistration } from './client-registration.ts'
import { createInitialAccessTokens } from './initial-access-tokens.ts'
import { createResourceRegistration } from './resource-registration.ts'

export type { NewClient } from './client-metadata.ts'
export type { SecretRotation } from './holder-secrets.ts'
export type { NewResource } from './resource-registration.ts'

declare module 'fastify' {
  interface FastifyInstance {
    registration: ReturnType<typeof createRegistration>
  }
}

/**
 * Registers and changes clients, agents, protected resources and initial access tokens, for the
 * command line and for dynamic registration. A secret is in the answer once and cannot be read again.
 */
function createRegistration(
  parts: Pick<FastifyInstance, 'audit' | 'clock' | 'keys' | 'secrets' | 'settings' | 'store'>,
) {
  return {
    ...createClientRegistration(parts),
    ...createAgentRegistration(parts),
    ...createResourceRegistration(parts),
    ...createInitialAccessTokens(parts),
  }
}

export default fp(
  async (app) => {
    const { audit, clock, keys, secrets, settings, store } = app
    app.decorate(
      'registration',
      createRegistration({ audit, clock, keys, secrets, settings, store }),
    )
  },
  {
    name: 'registration',
    dependencies: ['audit', 'clock', 'keys', 'secrets', 'settings', 'store'],
  },
)
