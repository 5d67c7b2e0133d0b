import * as agentKeys from './agent-keys.ts'
import * as agents from './agents.ts'
import * as approvals from './approvals.ts'
import * as authorizationRequests from './authorization-requests.ts'
import * as clientAssertions from './client-assertions.ts'
import * as clients from './clients.ts'
import * as events from './events.ts'
import * as grants from './grants.ts'
import * as initialAccessTokens from './initial-access-tokens.ts'
import * as maintenance from './maintenance.ts'
import * as policies from './policies.ts'
import * as remoteDocuments from './remote-documents.ts'
import * as resources from './resources.ts'
import * as signingKeys from './signing-keys.ts'
import { SqliteEngine } from './sqlite.ts'
import type { Act } from './statement.ts'

export type { AgentKey } from './agent-keys.ts'
export type { Agent, AgentChange } from './agents.ts'
export type { Approval, OpenApproval } from './approvals.ts'
export type {
  Authentication,
  AuthenticationOutcome,
  AuthorizationRequest,
  AuthorizationRequestState,
} from './authorization-requests.ts'
export type { Client, ClientChange } from './clients.ts'
export type { Event } from './events.ts'
export type { Grant } from './grants.ts'
export { type Expiring, expiring } from './maintenance.ts'
export type { ReusePolicy } from './refresh-history.ts'
export type { RememberedApproval } from './remembered-approvals.ts'
export type { RemoteDocument } from './remote-documents.ts'
export type { Resource, ResourceChange } from './resources.ts'
export type { LiveSecret } from './secrets.ts'
export type { SigningKey } from './signing-keys.ts'
export { DatabaseUnavailableError } from './sqlite.ts'
export type { SecretRow } from './tables.ts'

// biome-ignore lint/suspicious/noExplicitAny: any arguments, each act names its own
type Acts = Record<string, (...parameters: any[]) => Act<unknown>>
type Bound<A extends Acts> = {
  [Name in keyof A]: A[Name] extends (...parameters: infer P) => Act<infer T>
    ? (...parameters: P) => Promise<T>
    : never
}

function bind<R extends Acts, W extends Acts>(
  engine: SqliteEngine,
  { reads, writes }: { reads: R; writes: W },
): Bound<R> & Bound<W> {
  const bound: Record<string, unknown> = {}
  for (const [name, act] of Object.entries(reads)) {
    bound[name] = (...parameters: unknown[]) => engine.read(act(...parameters))
  }
  for (const [name, act] of Object.entries(writes)) {
    bound[name] = (...parameters: unknown[]) => engine.write(act(...parameters))
  }
  return bound as Bound<R> & Bound<W>
}

/**
 * The acts of every noun on one database. An act that writes is atomic and answered when it is
 * durable.
 */
export async function openStore(databaseUrl: string) {
  const engine = await SqliteEngine.open(databaseUrl.replace(/^sqlite:/, ''))
  return {
    agentKeys: bind(engine, agentKeys),
    agents: bind(engine, agents),
    approvals: bind(engine, approvals),
    authorizationRequests: bind(engine, authorizationRequests),
    clientAssertions: bind(engine, clientAssertions),
    clients: bind(engine, clients),
    events: bind(engine, events),
    grants: bind(engine, grants),
    initialAccessTokens: bind(engine, initialAccessTokens),
    maintenance: bind(engine, maintenance),
    policies: bind(engine, policies),
    remoteDocuments: bind(engine, remoteDocuments),
    resources: bind(engine, resources),
    signingKeys: bind(engine, signingKeys),
    /** Changes whenever another process has written to the database. */
    foreignVersion: () => engine.foreignVersion(),
    /** Changes whenever anybody has written to the database. */
    version: () => engine.version(),
    /** Writes a consistent copy of the database to a file that must not exist. */
    backup: (path: string) => engine.backup(path),
    close: () => engine.close(),
  }
}

export type Store = Awaited<ReturnType<typeof openStore>>
