import fp from 'fastify-plugin'
import { assertDatabaseExists } from '../../db/store.ts'
import audit from './audit/audit.ts'
import overview from './audit/overview.ts'
import authenticateAgent from './callers/agent-authentication.ts'
import authenticateBearer from './callers/bearer.ts'
import authenticateClient from './callers/client-authentication.ts'
import authenticateResource from './callers/resource-authentication.ts'
import clock, { type Clock } from './clock.ts'
import keys from './crypto/keys.ts'
import verifyPkce from './crypto/pkce.ts'
import secrets from './crypto/secrets.ts'
import tokens from './crypto/tokens.ts'
import { openVault } from './crypto/vault.ts'
import describeApi from './documents/api-document.ts'
import metadata from './documents/metadata.ts'
import browserCookie from './http/browser-cookie.ts'
import cors from './http/cors.ts'
import errors from './http/errors.ts'
import faults from './http/fault-log.ts'
import noStore from './http/no-store.ts'
import ownOrigin from './http/own-origin.ts'
import parameters from './http/parameters.ts'
import strangers from './limits/strangers.ts'
import throttle from './limits/throttle.ts'
import mailer from './mail/mailer.ts'
import maintenance from './maintenance.ts'
import mailCodes from './persons/mail-codes.ts'
import owners from './persons/owners.ts'
import passkeys from './persons/passkeys.ts'
import sessions from './persons/sessions.ts'
import agentKeys from './registry/agent-keys.ts'
import clients from './registry/clients.ts'
import type { Network } from './registry/fetch-document.ts'
import registration from './registry/registration.ts'
import remoteDocuments from './registry/remote-documents.ts'
import settings, { type Settings } from './settings.ts'
import agentSignIn from './sign-in/agent-sign-in.ts'
import approvals from './sign-in/approvals.ts'
import consents from './sign-in/consents.ts'
import describeSignIn from './sign-in/description.ts'
import logoutNotices from './sign-in/logout-notices.ts'
import ownSignIns from './sign-in/own-sign-ins.ts'
import policies from './sign-in/policies.ts'
import requestWatch from './sign-in/request-watch.ts'
import store from './store.ts'

/** The types of `app.store`, which is the endpoints' only access to the database. */
export {
  type Agent,
  type Approval,
  type AuthorizationRequest,
  type AuthorizationRequestState,
  type Client,
  type ClientChange,
  type Event,
  type Grant,
  isEmailVerified,
  type Owner,
  type OwnerClaims,
  type OwnerSession,
  type PageFilter,
  type Passkey,
  type PlacedEvent,
  type RememberedApproval,
  type Resource,
  type ResourceChange,
  type ReusePolicy,
  standing,
} from '../../db/store.ts'

export interface CoreOptions {
  settings: Settings
  clock?: Clock | undefined
  network?: Network | undefined
  bcryptRounds?: number | undefined
  /** Fails when there is no database; by default one is created. */
  existingDatabase?: boolean | undefined
}

/**
 * The abilities that endpoints share, each a plugin in a file of its own. Each names the abilities it
 * needs, and Fastify refuses to start when one of them is missing or comes later in this list.
 */
const core = fp<CoreOptions>(
  async (app, options) => {
    await app.register(settings, options)
    await app.register(clock, options)
    if (options.existingDatabase) assertDatabaseExists(options.settings.DATABASE_URL)
    // The file with the encryption key must exist before the database (see `openVault`).
    const vault = openVault(options.settings)

    await app.register(store, options)
    await app.register(keys, { vault })
    await app.register(verifyPkce)

    await app.register(faults)
    await app.register(errors)
    await app.register(noStore)
    await app.register(parameters)
    await app.register(cors)
    await app.register(browserCookie)
    await app.register(ownOrigin)

    await app.register(metadata)
    await app.register(describeApi)

    await app.register(secrets, options)
    await app.register(tokens, { vault })
    await app.register(throttle)
    await app.register(strangers)
    await app.register(mailer)
    await app.register(audit)
    await app.register(overview)

    await app.register(remoteDocuments, options)
    await app.register(clients)
    await app.register(agentKeys)
    await app.register(registration)

    await app.register(authenticateClient)
    await app.register(authenticateResource)
    await app.register(authenticateAgent)
    await app.register(authenticateBearer)

    await app.register(passkeys)
    await app.register(sessions)
    await app.register(mailCodes, { vault })
    await app.register(owners)

    await app.register(describeSignIn)
    await app.register(policies)
    await app.register(approvals, { vault })
    await app.register(ownSignIns)
    await app.register(requestWatch)
    await app.register(agentSignIn)
    await app.register(logoutNotices)
    await app.register(consents)

    await app.register(maintenance)
  },
  { name: 'core' },
)

export default core
