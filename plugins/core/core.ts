import cookie from '@fastify/cookie'
import cors from '@fastify/cors'
import formbody from '@fastify/formbody'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { openStore, type Store } from '../../db/store.ts'
import { AgentAssertions } from './agent-assertion.ts'
import { createAgentAuthentication } from './agent-authentication.ts'
import { AgentKeys } from './agent-keys.ts'
import { type AgentSignIn, createAgentSignIn } from './agent-sign-in.ts'
import { Approvals } from './approvals.ts'
import { Audit } from './audit.ts'
import { createBearerAuthentication } from './bearer.ts'
import { BrowserCookie } from './browser-cookie.ts'
import { createClientAuthentication } from './client-authentication.ts'
import { type Clock, systemClock } from './clock.ts'
import { installErrors } from './errors.ts'
import { KeyManager } from './keys.ts'
import { Mailer } from './mailer.ts'
import { startMaintenance } from './maintenance.ts'
import { Metadata } from './metadata.ts'
import { parseParameters } from './parameters.ts'
import { verifyPkce } from './pkce.ts'
import { Policies } from './policies.ts'
import { Registration } from './registration.ts'
import { RequestWatch } from './request-watch.ts'
import { createResourceAuthentication } from './resource-authentication.ts'
import { Secrets } from './secrets.ts'
import type { Settings } from './settings.ts'
import { Throttle } from './throttle.ts'
import { Tokens } from './tokens.ts'
import { openVault } from './vault.ts'

declare module 'fastify' {
  interface FastifyInstance {
    settings: Settings
    clock: Clock
    store: Store
    keys: KeyManager
    secrets: Secrets
    throttle: Throttle
    tokens: Tokens
    registration: Registration
    agentKeys: AgentKeys
    agentSignIn: AgentSignIn
    approvals: Approvals
    audit: Audit
    mailer: Mailer
    policies: Policies
    agentAssertions: AgentAssertions
    metadata: Metadata
    requestWatch: RequestWatch
    browserCookie: BrowserCookie
    verifyPkce: typeof verifyPkce
    authenticateClient: ReturnType<typeof createClientAuthentication>
    authenticateResource: ReturnType<typeof createResourceAuthentication>
    authenticateAgent: ReturnType<typeof createAgentAuthentication>
    authenticateBearer: ReturnType<typeof createBearerAuthentication>
  }
  interface FastifyContextConfig {
    /** Whether scripts of any origin may call the route (without credentials). */
    crossOrigin?: boolean
    /** What stands beside the standard members in the route's error bodies. */
    errorMembers?: Record<string, unknown>
  }
}

export interface CoreOptions {
  settings: Settings
  clock?: Clock
}

/** Decorates the instance with all that endpoints share; knows no endpoint. */
export default fp<CoreOptions>(
  async (app, { settings, clock = systemClock }) => {
    const vault = openVault(settings)
    const store = await openStore(settings.DATABASE_URL)
    app.addHook('onClose', async () => store.close())
    const keys = new KeyManager(store, vault, clock, settings)
    await keys.start()

    app.decorate('settings', settings)
    app.decorate('clock', clock)
    app.decorate('store', store)
    app.decorate('keys', keys)
    app.decorate('secrets', new Secrets(clock))
    app.decorate('throttle', new Throttle(app.secrets, clock, settings))
    app.decorate('tokens', new Tokens(keys, vault, clock, settings))
    app.decorate('registration', new Registration(app))
    app.decorate('audit', new Audit(app))
    app.decorate('mailer', new Mailer(settings))
    app.decorate('approvals', new Approvals(app, vault))
    app.decorate('policies', new Policies(app))
    app.decorate('agentKeys', new AgentKeys(app))
    app.decorate('agentAssertions', new AgentAssertions(app))
    app.decorate('metadata', new Metadata(settings.ISSUER))
    app.decorate('requestWatch', new RequestWatch(store))
    app.decorate('browserCookie', new BrowserCookie(settings.ISSUER))
    app.decorate('agentSignIn', createAgentSignIn(app))
    app.decorate('verifyPkce', verifyPkce)
    app.decorate('authenticateClient', createClientAuthentication(app))
    app.decorate('authenticateResource', createResourceAuthentication(app))
    app.decorate('authenticateAgent', createAgentAuthentication(app))
    app.decorate('authenticateBearer', createBearerAuthentication(app))
    app.addHook('preClose', async () => app.requestWatch.close())
    app.addHook('onClose', async () => app.mailer.close())
    app.addHook('onClose', async () => app.secrets.close())

    installErrors(app)
    await app.register(formbody, { parser: parseParameters })
    await app.register(cookie)
    await installCors(app)
    startMaintenance(app)
  },
  { name: 'core' },
)

/** One answer to preflights for the whole server; each route says whether scripts may call it. */
async function installCors(app: FastifyInstance): Promise<void> {
  const crossOrigin = new Set<string>()
  app.addHook('onRoute', ({ url, config }) => {
    if (config?.crossOrigin) crossOrigin.add(url)
  })
  await app.register(cors, {
    delegator: (request, callback) => {
      const path = request.url.split('?', 1)[0] ?? ''
      const open = request.headers.origin !== undefined && crossOrigin.has(path)
      callback(null, { origin: open ? '*' : false, methods: ['GET', 'POST'], maxAge: 3600 })
    },
  })
}
