import { resolve } from 'node:path'
import * as agentKeys from './agent-keys.ts'
import * as agents from './agents.ts'
import * as approvals from './approvals.ts'
import * as authorizationRequests from './authorization-requests.ts'
import * as clientAssertions from './client-assertions.ts'
import * as clients from './clients.ts'
import * as consents from './consents.ts'
import * as events from './events.ts'
import * as grants from './grants.ts'
import * as heartbeat from './heartbeat.ts'
import * as initialAccessTokens from './initial-access-tokens.ts'
import * as logoutNotices from './logout-notices.ts'
import * as maintenance from './maintenance.ts'
import * as ownerInvitations from './owner-invitations.ts'
import * as ownerMailCodes from './owner-mail-codes.ts'
import * as ownerSessions from './owner-sessions.ts'
import * as owners from './owners.ts'
import * as passkeys from './passkeys.ts'
import * as policies from './policies.ts'
import * as remoteDocuments from './remote-documents.ts'
import * as resources from './resources.ts'
import * as signingKeys from './signing-keys.ts'
import { assertExists, type OpenOptions, SqliteEngine } from './sqlite.ts'
import type { Act } from './statement.ts'
import { DatabaseUnavailableError, type UnavailableReason } from './unavailable.ts'

export type { AgentKey } from './agent-keys.ts'
export { type Agent, type AgentChange, isEmailVerified, type OwnerClaims } from './agents.ts'
export type { Approval, OpenApproval } from './approvals.ts'
export {
  type Authentication,
  type AuthenticationOutcome,
  type AuthorizationRequest,
  type AuthorizationRequestState,
  type Standing,
  standing,
} from './authorization-requests.ts'
export type { Client, ClientChange } from './clients.ts'
export type { Consent, ConsentOutcome, SilentSignIn } from './consents.ts'
export type { Event, PlacedEvent, Tally } from './events.ts'
export type { Grant, StoppedSignIns } from './grants.ts'
export type { LogoutNotice } from './logout-notices.ts'
export { type Expiring, expiring } from './maintenance.ts'
export type { OwnerInvitation } from './owner-invitations.ts'
export type { MailCodeBounds, OwnerMailCode } from './owner-mail-codes.ts'
export type { OwnerSession } from './owner-sessions.ts'
export type { Guard, GuardedChange, Owner, OwnerChange } from './owners.ts'
export type { PageFilter } from './pages.ts'
export type { Passkey, PasskeyChallenge } from './passkeys.ts'
export type { ReusePolicy } from './refresh-history.ts'
export type { RememberedApproval } from './remembered-approvals.ts'
export type { RememberedConsent } from './remembered-consents.ts'
export type { RemoteDocument } from './remote-documents.ts'
export type { Resource, ResourceChange } from './resources.ts'
export type { LiveSecret } from './secrets.ts'
export type { SigningKey } from './signing-keys.ts'
export type { AgentRow, SecretRow } from './tables.ts'
export { DatabaseUnavailableError, type UnavailableReason } from './unavailable.ts'

const nouns = {
  agentKeys,
  agents,
  approvals,
  authorizationRequests,
  clientAssertions,
  clients,
  consents,
  events,
  grants,
  initialAccessTokens,
  logoutNotices,
  maintenance,
  ownerInvitations,
  ownerMailCodes,
  ownerSessions,
  owners,
  passkeys,
  policies,
  remoteDocuments,
  resources,
  signingKeys,
}

/** The names of all acts that write, by noun. */
export type Writes = {
  [Noun in keyof typeof nouns]: Extract<keyof (typeof nouns)[Noun]['writes'], string>
}

// biome-ignore lint/suspicious/noExplicitAny: any arguments, each act names its own
type Acts = Record<string, (...parameters: any[]) => Act<unknown>>
type Bound<A extends Acts> = {
  [Name in keyof A]: A[Name] extends (...parameters: infer P) => Act<infer T>
    ? (...parameters: P) => Promise<T>
    : never
}

/**
 * The acts of a noun on an engine.
 * @param essential acts that end access or free space: they also run while the disk is full
 */
function bind<R extends Acts, W extends Acts>(
  engine: SqliteEngine,
  { reads, writes }: { reads: R; writes: W },
  essential: readonly (keyof W)[] = [],
): Bound<R> & Bound<W> {
  const bound: Record<string, unknown> = {}
  for (const [name, act] of Object.entries(reads)) {
    bound[name] = (...parameters: unknown[]) => engine.read(() => act(...parameters))
  }
  for (const [name, act] of Object.entries(writes)) {
    const options = { essential: essential.includes(name) }
    bound[name] = (...parameters: unknown[]) => engine.write(() => act(...parameters), options)
  }
  return bound as Bound<R> & Bound<W>
}

/** How long the result of a write test is used, in milliseconds. */
const BEAT_EVERY = 1000

export type Readiness = { outcome: 'ready' } | { outcome: 'unavailable'; reason: UnavailableReason }

/** Tests by a write whether the database can be written. Callers within a second share one write. */
function createReadiness(engine: SqliteEngine): (now: number) => Promise<Readiness> {
  let at = Number.NEGATIVE_INFINITY
  let beat: Promise<void> = Promise.resolve()
  return async (now) => {
    try {
      engine.assertUsable()
      if (performance.now() - at >= BEAT_EVERY) {
        at = performance.now()
        beat = engine.write(() => heartbeat.writes.beat(now), { patience: BEAT_EVERY })
      }
      await beat
      return { outcome: 'ready' }
    } catch (error) {
      if (!(error instanceof DatabaseUnavailableError)) throw error
      return { outcome: 'unavailable', reason: error.reason }
    }
  }
}

/** @throws {DatabaseUnavailableError} absent, when there is no database at this address yet */
export function assertDatabaseExists(databaseUrl: string): void {
  assertExists(pathOf(databaseUrl))
}

function pathOf(databaseUrl: string): string {
  const path = databaseUrl.replace(/^sqlite:/, '')
  return path === ':memory:' ? path : resolve(path)
}

/**
 * The acts of every noun on one database. An act that writes is atomic, and its result is returned
 * when it is durable.
 * @throws {DatabaseUnavailableError}
 */
export async function openStore(databaseUrl: string, options?: OpenOptions) {
  const engine = await SqliteEngine.open(pathOf(databaseUrl), options)
  return {
    agentKeys: bind(engine, nouns.agentKeys, ['remove']),
    agents: bind(engine, nouns.agents, ['update', 'delete', 'replaceSecret']),
    approvals: bind(engine, nouns.approvals, ['answer']),
    authorizationRequests: bind(engine, nouns.authorizationRequests, ['removeUnproved']),
    clientAssertions: bind(engine, nouns.clientAssertions),
    clients: bind(engine, nouns.clients, [
      'update',
      'delete',
      'removeUnused',
      'removeUnproved',
      'replaceSecret',
    ]),
    consents: bind(engine, nouns.consents, ['deny', 'forget']),
    events: bind(engine, nouns.events),
    grants: bind(engine, nouns.grants, ['revoke', 'revokeAccessToken', 'stop']),
    initialAccessTokens: bind(engine, nouns.initialAccessTokens, ['delete']),
    logoutNotices: bind(engine, nouns.logoutNotices, ['delete']),
    maintenance: bind(engine, nouns.maintenance, keysOf(nouns.maintenance.writes)),
    ownerInvitations: bind(engine, nouns.ownerInvitations),
    ownerMailCodes: bind(engine, nouns.ownerMailCodes),
    ownerSessions: bind(engine, nouns.ownerSessions, ['end', 'endAll']),
    owners: bind(engine, nouns.owners, ['update', 'changeGuarded', 'delete']),
    passkeys: bind(engine, nouns.passkeys, ['remove']),
    policies: bind(engine, nouns.policies, ['changeOfAgent', 'changeOfClient']),
    remoteDocuments: bind(engine, nouns.remoteDocuments, ['removeUnproved']),
    resources: bind(engine, nouns.resources, ['update', 'delete', 'replaceSecret']),
    signingKeys: bind(engine, nouns.signingKeys, ['succeed']),
    /** Changes whenever another process has written to the database. */
    foreignVersion: () => engine.foreignVersion(),
    /** Changes with every write to the database, by any process. */
    version: () => engine.version(),
    /** Whether the database can be written, `now` in epoch seconds. */
    readiness: createReadiness(engine),
    /** Returns at most this many unused pages to the disk. The result says whether there are more. */
    reclaim: (pages: number) => engine.reclaim(pages),
    /** Rewrites the whole file without unused pages. All other writers wait until it has ended. */
    vacuum: () => engine.vacuum(),
    /** Writes a consistent copy of the database to a file that must not exist. */
    backup: (path: string) => engine.backup(path),
    close: () => engine.close(),
  }
}

function keysOf<T extends object>(object: T): (keyof T)[] {
  return Object.keys(object) as (keyof T)[]
}

export type Store = Awaited<ReturnType<typeof openStore>>
