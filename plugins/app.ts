import { randomUUID } from 'node:crypto'
import Fastify, {
  type FastifyInstance,
  type FastifyPluginAsync,
  type HTTPMethods,
  LogController,
} from 'fastify'
import account from './account/account.ts'
import agent from './account/agent.ts'
import agentKeys from './account/agent-keys.ts'
import agentPolicy from './account/agent-policy.ts'
import agentSecret from './account/agent-secret.ts'
import agents from './account/agents.ts'
import approval from './account/approval.ts'
import approvals from './account/approvals.ts'
import confirm from './account/confirm.ts'
import consent from './account/consent.ts'
import data from './account/data.ts'
import deleteAccount from './account/delete-account.ts'
import deleteAgent from './account/delete-agent.ts'
import enableAgent from './account/enable-agent.ts'
import history from './account/history.ts'
import invitation from './account/invitation.ts'
import newAgent from './account/new-agent.ts'
import security from './account/security.ts'
import securityMail from './account/security-mail.ts'
import securityPasskeys from './account/security-passkeys.ts'
import signIn from './account/sign-in.ts'
import signIns from './account/sign-ins.ts'
import signOut from './account/sign-out.ts'
import stop from './account/stop.ts'
import webauthn from './account/webauthn.ts'
import authenticate from './agent/authenticate.ts'
import checkStatus from './agent/check-status.ts'
import verify2fa from './agent/verify-2fa.ts'
import consoleAgent from './console/agent.ts'
import consoleAgents from './console/agents.ts'
import consoleOverview from './console/console.ts'
import consoleHistory from './console/history.ts'
import consoleKeys from './console/keys.ts'
import consoleLimits from './console/limits.ts'
import consoleOwner from './console/owner.ts'
import consoleOwners from './console/owners.ts'
import consoleResources from './console/resources.ts'
import consoleTokens from './console/tokens.ts'
import consoleWebsite from './console/website.ts'
import consoleWebsites from './console/websites.ts'
import type { Clock } from './core/clock.ts'
import core from './core/core.ts'
import { watchConnections } from './core/http/connections.ts'
import { OAuthError, sendError } from './core/http/errors.ts'
import { assertHost } from './core/http/host.ts'
import { issuerPath } from './core/http/issuer-path.ts'
import { LogStream } from './core/http/log-stream.ts'
import { parseParameters } from './core/http/parameters.ts'
import { buildSerializer } from './core/http/serializers.ts'
import { normalAddress } from './core/limits/network.ts'
import type { Network } from './core/registry/fetch-document.ts'
import { completeSettings, type Settings } from './core/settings.ts'
import front from './discovery/front.ts'
import jwks from './discovery/jwks.ts'
import llms from './discovery/llms.ts'
import metadata from './discovery/metadata.ts'
import openapi from './discovery/openapi.ts'
import reference from './discovery/reference.ts'
import websiteErrors from './discovery/website-errors.ts'
import health from './health/health.ts'
import authorize from './oauth/authorize.ts'
import introspect from './oauth/introspect.ts'
import logout from './oauth/logout.ts'
import register from './oauth/register.ts'
import revoke from './oauth/revoke.ts'
import token from './oauth/token.ts'
import userinfo from './oauth/userinfo.ts'

/** Every endpoint; each works without the others, in any order. */
export const endpoints: FastifyPluginAsync[] = [
  authorize,
  token,
  register,
  userinfo,
  introspect,
  revoke,
  logout,
  authenticate,
  verify2fa,
  checkStatus,
  front,
  metadata,
  jwks,
  openapi,
  reference,
  websiteErrors,
  llms,
  health,
  account,
  consent,
  signIn,
  signOut,
  confirm,
  invitation,
  security,
  securityPasskeys,
  securityMail,
  webauthn,
  agents,
  newAgent,
  agent,
  agentPolicy,
  agentKeys,
  agentSecret,
  enableAgent,
  deleteAgent,
  signIns,
  stop,
  approvals,
  approval,
  history,
  data,
  deleteAccount,
  consoleOverview,
  consoleWebsites,
  consoleWebsite,
  consoleAgents,
  consoleAgent,
  consoleOwners,
  consoleOwner,
  consoleResources,
  consoleTokens,
  consoleKeys,
  consoleLimits,
  consoleHistory,
]

/** The largest body that is read, in bytes. */
const BODY_LIMIT = 64 * 1024

/** The most bytes of a request line with its headers, as Node's parser has it. */
const MAX_HEADER_BYTES = 16 * 1024

/** How long a request may take to arrive, in milliseconds. */
const REQUEST_TIMEOUT = 30_000

/** How late that may be noticed, in milliseconds. */
const TIMEOUT_PRECISION = 1000

export interface BuildOptions {
  /** The time to go by instead of the system's. */
  clock?: Clock
  /** How to reach others instead of over the public internet. */
  network?: Network
  /** What a new secret costs to hash, as a power of two: 10, and in tests 4, bcrypt's smallest. */
  bcryptRounds?: number
  /** Fails where there is no database yet, and leaves the watch over its file to the server. */
  existingDatabase?: boolean
  /** Other endpoints than all of them. */
  endpoints?: FastifyPluginAsync[]
  /** Where log lines go instead of standard output. */
  logStream?: { write(line: string): void; flushSync?(): void }
}

/**
 * A ready server that does not listen yet. Settings that are not given have their defaults.
 * @throws {SettingsError} that names every bad setting.
 */
export async function buildApp(
  given: Partial<Settings> = {},
  options: BuildOptions = {},
): Promise<FastifyInstance> {
  const settings = completeSettings(given)
  const path = issuerPath(settings.ISSUER)
  const logStream = options.logStream ?? new LogStream()
  const app = Fastify({
    logger: { level: settings.LOG_LEVEL, stream: logStream },
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_LIMIT,
    trustProxy: settings.TRUST_PROXY ?? false,
    // The reference on error pages: every line of the log about the request has it as reqId.
    genReqId: () => randomUUID(),
    ...(path && { rewriteUrl: withoutIssuerPath }),
    // A client_id that is too long to be one is unknown, and not a path that leads nowhere.
    routerOptions: { querystringParser: parseParameters, maxParamLength: MAX_HEADER_BYTES },
    schemaController: { compilersFactory: { buildSerializer } },
    ajv: {
      customOptions: {
        coerceTypes: false,
        removeAdditional: false,
        useDefaults: false,
        discriminator: true,
        verbose: true,
        // TypeBox writes them right; to check them against JSON Schema takes a tenth of the start.
        validateSchema: false,
        meta: false,
      },
    },
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    requestTimeout: REQUEST_TIMEOUT,
    http: {
      headersTimeout: REQUEST_TIMEOUT,
      connectionsCheckingInterval: TIMEOUT_PRECISION,
      // Node's own refusal has no body; `assertHost` takes its place.
      requireHostHeader: false,
    },
    frameworkErrors: sendError,
  })
  if (logStream instanceof LogStream) {
    app.addHook('onClose', () => logStream.flush())
    logStream.onRecovered = (dropped) => app.log.warn({ dropped }, 'log lines were dropped')
  } else app.addHook('onClose', async () => logStream.flushSync?.())
  watchConnections(app)
  let closing = false
  app.addHook('preClose', async () => {
    closing = true
  })
  app.addHook('onSend', (_request, reply, _payload, done) => {
    // What is idle is hung up on when it begins to close; what is under way only when it is answered.
    if (closing) reply.header('connection', 'close')
    done()
  })
  app.addHook('onResponse', async (request, reply) => {
    request.log.info(
      {
        method: request.method,
        route: request.routeOptions.url,
        status: reply.statusCode,
        milliseconds: Math.round(reply.elapsedTime),
        address: normalAddress(request.ip),
      },
      'answered',
    )
  })
  await app.register(core, {
    settings,
    clock: options.clock,
    network: options.network,
    bcryptRounds: options.bcryptRounds,
    existingDatabase: options.existingDatabase,
  })
  app.addHook('onRequest', (request, _reply, done) => {
    assertHost(request.raw)
    if (!closing) return done()
    const headers = { 'retry-after': '1' }
    throw new OAuthError('temporarily_unavailable', 'The server is closing, try again', { headers })
  })
  for (const endpoint of options.endpoints ?? endpoints) await app.register(endpoint)
  await app.ready()
  return app

  /**
   * The URL as endpoints know it, whether the proxy strips the issuer's path or not. What is an
   * endpoint as it stands was stripped: with the issuer https://host/api, /api/check-status is one.
   */
  function withoutIssuerPath({ method = '', url = '' }: { method?: string; url?: string }): string {
    if (!url.startsWith(path) || !/^[/?]/.test(url.slice(path.length))) return url
    const [here = ''] = url.split('?', 1)
    return app.hasRoute({ method: method as HTTPMethods, url: here }) ? url : url.slice(path.length)
  }
}
