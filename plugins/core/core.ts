import type { FastifyCorsOptions } from '@fastify/cors'
import formbody from '@fastify/formbody'
import type { FastifyInstance } from 'fastify'
import fp from 'fastify-plugin'
import { assertDatabaseExists, openStore, type Store } from '../../db/store.ts'
import { AgentAssertions } from './callers/agent-assertion.ts'
import { createAgentAuthentication } from './callers/agent-authentication.ts'
import { createBearerAuthentication } from './callers/bearer.ts'
import { createClientAuthentication } from './callers/client-authentication.ts'
import { createResourceAuthentication } from './callers/resource-authentication.ts'
import { type Clock, systemClock } from './clock.ts'
import { KeyManager } from './crypto/keys.ts'
import { verifyPkce } from './crypto/pkce.ts'
import { Secrets } from './crypto/secrets.ts'
import { Tokens } from './crypto/tokens.ts'
import { openVault } from './crypto/vault.ts'
import { createApiDocument } from './documents/api-document.ts'
import { METADATA_MAX_AGE, Metadata } from './documents/metadata.ts'
import { SharedDocument } from './documents/shared-document.ts'
import { BrowserCookie } from './http/browser-cookie.ts'
import { installCors } from './http/cors.ts'
import { installErrors } from './http/errors.ts'
import { FaultLog } from './http/fault-log.ts'
import { installJsonBodies, parseParameters } from './http/parameters.ts'
import { Strangers } from './limits/strangers.ts'
import { Throttle } from './limits/throttle.ts'
import { Maintenance } from './maintenance.ts'
import { AgentKeys } from './registry/agent-keys.ts'
import { ClientDocuments } from './registry/client-documents.ts'
import { Clients } from './registry/clients.ts'
import type { Network } from './registry/fetch-document.ts'
import { Registration } from './registry/registration.ts'
import { RemoteDocuments } from './registry/remote-documents.ts'
import type { Settings } from './settings.ts'
import { type AgentSignIn, createAgentSignIn } from './sign-in/agent-sign-in.ts'
import { Approvals } from './sign-in/approvals.ts'
import { Audit } from './sign-in/audit.ts'
import { createSignInDescription, type DescribeSignIn } from './sign-in/description.ts'
import { Mailer } from './sign-in/mailer.ts'
import { Policies } from './sign-in/policies.ts'
import { RequestWatch } from './sign-in/request-watch.ts'

/** What the endpoints receive from the store, which they reach through `app.store` alone. */
export type {
  Agent,
  Approval,
  AuthorizationRequest,
  AuthorizationRequestState,
  Client,
  Grant,
  Resource,
  ReusePolicy,
} from '../../db/store.ts'

declare module 'fastify' {
  interface FastifyInstance {
    settings: Settings
    clock: Clock
    store: Store
    faults: FaultLog
    keys: KeyManager
    secrets: Secrets
    throttle: Throttle
    strangers: Strangers
    tokens: Tokens
    registration: Registration
    agentKeys: AgentKeys
    agentSignIn: AgentSignIn
    approvals: Approvals
    audit: Audit
    describeSignIn: DescribeSignIn
    mailer: Mailer
    policies: Policies
    agentAssertions: AgentAssertions
    clients: Clients
    remoteDocuments: RemoteDocuments
    metadata: Metadata
    /** What the metadata says at the moment. */
    metadataDocument: SharedDocument
    /** Every endpoint in OpenAPI 3.1. */
    apiDocument: ReturnType<typeof createApiDocument>
    requestWatch: RequestWatch
    maintenance: Maintenance
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
    /** What @fastify/cors goes by; it follows from `crossOrigin`. */
    cors?: FastifyCorsOptions
    /** What stands beside the standard members in the route's error bodies. */
    errorMembers?: Record<string, unknown>
    /** What the route answers beside what its schema says, by status: for the API document. */
    answers?: Record<number, string>
  }
}

export interface CoreOptions {
  settings: Settings
  clock?: Clock
  network?: Network
  /** Fails where there is no database; by default one is made. */
  existingDatabase?: boolean
  /** An application that has nothing yet, to describe the routes on. */
  createBlank: () => FastifyInstance
}

/** Decorates the instance with all that endpoints share; knows no endpoint. */
export default fp<CoreOptions>(
  async (app, { settings, clock = systemClock, network, existingDatabase, createBlank }) => {
    if (existingDatabase) assertDatabaseExists(settings.DATABASE_URL)
    const vault = openVault(settings)
    const store = await openStore(settings.DATABASE_URL, {
      existing: existingDatabase,
      log: app.log,
    })
    app.addHook('onClose', async () => store.close())
    const keys = new KeyManager(store, vault, clock, settings)
    await keys.start()

    app.decorate('settings', settings)
    app.decorate('clock', clock)
    app.decorate('store', store)
    app.decorate('faults', new FaultLog())
    app.addHook('onClose', async () => app.faults.close())
    app.decorate('keys', keys)
    app.decorate('secrets', new Secrets(clock))
    app.decorate('throttle', new Throttle(app.secrets, clock, settings))
    app.decorate('strangers', new Strangers(store, clock, settings))
    app.decorate('tokens', new Tokens(keys, vault, clock, settings))
    const remoteDocuments = new RemoteDocuments(store, clock, app.log, network)
    app.addHook('onClose', () => remoteDocuments.close())
    app.decorate('remoteDocuments', remoteDocuments)
    const clientDocuments = new ClientDocuments(app, remoteDocuments)
    app.decorate('clients', new Clients(store, clock, clientDocuments))
    app.decorate('registration', new Registration(app))
    app.decorate('audit', new Audit(app))
    app.decorate('describeSignIn', createSignInDescription(app))
    app.decorate('mailer', new Mailer(settings))
    app.decorate('approvals', new Approvals(app, vault))
    app.decorate('policies', new Policies(app))
    app.decorate('agentKeys', new AgentKeys(app))
    app.decorate('agentAssertions', new AgentAssertions(app))
    app.decorate('metadata', new Metadata(settings.ISSUER))
    app.decorate(
      'metadataDocument',
      new SharedDocument(() => app.metadata.document(), store.version, METADATA_MAX_AGE),
    )
    app.decorate('apiDocument', createApiDocument(app, createBlank))
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
    installJsonBodies(app)
    await installCors(app)
    app.decorate('maintenance', new Maintenance(app))
    app.maintenance.start()
    app.addHook('preClose', () => app.maintenance.stop())
  },
  { name: 'core' },
)
